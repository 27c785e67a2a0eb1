"""train_cifar.py with each model, augmentation, optimizer and schedule: two updates on a part of the
excerpt."""

import argparse
import json
import re
import sys

import numpy as np
import pytest
from mxnet import nd

import train_cifar
from gluon_tricks.errors import UserError
from gluon_tricks.optim.optimizers import NAMES
from gluon_tricks.script.cifar_flags import without_effect_lines
from gluon_tricks.script.targets import training_targets
from gluon_tricks.tricks.mixing import KINDS
from tests.lab_runs import write_part_of_excerpt

DATA = []                  # --data-dir and its folder


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
    """64 training and 8 validation images: to read the whole excerpt takes longer than two updates."""
    folder = write_part_of_excerpt(tmp_path_factory.mktemp("data"), train=64, test=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "DATA", ["--data-dir", str(folder)])
        yield


def train(folder, *flags, model="cifar_preact20", updates=2):
    """Train in this process; returns the arrays of the resume file (dict) and its meta data."""
    words = ["--dataset", "cifar10-excerpt", "--model", model, "--mode", "hybrid", "--batch-size", "4", "-j",
             "0", "--save-dir", f"{folder}/params", "--logging-dir", str(folder), "--save-plot-dir",
             str(folder), "--lr", "0.01", "--num-epochs", "3", "--max-updates", str(updates), "--check-sync",
             "0", *DATA, *flags]
    assert train_cifar.main(words) == 0
    with np.load(next((folder / "params").glob("*.resume.npz"))) as archive:
        arrays = {key: archive[key] for key in archive.files}
    meta = json.loads(arrays.pop("meta").tobytes())
    assert updates in (0, meta["progress"]["num_update"])
    assert all(np.isfinite(array).all() for array in arrays.values())
    return arrays, meta


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return train(tmp_path_factory.mktemp("plain"))[0]


def differs(one, other):
    return any((one[key] != other[key]).any() for key in one if key.startswith("param/"))


@pytest.mark.parametrize("model", ["cifar_vgg15_bn", "cifar_resnet20_basic", "cifar_se_preact20",
                                   "cifar_densenet40_k12", "cifar_pyramidnet110_a48",
                                   "cifar_shake_shake26_2x32d", "cifar_wideresnet16_10",
                                   "cifar_resnext29_32x4d", "cifar_densenet_bc100_k12", "cifar_preact20_w4",
                                   "cifar_resnet164_bottleneck", "cifar_preact164_bottleneck"])
@pytest.mark.slow
def test_every_family_of_nets_trains(tmp_path, model):
    train(tmp_path, model=model)


@pytest.mark.parametrize("flags", [
    *(["--mix", kind] for kind in KINDS), ["--mix", "cutmix", "--cutmix-label", "drawn"],
    ["--mix", "vertical", "--mixup-partners", "random"],
    ["--cutout", "16"], ["--dual-cutout"], ["--dual-cutout", "--mix", "ricap"], ["--random-erasing"],
    ["--random-erasing", "pixels", "--cutout", "8"], ["--augment", "follow-up"], ["--no-random-crop"],
    ["--no-random-flip"], ["--label-smoothing", "--label-smoothing-eps", "0.3"], ["--accumulate", "2"],
    *(["--optimizer", name] for name in NAMES if name != "nag"), ["--clip-gradient", "0.001"],
    ["--no-wd", "--wd", "0.5"], ["--optimizer", "lars", "--lars-coefficient", "0.001"],
    ["--lr-mode", "cosine"], ["--lr-mode", "poly", "--warmup-epochs", "1"],
    ["--lr-mode", "step", "--lr-decay-epoch", "0,1"], ["--lr-mode", "sgdr", "--warmup-epochs", "1"],
    ["--warmup", "exponential", "--warmup-epochs", "1"], ["--model-kwargs", "last_bn=True",
                                                          "preact_stages=[0,1,1]"]], ids=" ".join)
@pytest.mark.slow
def test_every_flag_trains_and_makes_a_difference(tmp_path, plain, flags):
    if flags == ["--mix", "cutmix", "--cutmix-label", "drawn"]:
        plain, _ = train(tmp_path / "area", "--mix", "cutmix")
    arrays, meta = train(tmp_path / "run", *flags)
    assert set(arrays) != set(plain) or differs(arrays, plain)
    args = meta["facts"]["args"]
    for word in flags:
        if word.startswith("--"):           # every flag is in what a resumed run is compared with
            assert word[2:].replace("no-random", "random").replace("-", "_") in args


@pytest.mark.parametrize("flags", [*(["--optimizer", name] for name in NAMES if name != "nag"),
                                   ["--mix", "ricap", "--dual-cutout", "--random-erasing", "--augment",
                                    "follow-up"]],
                         ids=" ".join)
@pytest.mark.slow
def test_stopped_and_resumed_is_the_same_to_the_bit(tmp_path, flags):
    straight, _ = train(tmp_path / "straight", *flags, updates=3)
    train(tmp_path / "stopped", *flags, updates=1)
    resumed, _ = train(tmp_path / "stopped", *flags, "--resume", "auto", updates=3)
    resumed, straight = ({key: array.tobytes() for key, array in run.items()} for run in (resumed, straight))
    assert resumed == straight


@pytest.mark.slow
def test_shake_shake_is_resumed_bit_for_bit(tmp_path):
    net = "cifar_shake_shake26_2x32d"
    straight, _ = train(tmp_path / "straight", model=net, updates=2)
    train(tmp_path / "stopped", model=net, updates=1)
    resumed, _ = train(tmp_path / "stopped", "--resume", "auto", model=net, updates=2)
    assert not differs(resumed, straight)


def test_passes_of_half_the_batch_give_its_gradient_but_for_batchnorm(tmp_path):
    """Two passes of four are an update of eight images: same data, same rate; statistics of ghosts differ."""
    whole, _ = train(tmp_path / "whole", "--batch-size", "8", updates=1)
    ghosts, meta = train(tmp_path / "ghosts", "--accumulate", "2", updates=1)
    assert meta["facts"]["global_batch_size"] == 8
    key = "param/output.bias"
    np.testing.assert_allclose(ghosts[key], whole[key], atol=0.02)
    assert (ghosts[key] != whole[key]).any()


@pytest.mark.slow
def test_a_student_learns_from_a_parameter_file_and_top_5_is_counted(tmp_path, plain):
    data = write_part_of_excerpt(tmp_path / "data", train=80, test=100)
    train(tmp_path, "--mix", "horizontal", "--num-epochs", "1", "--batch-size", "40", "--data-dir", str(data),
          updates=0)
    assert (tmp_path / "train_cifar10_cifar_preact20_horizontal.log").exists()
    records = map(json.loads, next(tmp_path.rglob("metrics.jsonl")).read_text().splitlines())
    epoch = next(record for record in records if record["kind"] == "epoch")
    assert 0 <= epoch["err_top5"] < epoch["err_top1"] <= 1
    teacher = next((tmp_path / "params").glob("cifar10-cifar_preact20_horizontal-0.params"))
    student, meta = train(tmp_path / "student", "--teacher", f"cifar_preact20:{teacher}", "--mix", "vertical")
    assert meta["facts"]["args"]["temperature"] == 20 and differs(student, plain)


def test_nothing_is_mixed_in_the_first_and_last_epochs():
    args = train_cifar.parse_args(["--model", "any", "--mix", "vertical", "--mixup-off-first", "2",
                                   "--num-epochs", "5", "--mixup-off-epoch", "1"])
    targets, _, _ = training_targets(args, 4, args.dtype, None)
    ramp = nd.arange(16).reshape((2, 1, 8, 1))
    mixed = [bool((targets(ramp, nd.array([0, 1]), epoch, 0)[0] != ramp).sum().asscalar())
             for epoch in range(5)]
    assert mixed == [False, False, True, True, False]


def test_the_plan_names_optimizer_images_and_mixing(capsys):
    assert train_cifar.main(["--model", "cifar_preact20", "--dataset", "mnist", "--dry-run", "--optimizer",
                             "lars", "--mix", "ricap", "--cutout", "14", "--accumulate", "4", "--no-wd",
                             "--random-erasing"]) == 0
    rows = {line[:13].strip(): line[14:] for line in capsys.readouterr().out.splitlines()}
    assert "images of 1x28x28" in rows["model"] and rows["optimizer"] == "LARS, momentum 0.9"
    assert rows["images"] == "pad 4 zeros on each side, a random 28x28 of it"            # no mirrored digits
    assert "32 per device x 1 device x 4 accumulated" in rows["batch"]
    assert rows["ricap"].startswith("one weight of Beta(0.3, 0.3) per update, partners in random order")


@pytest.mark.parametrize("flags, says", [
    (["--mix", "vertical", "--mixup"], "--mix vertical and --mixup: give one"),
    (["--mix", "ricap", "--mixup-partners", "reversed"], "needs four images"),
    (["--data-backend", "mxnet", "--cutout", "16", "--augment", "follow-up"],
     "cannot do --augment follow-up, --cutout"),
    (["--data-backend", "mxnet", "--dataset", "mnist"], "cannot do --no-random-flip, --dataset mnist"),
    (["--teacher", "cifar_resnet110_v1"], "give NAME:FILE"),
    (["--warmup", "exponential"], "give --warmup-epochs too"),
    (["--model-kwargs", "width"], "--model-kwargs width: give NAME=VALUE"),
    (["--label-smoothing-eps", "1"], "must be in [0, 1)"),
    (["--dataset", "mnist", "--augment", "follow-up"],
     "--augment follow-up: changes colours, and images of mnist are grey"),
    (["--cutout", "33"], "--cutout 33: images of cifar10 have 32 pixels a side"),
    (["--dataset", "kmnist", "--dual-cutout", "--cutout", "29"],
     "--cutout 29: images of kmnist have 28 pixels a side"),
    (["--accumulate", "0"], "--accumulate 0: must be at least 1")])
def test_unusable_values_are_named(flags, says):
    with pytest.raises(UserError, match=re.escape(says)):
        train_cifar.parse_args(["--model", "cifar_preact20", *flags])


@pytest.mark.parametrize("flags, says", [
    (["--model-kwargs", "drop_rate=0.3"], "--model-kwargs drop_rate=0.3: leave it out, --drop-rate sets it"),
    (["--model-kwargs", "classes=3"], "--model-kwargs classes=3: leave it out, --dataset sets it"),
    (["--model-kwargs", "in_channels=1"], "--model-kwargs in_channels=1: leave it out, --dataset sets it"),
    (["--model-kwargs", "preact_stages=[1]"],
     "--model-kwargs preact_stages=[1]: model cifar_preact20 cannot be made so"),
    (["--model-kwargs", "depth=20"], "model cifar_preact20 takes no depth"),
    (["--model", "mobilenet0.25", "--dataset", "mnist"], "--model mobilenet0.25: takes colour images only")])
def test_nets_that_cannot_be_made_are_refused(flags, says):
    with pytest.raises(UserError, match=re.escape(says)):
        train_cifar.main(["--model", "cifar_preact20", "--dry-run", *flags])


@pytest.mark.parametrize("flags, says", [
    (["--label-smoothing-eps", "0.2"], "--label-smoothing-eps 0.2 has no effect without --label-smoothing"),
    (["--mixup-alpha", "0.2"], "--mixup-alpha 0.2 has no effect without --mixup or --mix"),
    (["--mix", "ricap", "--cutmix-label", "drawn"],
     "--cutmix-label drawn has no effect without --mix cutmix"),
    (["--temperature", "4"], "--temperature 4.0 has no effect without --teacher"),
    (["--lr-mode", "cosine", "--cycle-epochs", "5"], "--cycle-epochs 5 has no effect without --lr-mode sgdr"),
    (["--drop-rate", "0.3"], "--drop-rate 0.3 has no effect without a cifar_wideresnet* or cifar_densenet*")])
def test_a_flag_without_effect_is_warned_of(flags, says):
    args = train_cifar.parse_args(["--model", "cifar_preact20", *flags])
    assert list(without_effect_lines(args)) == [f"warning: {says}"]


@pytest.mark.parametrize("flags", [
    "", "--label-smoothing --label-smoothing-eps 0.2", "--mix cutmix --cutmix-label drawn", "--mix ricap",
    "--mixup --mixup-alpha 0.2", "--optimizer lars --lars-coefficient 0.1", "--lr-mode sgdr --cycle-factor 2",
    "--model cifar_densenet40_k12 --drop-rate 0.2"])
def test_flags_that_have_what_they_need_are_not_warned_of(flags):
    args = train_cifar.parse_args(["--model", "cifar_preact20", *flags.split()])
    assert not list(without_effect_lines(args))


def test_resuming_with_another_mix_or_optimizer_is_refused(tmp_path):
    train(tmp_path, "--mix", "vertical")
    resume = next((tmp_path / "params").glob("*.resume.npz"))
    for flags, says in ((["--mix", "horizontal"], "--mix"), (["--mix", "vertical", "--optimizer", "adam"],
                                                             "--optimizer")):
        with pytest.raises(UserError, match=says):
            train(tmp_path, *flags, "--resume", str(resume))


def test_help_names_every_mix_and_optimizer(capsys):
    with pytest.raises(SystemExit):
        train_cifar.main(["--help"])
    out = " ".join(capsys.readouterr().out.split())
    for name in (*KINDS, *NAMES, "sgdr", "exponential", "fashion-mnist", "kmnist"):
        assert name in out, name
    assert isinstance(train_cifar.parse_args(["--model", "x"]), argparse.Namespace)
