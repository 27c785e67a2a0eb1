"""`tables`: what it prints, and what --run leaves, on 128 images."""

import csv
import io
import json
import signal
import subprocess
import sys
import time

import pytest

from gluon_tricks.commands import tables
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.recipes import STUDIES
from gluon_tricks.studies.readme import BEGIN, END, readme_block
from gluon_tricks.studies.runner import updates_done
from tests.data.small_records import png, random_images
from tests.processes import ROOT, start


def printed(capsys, *argv):
    assert tables.main(list(argv)) == 0
    return capsys.readouterr().out


def test_the_readme_holds_the_table_as_it_is_made_now():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text[text.index(BEGIN):text.index(END) + len(END) + 1] == readme_block(), (
        "put the output of `python -m gluon_tricks tables --readme` into README.md")


def test_without_a_table_there_is_a_list(capsys):
    out = printed(capsys)
    assert ("4          heuristics of efficient training, on ResNet-50 (§3.3), 10 rows, 10 with a command"
            in out)
    assert "GluonCV's published runs, 73" in out


def test_a_row_has_the_three_official_figures_and_its_command(capsys):
    out = printed(capsys, "6", "--rows", "7")
    figures, command = (next(line for line in out.splitlines()
                             if part in line) for part in ("label smoothing,", "python "))
    assert " ".join(figures.split()) == ("7 + label smoothing, ResNet-50-D 78.31 / 94.09 78.47 / 94.26 "
                                         "(resnet50_v1d) 78.48 / 94.20 (00319ddc) not run")
    assert command.endswith("--dtype float16 --warmup-epochs 5 --last-gamma --no-wd --label-smoothing")


@pytest.mark.parametrize("name, rows", [("1", 6), ("4", 10), ("6", 18), ("published", 73)])
def test_csv_and_markdown_have_every_row(capsys, name, rows):
    assert len(list(csv.DictReader(io.StringIO(printed(capsys, name, "--csv"))))) == rows
    lines = printed(capsys, name, "--markdown").splitlines()
    assert sum(line.startswith("| ") for line in lines) == rows + 2


def test_the_papers_choices_go_to_every_command(capsys):
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "4", "--as", "paper", "--csv"))))
    assert all(row["command"].endswith(" --as paper") for row in rows)


def test_our_runs_and_unusable_logs_among_the_published(capsys):
    rows = {row["row"]: row for row in csv.DictReader(io.StringIO(printed(capsys, "published", "--csv")))}
    assert rows["cifar_resnet20_v1"][
        "here"] == "85.99, epochs 0-39 of 200, INSIDE the band (cifar_resnet20_v1_float32)"
    assert rows["mobilenet1.0"]["log"] == "none (copy)" and rows["mobilenet1.0"]["zoo"] == "72.93 / 91.14"
    assert rows["resnet152_v1d"]["log"] == "none (synthetic-validation)"


@pytest.mark.parametrize("argv, rows", [
    (["6", "*mobilenet*"], 6), (["6", "resnet50_v1d", "INCEPTION*", "inceptionv3"], 12),     # by title or net
    (["published", "resnet50*"], 7), (["follow-up-III", "+ mixup"], 1), (["8", "*"], 7)])
def test_patterns_choose_rows(capsys, argv, rows):
    assert len(list(csv.DictReader(io.StringIO(printed(capsys, *argv, "--csv"))))) == rows


def test_a_pattern_may_stand_for_several_tables(capsys):
    out = printed(capsys, "follow-up-*")
    titles = [line for line in out.splitlines() if line.startswith("follow-up-")]
    assert [title.partition(":")[0] for title in titles] == [name for name in STUDIES if "follow-up-" in name]
    out = printed(capsys, "?", "*mobilenet*")
    assert "Table 2:" in out and "Table 6:" in out and "Table 4:" not in out


def test_run_takes_the_rows_of_a_pattern(tmp_path, monkeypatch, capsys):
    from gluon_tricks.studies import report, runner

    ran = []
    monkeypatch.setattr(runner, "run_rows", lambda runs, *rest: ran.extend(run.title for run in runs))
    monkeypatch.setattr(report, "write_report", lambda *rest: "report.md")
    assert tables.main(["6", "*mobilenet*", "--run", "--out", str(tmp_path)]) == 0
    assert "+ cosine decay, MobileNet" in ran and not any("ResNet-50-D" in title for title in ran)


@pytest.mark.parametrize("argv, says", [
    (["10"], "no table is called '10'"),
    (["6", "vgg*"], "no row of the table fits 'vgg.'"),
    (["?", "--csv"], "--csv: is for one table; . stands for 1, 2, 3"),
    (["follow-up-*", "--run"], "--run: is for one table"),
    (["6", "*", "--rows", "1"], "--rows 1 and .: give one"),
    (["4", "--rows", "11"], "--rows 11: the table has rows 1 to 10"),
    (["4", "--rows", "x"], "give numbers with commas"),
    (["1", "--run", "--rows", "2"], "--rows 2: quoted by the paper from elsewhere"),
    (["published", "--run"], "--run: is for the paper's tables"),
    (["4", "--", "--seed", "1"], "give --run"),
    (["4", "--run", "--profile", "small", "--rec-train", "x.rec"], "give both"),
    (["6", "--run", "--rows", "2"], "--rows 2: none of these can be run with --profile smoke"),
    (["4", "--run", "--", "--num-epochs", "1"], "--num-epochs: is decided by row, profile and --out"),
    (["follow-up-V", "--run", "--", "--save-dir=x"], "--save-dir=x: is decided by row, profile and --out"),
    (["4", "--csv", "--markdown"], "give one")])
def test_what_cannot_be_is_said(argv, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        tables.main(argv)


# --- --run --------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """16 training and 8 validation images of 2 classes."""
    folder = tmp_path_factory.mktemp("records")
    for name, count in (("train", 16), ("val", 8)):
        images = enumerate(random_images(count, 32, seed=count))
        list(write_image_records(folder / f"{name}.rec", folder / f"{name}.idx",
                                 ((key, key % 2, 0, png(image)) for key, image in images)))
    return ["--rec-train", str(folder / "train.rec"), "--rec-val", str(folder / "val.rec"), "--classes", "2"]


def run(records, out, *argv, more=()):
    words = [sys.executable, "-m", "gluon_tricks", "tables", *argv, "--run", *records, "--out", str(out),
             "--", "--input-size", "32", "--batch-size", "16", *more]
    return start(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_a_table_is_run_stopped_gone_on_with_and_reported(records, tmp_path):
    first, row = run(records, tmp_path, "6", "--rows", "3"), tmp_path / "03-efficient-mobilenet"
    deadline = time.time() + 300
    while time.time() < deadline and first.poll() is None and not (row / "console.txt").exists():
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate(timeout=600)
    assert first.returncode == 2
    assert "stopped in Efficient, MobileNet; the same command goes on from there" in err

    second = run(records, tmp_path, "6", "--rows", "3")
    out, err = second.communicate(timeout=600)
    assert second.returncode == 0, err
    assert "1 of 1: Efficient, MobileNet: validation top-1" in out
    log = read_log(row / "train.log")
    assert (log.epochs[-1].epoch, log.args["model"], log.args["lr_mode"]) == (5, "mobilenet0.25", "step")
    assert updates_done(row / "metrics.jsonl") == 6                       # one update of 16 images per epoch
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "# Table 6" in report and "| Efficient, MobileNet | 71.90 / 90.53 |" in report
    for sentence in ("Stands in: mobilenet0.25 for mobilenet1.0.",
                     "It says nothing about the paper's figures", "COMMON="):
        assert sentence in report
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"

    log_before = (row / "train.log").read_bytes()
    third = run(records, tmp_path, "6", "--rows", "3")
    out, err = third.communicate(timeout=600)
    # nothing was run again
    assert third.returncode == 0 and (row / "train.log").read_bytes() == log_before

    other_flags = run(records, tmp_path, "6", "--rows", "3", more=["--seed", "1"])
    out, err = other_flags.communicate(timeout=600)
    assert other_flags.returncode == 2 and "row 03-efficient-mobilenet was run there as" in err


@pytest.mark.slow
def test_a_row_that_fails_is_reported_and_the_exit_code_says_so(records, tmp_path):
    process = run(records, tmp_path, "6", "--rows", "3", more=["--lr-mode", "nonsense"])
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "1 of 1: Efficient, MobileNet: failed:" in out and "nonsense" in out
    assert "failed:" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "rows.json").read_text())


def test_updates_are_read_from_a_file_in_the_making(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    assert updates_done(metrics) == 0
    lines = [f'{{"kind": "epoch", "num_update": {number}, "epoch": 0}}\n' for number in (3, 5)]
    metrics.write_text(lines[0] + lines[1][:30])
    assert updates_done(metrics) == 3
    metrics.write_text("".join(lines))
    assert updates_done(metrics) == 5
    for damaged in (b"5\n", b'"num_update"\n', b"\xff\xfe\n", b'{"kind": "epoch", "num_update": "x"}\n'):
        metrics.write_bytes(lines[0].encode() + damaged)
        assert updates_done(metrics) == 3
