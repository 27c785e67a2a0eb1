"""Linear scaling: the paper's arithmetic, and which published runs keep it."""

import pytest

from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.tricks.linear_scaling import linear_scaled_lr


def test_the_papers_examples():
    assert linear_scaled_lr(256) == pytest.approx(0.1)
    assert linear_scaled_lr(1024) == pytest.approx(0.4)     # 8 GPUs x 128


def test_published_resnets_keep_the_rule():
    for name, run in catalogue().items():
        if name.startswith("resnet") and run.script == "train_imagenet.py":
            assert run.args["lr"] == pytest.approx(linear_scaled_lr(run.global_batch_size)), name
