"""A flag parser answers at once: the files that it reads names and limits from do not import MXNet."""

import subprocess
import sys

import pytest

WITHOUT_MXNET = (
    *(f"tricks.{name}" for name in ("cosine_decay", "cutmix", "cutout", "drop_block", "label_smoothing",
                                    "linear_scaling",
                                    "low_precision", "lr_warmup", "mixing", "mixup", "no_bias_decay",
                                    "patchwork", "random_erasing", "ricap", "spatial_mixup", "zero_gamma")),
    "models.names", "models.registry", "models.from_flags", "models.sizes",
    "optim.lr_schedule", "optim.optimizers",
    "data.augment", "data.cifar_sets", "data.classes", "data.paths", "data.val_window",
    "engines.launcher", "engines.watchdog",
)


@pytest.mark.parametrize("module", WITHOUT_MXNET)
def test_it_is_imported_without_mxnet(module):
    code = f"import sys, gluon_tricks.{module}; print(*{{'mxnet', 'gluoncv', 'cv2'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
