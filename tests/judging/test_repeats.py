"""Several runs of one recipe get one verdict; the formulas again, plainly."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from gluon_tricks.commands import compare
from gluon_tricks.errors import UserError
from gluon_tricks.judging.bands import band_of
from gluon_tricks.judging.repeats import (
    band_limits,
    compare_means,
    mean_interval,
    shrinkage,
    student_limit,
    student_share,
)
from gluon_tricks.judging.verdict import judge_logs
from gluon_tricks.log_lines.lines import namespace_line
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.published import repeats as published_repeats
from gluon_tricks.published.catalogue import curve, published_run
from tests.epoch_lines import cifar_epoch_line

OURS = Path(__file__).resolve().parents[2] / "logs" / "ours"
TWO = [OURS / "cifar_resnet20_v1_float32", OURS / "cifar_resnet20_v1_float32_seed1"]
NAME = "cifar_resnet20_v1"


def write_run(path, train, val=None, **args):
    """A log of GluonCV's script by the published command, with these accuracies (fractions)."""
    header = {**published_run(NAME).args, **args}
    lines = [namespace_line(header)]
    lines += [cifar_epoch_line(epoch, *pair, 1.0, 16.0) for epoch, pair in enumerate(zip(train, val or train))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(f"INFO:root:{line}" for line in lines) + "\n")
    return path


def published(points=0.0, epochs=60):
    """Training and validation accuracies of the published run, with points added to training."""
    records = curve(NAME)[:epochs]
    return [r.train_metric + points / 100 for r in records], [1 - r.val_err_top1 for r in records]


# --- Formulas -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 10, 15])
def test_students_distribution_is_the_integral_of_its_density(df):
    x, step = np.linspace(0, 3, 20001, retstep=True)
    constant = math.gamma((df + 1) / 2) / math.sqrt(df * math.pi) / math.gamma(df / 2)
    density = constant * (1 + x ** 2 / df) ** (-(df + 1) / 2)
    assert student_share(3, df) == pytest.approx(2 * step * (density.sum() - (density[0] + density[-1]) / 2), abs=1e-7)
    for share in (0.5, 0.95, 0.9995):
        assert student_share(student_limit(share, df), df) == pytest.approx(share, abs=1e-12)


def test_students_quantiles_are_those_of_the_tables():
    assert [round(student_limit(0.95, df), 3) for df in (1, 2, 7, 14)] == [12.706, 4.303, 2.365, 2.145]


@pytest.mark.parametrize("runs, reference_runs", [(1, 1), (2, 1), (3, 1), (3, 8)])
def test_the_noise_of_a_mean_shrinks_as_simulated(runs, reference_runs):
    draw = np.random.default_rng(0).normal
    spread = [(draw(size=(40_000, k)).mean(axis=1) - draw(size=(40_000, reference_runs)).mean(axis=1)).std()
              for k in (runs, 1)]
    assert shrinkage(runs, reference_runs) == pytest.approx(spread[0] / spread[1], rel=0.02)


@pytest.mark.parametrize("together", [0.0, 0.9])
def test_at_most_one_correct_run_in_a_hundred_leaves_a_band_of_eight(together):
    """20 figures a run, independent or nearly the same: Bonferroni's inequality holds for both."""
    rng, outside = np.random.default_rng(1), []
    for _ in range(6000):
        values = math.sqrt(1 - together) * rng.normal(size=(9, 20)) + math.sqrt(together) * rng.normal(size=(9, 1))
        outside.append((abs(values[8] - values[:8].mean(axis=0)) > band_limits(values[:8], 20)).any())
    assert 0 < np.mean(outside) < 0.0125                     # 0.01 and two standard errors of 6000 draws


def test_intervals_and_tests_equal_the_textbook():
    ours, theirs = np.array([[1.0, 2, 4, 6], [1, 3, 5, 9]]), np.array([[0.0, 0, 3, 5], [9, 9, 2, 4], [0, 1, 4, 6]])
    assert mean_interval(ours)[1] == pytest.approx(12.7062 * math.sqrt(0.5) / math.sqrt(2), rel=1e-4)
    found = compare_means(np.arange(10, 14), ours, theirs)
    here, there = [5.0, 7.0], [4.0, 3.0, 5.0]                # means of the later two epochs
    pooled = math.sqrt((2 * 1.0 + 0 + 1 + 1) / 3)            # squares about 6 and 4, 3 degrees of freedom
    assert (found.first, found.last, found.difference) == (12, 13, sum(here) / 2 - sum(there) / 3)
    assert found.deviation == pytest.approx(pooled)
    assert found.half_width == pytest.approx(3.18245 * pooled * math.sqrt(1 / 2 + 1 / 3), rel=1e-5)
    t = 2 / (pooled * math.sqrt(1 / 2 + 1 / 3))
    assert found.p == pytest.approx(1 - student_share(t, 3))
    assert compare_means(np.arange(2), ours[:1, :2], theirs[:1, :2]) is None


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_limits_of_a_mean_keep_half_a_slope_and_shrink_the_rest(runs):
    for witness, errors in (("train", 5), ("val", 3)):
        band = band_of(NAME, witness)
        factor = math.sqrt((1 + 1 / runs) / 2)
        for window, scatters in {1: 6, 9: 3, 36: 1}.items():
            noise = scatters * band.scatter + errors * band.counting
            half_slope = band.limits[window] - noise
            np.testing.assert_allclose(band.of_mean(runs).limits[window], factor * noise + half_slope)
            assert (half_slope >= -1e-12).all()


# --- Verdicts -----------------------------------------------------------------------------------------------

def test_two_committed_seeds_get_one_verdict(capsys, tmp_path):
    assert compare.main([*map(str, TWO), "--plot", str(tmp_path / "two.png")]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == ("verdict: INSIDE the band of cifar_resnet20_v1 (mean of 2 runs) over epochs 0-39 "
                                    "of 200 (train 40/40, val 40/40)")
    assert "of 2 runs against 1: the noise that limits allow for is 0.87 of one run's" in out
    figures = [[record.train_metric for record in read_log(next(folder.glob("*.log"))).epochs] for folder in TWO]
    last = f"   39  {50 * (figures[0][39] + figures[1][39]):9.2f}"
    assert last in out
    later = np.array(figures)[:, 20:].mean(axis=1).mean() - np.mean([r.train_metric for r in curve(NAME)[20:40]])
    assert f"train accuracy, %: {100 * later:+.2f} points in the mean of epochs 20-39" in out
    assert (tmp_path / "two.png").read_bytes().startswith(b"\x89PNG")


def test_a_mean_of_runs_finds_what_one_run_cannot(tmp_path):
    """Each run lies a little above nine tenths of its limit; their mean has a narrower one."""
    train, val = published(epochs=12)
    shift = 0.95 * band_of(NAME, "train").limits[9][:12] / 100
    noise = np.random.default_rng(0).normal(scale=3e-4, size=(3, 12))
    runs = [read_log(write_run(tmp_path / f"{seed}.log", train + shift + noise[seed], val)) for seed in range(3)]
    assert [judge_logs([run]).outcome for run in runs] == ["INSIDE"] * 3
    verdict = judge_logs(runs)
    assert verdict.outcome == "OUTSIDE" and "(mean of 3 runs)" in verdict.line
    assert "points above the published in the median of epochs" in verdict.line


def test_a_lasting_difference_that_bands_allow_is_found_by_the_test(tmp_path):
    """Half a point below in all epochs, with seeds that agree to hundredths: p is below 1 % for five runs."""
    train, val = published(-0.5)
    runs = [read_log(write_run(tmp_path / f"{seed}.log", [value + 1e-4 * seed for value in train], val))
            for seed in range(5)]
    verdict = judge_logs(runs)
    assert verdict.outcome == "OUTSIDE" and "train accuracy -0.48 points in the mean of epochs 30-59" in verdict.line
    assert all(comparison.inside.all() for comparison in verdict.comparisons)
    assert judge_logs(runs[:1]).outcome == "INSIDE"


@pytest.mark.parametrize("change, says", [
    ({"lr": 0.2}, "lr 0.2 (there 0.1)"), ({"model": "cifar_resnet56_v1"}, "model cifar_resnet56_v1"),
    ({"label_smoothing": True}, "label_smoothing True"), ({"dtype": "bfloat16"}, "dtype bfloat16"),
    ({"batch_size": 64}, "global_batch_size 64")])
def test_logs_of_different_recipes_are_refused_by_name(tmp_path, change, says):
    train, val = published(epochs=3)
    runs = [write_run(tmp_path / "a.log", train, val), write_run(tmp_path / "b.log", val, train, **change)]
    for first, second in (runs, runs[::-1]):
        with pytest.raises(UserError, match=f"{second.name}: is of another recipe than .*{first.name}: ") as caught:
            judge_logs([read_log(first), read_log(second)])
        assert "several logs must be seeds of one recipe" in str(caught.value)
        assert says in str(caught.value) or first.name == "b.log"


def test_one_run_given_twice_is_refused(tmp_path):
    log = next(TWO[0].glob("*.log"))
    with pytest.raises(UserError, match="copy.log: is the same run as .*; give each run once"):
        judge_logs([read_log(log), read_log(shutil.copy(log, tmp_path / "copy.log"))])


def test_several_logs_of_detection_are_refused():
    one = OURS / "faster_rcnn_cells_drawn_0"
    with pytest.raises(UserError, match="is a log of detection, of which no band is known; give it alone"):
        compare.main([str(one), str(TWO[0])])


# --- Reference runs of the first epochs ---------------------------------------------------------------------

@pytest.fixture
def first_epochs(tmp_path, monkeypatch):
    """`make(count)` writes so many runs of GluonCV's script of 8 epochs, spread by a point, as logs/reference has."""
    def make(count):
        folder = tmp_path / f"reference{count}"
        train, val = published(epochs=8)
        for seed in range(count):
            write_run(folder / "convergence" / f"gluoncv_seed{seed}" / "run.log",
                      [value + (seed - (count - 1) / 2) / 100 for value in train], val, num_epochs=8)
        write_run(folder / "convergence" / "gluoncv_seed99" / "run.log", train[:5], val[:5], num_epochs=8)     # not finished
        monkeypatch.setattr(published_repeats, "FOLDER", folder)
    return make


def test_first_epochs_are_held_against_three_reference_runs_too(first_epochs, tmp_path, capsys):
    train, val = published(epochs=12)
    log = write_run(tmp_path / "run.log", train, val)
    first_epochs(2)
    assert len(judge_logs([read_log(log)]).held) == 1
    first_epochs(3)
    verdict = judge_logs([read_log(log)])
    assert verdict.line.endswith("; INSIDE that of GluonCV's own runs of the first epochs over epochs 0-7 of 8 "
                                 "(train 8/8, val 8/8)")
    # mean of three, one point apart: t of 2 degrees of freedom at 1 - 0.01 / 16 / 2
    limit = verdict.held[1].comparisons[0].limits[1]
    np.testing.assert_allclose(limit, 39.98125 * 1.0 * math.sqrt(1 + 1 / 3), rtol=1e-4)
    assert compare.main([str(log)]) == 0
    assert "the same against GluonCV's own runs of the first epochs, 3 logs in logs/reference:" in capsys.readouterr().out


def test_a_run_outside_the_reference_runs_alone_is_outside(first_epochs, tmp_path):
    first_epochs(8)                                          # deviation 2.45 points, t = 6.0 ...
    train, val = published(epochs=8)
    runs = [read_log(write_run(tmp_path / f"{seed}.log", [v - 0.02 + 1e-4 * seed for v in train], val)) for seed in range(2)]
    band = band_of("gluoncv_first_epochs", "train")
    assert band.limits[1] == pytest.approx(band_limits(band.runs, 16)) and len(band.runs) == 8
    verdict = judge_logs(runs)
    test = verdict.held[1].tests["train"]
    assert test.difference == pytest.approx(-1.995, abs=0.01) and test.p > 0.01
    other = write_run(tmp_path / "lr.log", train, val, lr=0.3)
    assert len(judge_logs([read_log(other)]).held) == 1      # another recipe has no such reference


def test_committed_reference_runs_are_complete_and_of_one_recipe():
    for name, one in published_repeats.repeats().items():
        assert one.epochs == list(range(one.reference.args["num_epochs"])), name
    for folder, count in (("excerpt", 8), ("convergence", 2)):
        logs = sorted((published_repeats.FOLDER / folder).rglob("*gluoncv_seed*/*.log" if count == 2 else "gluoncv_*.log"))
        args = [read_log(log).args for log in logs]
        assert len(args) >= count and all({**each, "save_plot_dir": ""} == {**args[0], "save_plot_dir": ""} for each in args)
