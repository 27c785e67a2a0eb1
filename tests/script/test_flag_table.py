"""The table of flags: every flag of the four parsers, with its default and the text of its limits."""

import argparse

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.recipes.flags import FLAGS, TRANSFER_FLAGS, Limits, recipe_defaults
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.script.load import load_script
from gluon_tricks.transfer.shape import Shape

SCRIPTS = ("train_cifar.py", "train_imagenet.py", "train_fcn.py", "train_faster_rcnn.py")
DECIDED_LATER = {"lr", "num_epochs", "mixup", "mix", "mixup_alpha", "mixup_off_epoch", "mixup_partners",
                 "random_flip"}


def parser_of(script, monkeypatch):
    """The script's parser, caught before it parses."""
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
        load_script(script).parse_args([])
    return caught[-1]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_table_has_every_flag_of_the_parser(script, monkeypatch):
    known = {*FLAGS, *TRANSFER_FLAGS, *Shape._fields, "help", "use_amx"}
    lacking = {action.dest for action in parser_of(script, monkeypatch)._actions} - known
    assert not lacking, f"gluon_tricks/recipes/flags.py lacks {sorted(lacking)}"


@pytest.mark.parametrize("script, cifar", [("train_cifar.py", True), ("train_imagenet.py", False)])
def test_defaults_of_the_recipe_are_the_parsers(script, cifar, monkeypatch):
    parser = parser_of(script, monkeypatch)
    theirs = {action.dest: action.default for action in parser._actions}
    from gluon_tricks.recipes.presets import PRESETS
    theirs.update({} if cifar else PRESETS["gluoncv"])
    for name, default in recipe_defaults(cifar).items():
        if name in theirs and name not in DECIDED_LATER:
            assert theirs[name] == default, name


@pytest.mark.parametrize("limits, good, bad, says", [
    (Limits(least=0), [0, 5, 1e9], [-1, -0.1, float("nan")], "must be at least 0"),
    (Limits(above=0), [1e-9, 3], [0, -1, float("inf"), float("nan")], "must be positive"),
    (Limits(least=0, below=1), [0, 0.99], [1, -0.1, float("nan")], r"must be in \[0, 1\)"),
])
def test_limits(limits, good, bad, says):
    assert all(map(limits.allow, good)) and not any(map(limits.allow, bad))
    assert str(limits) == says.replace("\\", "")


def test_a_number_outside_its_limits_is_refused_with_flag_value_and_limit():
    with pytest.raises(UserError, match=r"^--num-data-workers -1: must be at least 0$"):
        check_numbers(argparse.Namespace(num_workers=-1))
    check_numbers(argparse.Namespace(num_workers=0, lr=None))
