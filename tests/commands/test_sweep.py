"""`sweep`: the grid, what is refused, and two seeds of two cells trained, stopped short and gone on with."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_tricks.commands import sweep
from gluon_tricks.errors import UserError
from gluon_tricks.studies import sweep_report
from gluon_tricks.studies.sweep_grid import run_of
from tests.lab_runs import write_part_of_excerpt
from tests.processes import ENDS_WITH_PARENT

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["--dataset", "cifar10-excerpt", "--model", "cifar_resnet20_v1", "--mode", "hybrid", "--batch-size",
         "1000", "--num-epochs", "1", "-j", "1"]


def test_every_cell_and_seed_has_a_command(capsys):
    assert sweep.main(["--grid", "mix=none,vertical", "no-wd=no,yes", "--seeds", "0,4", "--dry-run", "--",
                       *WORDS]) == 0
    first, *commands = capsys.readouterr().out.splitlines()
    assert first == "4 cells x 2 seeds = 8 runs, 16 updates" and len(set(commands)) == 8
    assert sum("--mix vertical" in command for command in commands) == 4
    assert sum(command.endswith("--mix vertical --no-wd --seed 4") for command in commands) == 1
    assert sum("--mix none" in command or "--no-wd no" in command for command in commands) == 0


def test_cases_have_their_own_flags_and_each_gets_the_grid(capsys):
    argv = ["--cases", "plain=", "cosine=--lr-mode cosine --batch-size 500", "--grid", "no-wd=no,yes",
            "--seeds", "3"]
    assert sweep.main([*argv, "--dry-run", "--", *WORDS]) == 0
    first, *commands = capsys.readouterr().out.splitlines()
    # 2,000 images: 2 updates of 1,000, 4 of 500
    assert first == "4 cells x 1 seeds = 4 runs, 12 updates"
    assert [command.partition("-j 1")[2] for command in commands] == [
        " --seed 3", " --no-wd --seed 3", " --lr-mode cosine --batch-size 500 --seed 3",
        " --lr-mode cosine --batch-size 500 --no-wd --seed 3"]
    assert sweep.main([*argv[:3], "--seeds", "3", "--dry-run", "--", *WORDS]) == 0
    assert capsys.readouterr().out.startswith("2 cells x 1 seeds = 2 runs")
    assert [run.slug for run in (run_of({"case": "a b", "lr": "1"}, 0, []),
                                 run_of({"case": "c"}, 1, []))] == [
        "case-a-b_lr-1_seed-0", "case-c_seed-1"]


@pytest.mark.parametrize("argv, says", [
    (["--grid", "lr"], "give FLAG=VALUE"), (["--grid", "lr=0.1,0.1"], "gives a value twice"),
    (["--grid", "lr=1", "lr=2"], "--lr is given twice"), (["--grid", "seed=1,2"], "with --seeds"),
    (["--grid", "lr=1", "--seeds", "0,0"], "--seeds"),
    (["--grid", "lr=0,1"], "lr 0, seed 0: --lr 0.0: must be positive"),
    (["--grid", "json-log=a/b,a-b"], "would share the folder json-log-a-b_seed-0"),
    (["--grid", "nonsense=1"], "train_cifar.py does not take"), ([], "give --grid, --cases or both"),
    (["--cases", "cosine"], "give NAME=FLAGS"), (["--cases", "a=", "a=--no-wd"], "gives a twice"),
    (["--cases", "a=--lr-mode straight"], "case a, seed 0: train_cifar.py does not take"),
    (["--cases", "a=--seed 3"], "--seed: give --seeds")])
def test_what_cannot_be_is_said_before_anything_is_trained(argv, says):
    with pytest.raises(UserError, match=says):
        sweep.main([*argv, "--dry-run", "--", *WORDS])


def test_medians_and_spreads():
    cells = [{"lr": "0.1"}, {"lr": "0.2"}, {"lr": "0.3"}]
    results = {(0, 0): [50.0, 12.0], (0, 1): [50.0, 10.0], (0, 2): [9.0, 17.0], (1, 0): [8.0]}
    assert sweep_report.summary(cells, results) == [
        {"lr": "0.1", "seeds": 3, "median_error_pct": "12.00", "least": "10.00", "greatest": "17.00",
         "deviation": "3.61"},
        {"lr": "0.2", "seeds": 1, "median_error_pct": "8.00", "least": "8.00", "greatest": "8.00",
         "deviation": ""}]


def test_cells_are_compared_seed_by_seed():
    results = {(0, 0): [9.0, 5.0], (0, 1): [7.0], (0, 2): [4.0], (1, 0): [6.0], (1, 1): [6.0], (2, 5): [1.0]}
    assert sweep_report.duel(results, 0, 1) == "1 of 2 (+0.00)" and sweep_report.duel(results, 1,
                                                                                      0) == "1 of 2 (+0.00)"
    # equal is not better
    assert sweep_report.duel({(0, 0): [5.0], (1, 0): [5.0]}, 0, 1) == "0 of 1 (+0.00)"
    assert sweep_report.duel({(0, s): [e] for s, e in enumerate((1.0, 5.5, 9.0))}
                             | {(1, s): [6.0] for s in range(3)}, 0, 1
                             ) == "2 of 3 (-0.50)"
    assert sweep_report.duel(results, 0, 2) == "-"
    cells = [{"case": "plain"}, {"case": "cosine", "lr": "0.1"}, {"case": "never run"}]
    runs = {(i, seed): run_of(cells[i], seed, WORDS) for i in range(3) for seed in (0, 1)}
    results = {key: results[key] for key in runs if key in results}
    rows = sweep_report.summary(cells, results)
    lines = list(sweep_report.report(cells, runs, results, rows, "sweep ..."))
    assert "4 of 6 runs are finished" in lines[4]
    assert "| plain |  | 1 of 2 (+0.00) |" in lines and "| cosine, lr 0.1 | 1 of 2 (+0.00) |  |" in lines
    assert not any("never run" in line for line in lines
                   if line.startswith("|")) and "![curves](sweep.png)" in lines
    nothing = list(sweep_report.report(cells, runs, {}, [], "sweep ..."))
    assert "0 of 6 runs are finished" in nothing[4] and "sweep.png" not in "".join(nothing)


@pytest.mark.slow
def test_a_grid_is_trained_and_extended(tmp_path):
    data = write_part_of_excerpt(tmp_path / "data", train=80, test=50)
    words = [*WORDS, "--data-dir", str(data), "--batch-size", "40"]

    def run(*argv):
        return subprocess.run([*ENDS_WITH_PARENT, sys.executable, "-m", "gluon_tricks", "sweep", *argv, "--out",
                               str(tmp_path), "--", *words], cwd=ROOT, capture_output=True, text=True,
                              env={**os.environ, "MPLBACKEND": "Agg"}, timeout=600)

    first = run("--grid", "lr=0.1", "--seeds", "0")
    assert first.returncode == 0, first.stderr
    log = tmp_path / "lr-0.1_seed-0" / "train_cifar10_cifar_resnet20_v1.log"
    before = log.read_bytes()
    second = run("--grid", "lr=0.1,0.001", "--seeds", "0")
    assert second.returncode == 0, second.stderr
    # the finished run is left alone
    assert log.read_bytes() == before
    rows, cells = (list(csv.DictReader((tmp_path
                                        / f"{name}.csv").read_text().splitlines())) for name in ("runs",
                                                                                                 "summary"))
    assert [(row["lr"], row["seed"], row["epochs"]) for row in rows] == [("0.1", "0", "1"),
                                                                         ("0.001", "0", "1")]
    assert [cell["seeds"] for cell in cells] == ["1", "1"]
    assert (tmp_path / "sweep.png").read_bytes()[:4] == b"\x89PNG"
    assert "median_error_pct" in second.stdout and f"report: {tmp_path / 'report.md'}" in second.stdout
    assert "2 of 2 runs are finished" in (tmp_path / "report.md").read_text()
