"""The table of differences, and its measurements where the result is known."""

import re

import pytest

from gluon_tricks.commands import differences
from gluon_tricks.commands.differences import DIFFERENCES, effect
from gluon_tricks.recipes.presets import PRESETS


def difference(flag):
    return next(each for each in DIFFERENCES if each.flag == flag)


def test_every_setting_of_the_presets_has_a_row_with_their_values():
    assert set(PRESETS["paper"]) - {"hard_weight"} <= {each.flag for each in DIFFERENCES}
    for each in DIFFERENCES:
        # the last two are decided by the path of the data under GluonCV's preset
        if each.in_preset and each.flag not in ("soft_weight", "crop_law", "val_protocol"):
            assert each.settings == (PRESETS["gluoncv"][each.flag], PRESETS["paper"][each.flag])


@pytest.mark.slow
def test_the_papers_distillation_doubles_loss_and_gradient(tmp_path):
    """Weights 1 and 1 instead of 0.5 and 0.5; only the tiny weight decay keeps the update from doubling
    too."""
    words = effect(difference("soft_weight"), tmp_path)
    found = re.fullmatch(r"loss (\S+) -> (\S+); rate \S+; change of the weights (\S+) % apart", words)
    assert float(found[2]) == pytest.approx(2 * float(found[1]), rel=1e-5)
    assert float(found[3]) == pytest.approx(100, abs=0.5)


@pytest.mark.slow
def test_the_first_rate_of_warm_up(tmp_path):
    """5 epochs of 125 updates to 0.1 x 16 / 256: 1 / 624 of it, or 1 / 625."""
    peak = 0.1 * 16 / 256
    assert f"rate {peak / 624:.6g} -> {peak / 625:.6g};" in effect(difference("lr_formula"), tmp_path)


@pytest.mark.slow
def test_a_scaled_loss_changes_nothing_in_float32(tmp_path):
    assert effect(difference("loss_scale"), tmp_path).endswith("change of the weights the same")


def test_the_table_is_printed_without_measurements(capsys):
    assert differences.main(["--no-measure", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(DIFFERENCES) and all(len(re.findall(r"(?<!\\)\|",
                                                                     line)) == 6 for line in lines)
    assert differences.main(["--no-measure"]) == 0
    assert capsys.readouterr().out.count("not measured") == len(DIFFERENCES)
