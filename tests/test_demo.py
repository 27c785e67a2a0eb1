"""make demo: its recipe is that of GluonCV's runs on the excerpt, and their spread tells right from wrong."""

import math
import re
import statistics
from pathlib import Path

import pytest

import train_cifar
from benchmarks import excerpt
from gluon_tricks.commands import compare
from gluon_tricks.judging.diagnosis import diagnose
from gluon_tricks.judging.verdict import judge, judge_logs
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.published.recipe import departures, recipe
from gluon_tricks.published.reference import dataset_of, find_reference
from gluon_tricks.published.repeats import repeats

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "logs" / "reference" / "excerpt"
INSIDE = ("verdict: INSIDE the band of GluonCV's own runs on this excerpt over epochs 0-9 of 10 "
          "(train 10/10, val 10/10)")


def flags_of_the_demo():
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    return re.search(r"^DEMO_FLAGS = (.*)$", text, re.MULTILINE)[1].split()


def test_the_recipe_of_the_demo_is_that_of_the_reference_runs():
    args = {**vars(train_cifar.parse_args(flags_of_the_demo())), "num_training_samples": 2000}
    reference = find_reference(read_log(FOLDER / "kit_seed100.log")).reference
    assert reference.name == "gluoncv_excerpt" and reference.epochs == args["num_epochs"] == excerpt.EPOCHS
    assert departures(recipe(args, "cifar10-excerpt"), recipe(reference.args, reference.dataset)) == []
    assert set(excerpt.FLAGS) <= set(flags_of_the_demo())


@pytest.mark.parametrize("witness", ["train", "val"])
def test_the_band_is_the_prediction_interval_that_was_fixed_before_the_runs(witness):
    runs = [read_log(FOLDER / f"gluoncv_seed{seed}.log") for seed in range(8)]
    [found] = [each for each in judge(FOLDER / "kit_seed100.log").comparisons if each.witness == witness]
    t = 6.08176                                       # Student, 7 degrees of freedom, at 1 - 0.01 / 20 / 2
    for epoch in range(10):
        values = [100 * (run.epochs[epoch].train_metric if witness == "train" else
                         1 - run.epochs[epoch].val_err_top1) for run in runs]
        assert found.published[epoch] == pytest.approx(statistics.mean(values), abs=1e-4)
        assert found.limits[1][epoch] == pytest.approx(t * statistics.stdev(values) * math.sqrt(1 + 1 / 8), rel=1e-4)


@pytest.mark.parametrize("seed", [100, 101, 102, 103])
def test_seeds_that_the_reference_does_not_have_are_inside(seed):
    assert judge(FOLDER / f"kit_seed{seed}.log").line == INSIDE


def test_the_four_seeds_together_are_inside():
    verdict = judge_logs([read_log(FOLDER / f"kit_seed{seed}.log") for seed in (100, 101, 102, 103)])
    assert verdict.outcome == "INSIDE" and verdict.held[0].tests["train"].p > 0.01


def test_a_rate_of_1_is_outside_with_its_diagnosis(capsys):
    assert compare.main([str(FOLDER / "kit_lr1.log")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("verdict: OUTSIDE the band of GluonCV's own runs on this excerpt")
    assert "departs from it in lr 1.0 (reference 0.1)" in lines[-1]
    assert any(line.startswith("diagnosis: unscaled rate: --lr 1 for a global batch of 64 is 10 times") for line in lines)


def test_the_reference_runs_are_inside_their_own_band_and_named_by_ref():
    """GluonCV's header does not name the data, so --ref does."""
    for seed in range(8):
        verdict = judge(FOLDER / f"gluoncv_seed{seed}.log", "gluoncv_excerpt")
        assert verdict.line == INSIDE and diagnose(verdict) == []


def test_a_run_on_part_of_the_excerpt_has_no_reference(tmp_path):
    text = (FOLDER / "kit_seed100.log").read_text().replace("num_training_samples=2000", "num_training_samples=80")
    (tmp_path / "run.log").write_text(text)
    assert judge(tmp_path / "run.log").line == (
        "verdict: none: 80 training images are not all 2000 of cifar10-excerpt; no published log to compare with")


def test_the_binaries_hold_the_excerpt(tmp_path):
    """GluonCV's Dataset reads the same images and labels in the publisher's format."""
    excerpt.write_binaries(tmp_path)
    from mxnet.gluon.data.vision import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "check_sha1", lambda *_: True)
        train, test = (datasets.CIFAR10(str(tmp_path), train=part) for part in (True, False))
    assert (len(train), len(test)) == (2000, 500)
    from gluon_tricks.data.cifar import find_cifar, open_cifar

    ours = open_cifar(find_cifar("cifar10-excerpt"), "ours", 64, 0, 1)
    picked = (0, 399, 400, 1999)
    assert [int(train[i][1]) for i in picked] == [int(ours.train.images.labels[i]) for i in picked]
    assert (train[1234][0].asnumpy() == ours.train.images.pixels[1234]).all()
    assert (test[77][0].asnumpy() == ours.val.images.pixels[77]).all()


def test_all_sets_of_reference_runs_are_on_the_data_they_name():
    assert "gluoncv_excerpt" in repeats() and dataset_of(read_log(FOLDER / "kit_seed100.log")) == "cifar10-excerpt"
