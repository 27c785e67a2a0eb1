"""Twenty updates of this kit equal twenty of Gluon and GluonCV, for each trick of §3 and §5 and for all of
them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

pytest.importorskip("gluoncv", reason="GluonCV is not installed; nothing to compare with")
from loops import FixedBatches, gluoncvs_net, smooth_activations, train_gluoncvs, train_ours

import train_imagenet
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.models.registry import get_model
from gluon_tricks.script import imagenet as build
from gluon_tricks.script.auto_dtype import as_asked

CIFAR = ["--model", "cifar_resnet20_v1", "--input-size", "8"]
# of the nets that know zero gamma the smallest; its last feature map is 1 x 1
RESNET18 = ["--model", "resnet18_v1", "--input-size", "32", "--lr", "0.002"]
TEACHER = "cifar_resnet20_v1"

RECIPES = {
    # §2.1, then §3.1
    "baseline": [*CIFAR, "--lr-decay-epoch", "1"],
    "linear scaling": [*CIFAR, "--auto-lr"],
    "warm-up": [*CIFAR, "--warmup-epochs", "1"],
    "zero gamma": [*RESNET18, "--last-gamma"],
    "no bias decay": [*CIFAR, "--no-wd"],
    # §5.1 to §5.4
    "cosine": [*CIFAR, "--lr-mode", "cosine"],
    "label smoothing": [*CIFAR, "--label-smoothing"],
    "distillation": [*CIFAR, "--teacher"],
    "distillation mostly hard": [*CIFAR, "--teacher", "--hard-weight", "0.8", "--temperature", "3"],
    "mixup": [*CIFAR, "--mixup"],
    "mixup off at the end": [*CIFAR, "--mixup", "--mixup-off-epoch", "1"],
    "all together": [*RESNET18, "--warmup-epochs", "1", "--last-gamma", "--no-wd", "--lr-mode", "cosine",
                     "--label-smoothing", "--teacher", "--mixup"],
}
# What another order of summation makes of twenty updates, measured: at most 3e-7 of a loss and 6e-6 of the
# largest value of an array, 2e-6 after one. A departure of a tenth in one setting shows at ten times the
# bounds, as another test says.
LOSS, ARRAY = 1e-5, 5e-5


def parse(flags, batch_size, folder):
    flags = list(flags)
    if "--teacher" in flags:
        flags.insert(flags.index("--teacher") + 1, f"{TEACHER}:{folder}/teacher.params")
    return train_imagenet.parse_args([
        "--mode", "hybrid", "--classes", "10", "--num-epochs", "2", "--num-training-samples", str(10 * 16),
        "--batch-size", str(batch_size), "--lr", "0.01", "--wd", "0.01", "--mixup-alpha", "1", *flags])


def write_teacher(args, folder):
    """A net and its weights in a file."""
    mx.random.seed(7)
    teacher = get_model(TEACHER, classes=args.classes)
    teacher.initialize(mx.init.Xavier())
    teacher.save_parameters(str(folder / "teacher.params"))
    return teacher


def both(flags, tmp_path, monkeypatch, devices=1, emulated=False, change=None):
    """(ours, GluonCV's) after two epochs of ten updates.

    Emulated devices are ours only: one that computes as several. `change` alters our arguments only.
    """
    smooth_activations(monkeypatch)
    ctx = [mx.cpu(i) for i in range(devices)]
    engine = SingleProcess([mx.cpu()], devices) if emulated else SingleProcess(ctx)
    args = parse(flags, 16 // devices, tmp_path)
    monkeypatch.setattr(build, "global_batch_size", lambda args: 16)
    teacher = None
    if args.teacher:
        teacher = write_teacher(args, tmp_path)
        teacher.collect_params().reset_ctx(ctx)
    batches = FixedBatches(16, args.input_size, args.classes, updates=20)
    net = build.build_net(args, args.classes, as_asked(args), engine)
    theirs = gluoncvs_net(args, net, ctx, **({"last_gamma": True} if args.last_gamma else {}))
    expected = train_gluoncvs(args, theirs, batches, ctx, teacher)
    for name, value in (change or {}).items():
        setattr(args, name, value)
    return train_ours(args, net, batches, engine), expected


def largest_difference(got, expected):
    """Of all arrays, each relative to its largest value."""
    assert got.keys() == expected.keys() and len(expected) > 0
    return max(np.abs(got[name] - array).max() / max(np.abs(array).max(), 1e-3)
               for name, array in expected.items())


def without_statistics(arrays):
    """Two CPU "devices" race for each other's running statistics, in Gluon's loop as in ours."""
    return {name: array for name, array in arrays.items() if "running" not in name}


def assert_same_training(got, expected):
    assert len(expected.losses) == 20 and len(expected.metrics) == 2
    np.testing.assert_allclose(got.losses[0], expected.losses[0], rtol=1e-6)  # before anything can differ
    assert largest_difference(got.first, expected.first) < ARRAY
    np.testing.assert_allclose(got.losses, expected.losses, rtol=LOSS)
    np.testing.assert_allclose(got.metrics, expected.metrics, rtol=LOSS)
    assert largest_difference(got.arrays, expected.arrays) < ARRAY


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.slow
def test_twenty_updates_equal_gluoncvs(recipe, tmp_path, monkeypatch):
    got, expected = both(RECIPES[recipe], tmp_path, monkeypatch)
    assert_same_training(got, expected)


@pytest.mark.parametrize("recipe", ["baseline", "mixup"])
@pytest.mark.parametrize("emulated", [False, True], ids=["real", "emulated"])
@pytest.mark.slow
def test_they_do_on_two_devices(recipe, emulated, tmp_path, monkeypatch):
    got, expected = both(RECIPES[recipe], tmp_path, monkeypatch, devices=2, emulated=emulated)
    for side in (got, expected):
        side.first, side.arrays = without_statistics(side.first), without_statistics(side.arrays)
    assert_same_training(got, expected)


LEFT_OUT = {
    "baseline": {"momentum": 0.89}, "linear scaling": {"lr": 0.0065},
    "warm-up": {"warmup_epochs": 0}, "no bias decay": {"wd": 0.009}, "cosine": {"lr_mode": "linear"},
    "label smoothing": {"label_smoothing_eps": 0.09}, "distillation": {"temperature": 19.0},
    "mixup": {"mixup_off_epoch": 1},
}


@pytest.mark.parametrize("recipe", LEFT_OUT)
@pytest.mark.slow
def test_the_comparison_sees_small_departures(recipe, tmp_path, monkeypatch):
    got, expected = both(RECIPES[recipe], tmp_path, monkeypatch, change=LEFT_OUT[recipe])
    assert largest_difference(got.arrays, expected.arrays) > 10 * ARRAY


@pytest.mark.slow
def test_twenty_updates_in_bfloat16_equal_gluoncvs_net_under_mxnets_amp():
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, str(here / "bfloat16_loops.py")], capture_output=True, text=True,
                          timeout=300, env={**os.environ, "PYTHONPATH": str(here.parents[1])})
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout.splitlines()[-1])
    ours, expected, float32 = map(np.array, got["losses"])
    np.testing.assert_allclose(ours, expected, rtol=1e-4)
    assert got["arrays"] < 1e-4 and got["types"] == ["float32"]         # parameters are kept in float32
    assert 1e-4 < np.abs(ours / float32 - 1)[0] < 0.05                 # 8 bits of mantissa: it was bfloat16
