"""--tensorboard: the numbers of metrics.jsonl, read back from TensorBoard's own format."""

import argparse
import math
import struct
import sys
from pathlib import Path

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.script.load import load_script
from gluon_tricks.script.opening import tensorboard_dir
from gluon_tricks.training.progress import Progress
from gluon_tricks.training.record import Metrics

SCRIPTS = {"train_cifar.py": ["--model", "cifar_resnet20_v1"], "train_imagenet.py": ["--model", "resnet18_v1"],
           "train_fcn.py": ["--synthetic", "--no-cuda"], "train_faster_rcnn.py": ["--synthetic", "--gpus", ""]}


def scalars(folder):
    """{(tag, step): value} of a folder's event files. A record: length, CRC, an `Event` of protobuf, CRC."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(Path(folder).glob("events.out.tfevents.*")):
        content, at = path.read_bytes(), 0
        while at < len(content):
            length, = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12:at + 12 + length])
            found.update({(value.tag, event.step): value.simple_value for value in event.summary.value})
            at += 16 + length
    return found


def test_every_number_of_metrics_is_a_scalar_at_its_update(tmp_path, caplog):
    metrics = Metrics(tmp_path / "metrics.jsonl", tensorboard_dir=tmp_path / "board")
    metrics.write("interval", 5, epoch=0, lr=0.25, loss=2.5)
    # of a detection: a score for each class, none for a class without objects, and a loss over no box
    metrics.write("epoch", 10, epoch=0, map_area=0.5, classes={"dog": 0.75, "cat": None}, RPNL1Loss=math.nan)
    metrics.close()
    assert scalars(tmp_path / "board") == {
        ("interval/epoch", 5): 0, ("interval/lr", 5): 0.25, ("interval/loss", 5): 2.5, ("epoch/epoch", 10): 0,
        ("epoch/map_area", 10): 0.5, ("epoch/classes/dog", 10): 0.75}
    assert not caplog.records                                  # they would stand in the run's log


def test_a_resumed_run_goes_on_in_the_same_folder(tmp_path):
    for resume_from in (None, Progress(num_update=5)):
        metrics = Metrics(tmp_path / "metrics.jsonl", resume_from, tensorboard_dir=tmp_path / "board")
        metrics.write("interval", 6 if resume_from else 5, epoch=0, batch=5, lr=0.5)
        metrics.close()
    found = scalars(tmp_path / "board")
    assert {("interval/lr", 5), ("interval/lr", 6)} <= set(found)


@pytest.mark.parametrize("script", SCRIPTS)
def test_all_scripts_have_the_flag(script):
    args = load_script(script).parse_args([*SCRIPTS[script], "--tensorboard", "board"])
    assert tensorboard_dir(args) == Path("board")


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match=r'--tensorboard board: needs tensorboardX; install it with pip install -e '
                                        r'"\.\[tensorboard\]"'):
        tensorboard_dir(argparse.Namespace(tensorboard="board"))
    assert tensorboard_dir(argparse.Namespace(tensorboard=None)) is None
