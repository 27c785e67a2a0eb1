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


@pytest.mark.parametrize("flags", [["--colors", "paper"], ["--crop-law", "paper"],
                                   ["--as", "paper", "--data-backend", "mxnet"]])
def test_what_mxnets_iterator_cannot_do_is_refused(flags):
    with pytest.raises(UserError, match="supports GluonCV's crops and colours only"):
        parse("--use-rec", *flags)
