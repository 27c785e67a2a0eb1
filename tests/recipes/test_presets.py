"""`--as gluoncv` and `--as paper`: what they set, what wins over them, what a run says of it."""

import pytest

import train_imagenet
from gluon_tricks.errors import UserError
from gluon_tricks.recipes.presets import PRESETS, overrides


def parse(*flags):
    return train_imagenet.parse_args(["--model", "resnet50_v1d", *flags])


def test_both_presets_choose_every_setting():
    assert set(PRESETS["gluoncv"]) == set(PRESETS["paper"])
    for key in PRESETS["paper"]:
        assert PRESETS["paper"][key] != PRESETS["gluoncv"][key], key


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_sets_its_flags_and_has_no_overrides(name):
    args = parse("--as", name)
    assert {key: getattr(args, key) for key in PRESETS[name]} == PRESETS[name]
    assert overrides(vars(args)) == []


def test_gluoncv_is_the_default():
    assert parse().preset == "gluoncv"


def test_a_flag_given_wins_and_is_said():
    args = parse("--lr-formula", "logs", "--as", "paper", "--no-fix-last-gamma")
    assert args.lr_formula == "logs" and args.fix_last_gamma is False and args.init == "paper"
    assert overrides(vars(args)) == ["--lr-formula logs", "--fix-last-gamma False"]


@pytest.mark.parametrize("flags, says", [
    (["--colors", "paper"], "--colors paper: .*MXNet's iterator.* have only gluoncv"),
    (["--crop-law", "paper"], "--crop-law paper: .*MXNet's iterator.* have only rec"),
    (["--auto-aug"], "--auto-aug: .*MXNet's iterator.* have none"),
    (["--as", "paper"], "paper: .*MXNet's iterator.* --data-backend ours"),
])
def test_what_mxnets_iterator_cannot_do_is_refused(flags, says):
    with pytest.raises(UserError, match=says):
        parse("--use-rec", "--data-backend", "mxnet", *flags)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_this_kits_loader_is_the_default_of_both_presets(name):
    assert parse("--use-rec", "--as", name).data_backend == "ours"
