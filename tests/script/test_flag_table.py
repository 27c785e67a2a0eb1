"""The table of flags: every flag of the four parsers, with its default and the text of its limits."""

import argparse
import math
import re

import pytest

from gluon_tricks import __main__
from gluon_tricks.commands import bench
from gluon_tricks.errors import UserError
from gluon_tricks.recipes.flags import (
    COMMAND_FLAGS,
    COUNT,
    FLAGS,
    FROM_1,
    POSITIVE,
    SHAPE_FLAGS,
    SHARE,
    TRANSFER_FLAGS,
    UP_TO_1,
    Limits,
    per_channel,
    recipe_defaults,
)
from gluon_tricks.script.flags import check_numbers, decay_epochs
from gluon_tricks.script.load import load_script
from gluon_tricks.transfer.shape import Shape

SCRIPTS = ("train_cifar.py", "train_imagenet.py", "train_fcn.py", "train_faster_rcnn.py")
DECIDED_LATER = {"lr", "num_epochs", "mixup", "mix", "mixup_alpha", "mixup_off_epoch", "mixup_partners",
                 "random_flip"}


def parser_of(module, monkeypatch):
    """The parser of a script or command, caught before it parses."""
    caught = []

    parse_known_args = argparse.ArgumentParser.parse_known_args

    def catch(parser, *words):
        if not parser.add_help:            # looks for one flag before the script's parser is made
            return parse_known_args(parser, *words)
        caught.append(parser)
        raise SystemExit

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", catch)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", catch)
    with pytest.raises(SystemExit):
        module.parse_args([])
    return caught[-1]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_table_has_every_flag_of_the_parser(script, monkeypatch):
    known = {*FLAGS, *TRANSFER_FLAGS, *Shape._fields, "help", "use_amx"}
    lacking = {action.dest for action in parser_of(load_script(script), monkeypatch)._actions} - known
    assert not lacking, f"gluon_tricks/recipes/flags.py lacks {sorted(lacking)}"


@pytest.mark.parametrize("script, cifar", [("train_cifar.py", True), ("train_imagenet.py", False)])
def test_defaults_of_the_recipe_are_the_parsers(script, cifar, monkeypatch):
    parser = parser_of(load_script(script), monkeypatch)
    theirs = {action.dest: action.default for action in parser._actions}
    from gluon_tricks.recipes.presets import PRESETS
    theirs.update({} if cifar else PRESETS["gluoncv"])
    for name, default in recipe_defaults(cifar).items():
        if name in theirs and name not in DECIDED_LATER:
            assert theirs[name] == default, name


@pytest.mark.parametrize("limits, bad, says", [
    (COUNT, -1, "must be at least 0"), (COUNT, 1.5, "must be a whole number"),
    (COUNT, True, "must be a whole number"), (COUNT, 10**9 + 1, "must be at most 1000000000"),
    (POSITIVE, 0, "must be positive"), (POSITIVE, "2", "must be a number"),
    (POSITIVE, math.nan, "must be a finite number"), (POSITIVE, math.inf, "must be a finite number"),
    (SHARE, 1, "must be in [0, 1)"), (SHARE, -0.1, "must be in [0, 1)"), (UP_TO_1, 1.1, "must be at most 1"),
    (Limits(least=0.1, most=1, or_zero=True), 0.09, "must be 0 or at least 0.1"),
])
def test_a_number_outside_its_limits_is_told_which(limits, bad, says):
    assert limits.complaint(bad) == says


def test_numbers_at_their_limits_are_permitted():
    permitted = [(COUNT, 0), (COUNT, 10**9), (POSITIVE, 1e-9), (SHARE, 0), (SHARE, 0.999), (UP_TO_1, 1),
                 (Limits(least=0.1, most=1, or_zero=True), 0)]
    assert not any(limits.complaint(value) for limits, value in permitted)


def test_a_number_outside_its_limits_is_refused_with_flag_value_and_limit():
    with pytest.raises(UserError, match=r"^--num-data-workers -1: must be at least 0$"):
        check_numbers(argparse.Namespace(num_workers=-1))
    with pytest.raises(UserError, match=r"^--num-workers 0: must be at least 1$"):
        check_numbers(argparse.Namespace(num_workers=0), spelling={}, num_workers=FROM_1)
    check_numbers(argparse.Namespace(num_workers=0, lr=None))


# --- every number of every parser ---------------------------------------------------------------------------

def commands():
    """A parameter set for all that has flags: how to load it, its name, words without which it refuses."""
    needed = {"train_imagenet.py": ["--model", "resnet18_v1"], "train_faster_rcnn.py": ["--gpus", ""],
              "train_fcn.py": ["--no-cuda"], "launch": ["-n", "2"],
              "export": ["--out", "x", "--model", "resnet18_v1"], "evaluate": ["--model", "resnet18_v1"],
              "predict": ["a.png", "--model", "resnet18_v1"],
              "sweep": ["--grid", "lr=0.1"], "models": ["resnet18_v1"], "input": ["--rec-train", __file__]}
    subcommands = set(__main__.SUBCOMMANDS) - {"train", "prepare", "bench", "doctor"}
    loaders = {**dict.fromkeys(SCRIPTS, load_script), **dict.fromkeys(sorted(subcommands), __main__.load),
               **dict.fromkeys(bench.MODES, bench.load)}
    return [pytest.param(load, name, needed.get(name, []), id=name) for name, load in loaders.items()]


def just_outside(limits, is_float):
    """Words that a flag must refuse: the nearest numbers outside, a huge one, and what is no number."""
    step = 0 if limits.above is not None else 1 if limits.whole else 1e-4
    lowest = limits.above if limits.least is None else limits.least
    highest = limits.most + (1 if limits.whole else 1e-4) if limits.below is None else limits.below
    yield from (f"{lowest - step}", f"{highest}", f"{10**20}", *(("nan", "inf", "-inf") if is_float else ()))


@pytest.mark.parametrize("load, name, needed", commands())
def test_every_number_has_limits_and_is_refused_outside_of_them(load, name, needed, monkeypatch, tmp_path):
    module = load(name)
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        parser = parser_of(module, patched)
    table = {**FLAGS, **TRANSFER_FLAGS, **SHAPE_FLAGS} if name in SCRIPTS else COMMAND_FLAGS
    texts = {"epochs": int, "lr": float, "wd": float, "lr_warmup": int, **dict.fromkeys(SHAPE_FLAGS, float)}
    for action in parser._actions:
        kind = action.type if action.type in (int, float) else texts.get(action.dest)
        if not kind or action.choices or action.dest == "roi_mode":
            continue
        limits = table[action.dest].limits if action.dest in table else None
        assert limits, f"gluon_tricks/recipes/flags.py has no limits for {action.option_strings[0]}"
        flag = "|".join(map(re.escape, action.option_strings))
        for word in just_outside(limits, action.type is float):
            with pytest.raises(UserError, match=f"^({flag}) .*: must be"):
                module.parse_args([*needed, f"{action.option_strings[-1]}={word}"])


@pytest.mark.parametrize("flag, text", [("--rgb-mean", "nan,0,0"), ("--rgb-mean", "-1,0,0"),
                                        ("--rgb-std", "0,1,1"), ("--rgb-std", "1,inf,1")])
def test_means_are_pixels_and_deviations_are_above_0(flag, text):
    with pytest.raises(UserError, match=f"^{flag} {text}: .* must be"):
        per_channel(flag, text)


@pytest.mark.parametrize("text", ["-5", "99999999999999999999", "40,x"])
def test_epochs_of_the_decay_are_epochs(text):
    with pytest.raises(UserError, match=f"^--lr-decay-epoch {text}: "):
        decay_epochs(argparse.Namespace(lr_decay_epoch=text))
