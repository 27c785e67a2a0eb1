"""report: a page of any log, finished or not; what a log does not tell is said to be not known."""

import html
import re
from pathlib import Path

import numpy as np
import pytest

from gluon_tricks.commands.report import main
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.log_lines import following
from gluon_tricks.pages.report import read_shown, report
from gluon_tricks.published import repeats
from tests.epoch_lines import cifar_epoch_line
from tests.pages.dialects import DIALECTS, write_log

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "logs" / "ours"
MOST_BYTES = 6_000_000


def shown(*paths, ref=None):
    runs, _ = read_shown(list(paths), ref)
    return runs


def panels(run):
    return [curve.panel for curve in run.curves]


def text_of(page):
    """The page's own words, without scripts and tags."""
    body = page[page.index("<main>"):page.index("</footer>")]
    return re.sub(r"<[^>]+>", " ", re.sub(r"<script.*?</script>", "", body, flags=re.DOTALL))


# --- Every kind of run --------------------------------------------------------------------------------------

@pytest.mark.parametrize(("dialect", "outcome", "curves"), [
    ("cifar", "INSIDE", ["training accuracy, %", "validation accuracy, %", "training loss"]),
    ("cifar-mixup", "INSIDE", ["training RMSE x 100", "validation accuracy, %", "training loss"]),
    ("imagenet-A", "INSIDE", ["training accuracy, %", "validation error, %"]),
    ("imagenet-B", "INSIDE", ["training accuracy, %", "validation error, %"]),
    ("imagenet-C", "INSIDE", ["training accuracy, %", "validation error, %"]),
    ("horovod", "INSIDE", ["training RMSE x 100", "validation error, %"]),
    ("faster-rcnn", "none", ["validation mAP, %", "training loss of the RPN", "training loss of the RCNN"]),
])
def test_a_bare_log_of_every_dialect_is_shown(tmp_path, dialect, outcome, curves):
    log = write_log(tmp_path / "run.log", dialect, epochs=12)
    run, = shown(log)
    assert (run.name, run.outcome, panels(run)) == ("run", outcome, curves)
    assert run.reference == DIALECTS[dialect]
    assert any(sentence.startswith("the data: no root hash") for sentence in run.not_known)
    assert run.differences
    assert ("the seed" in run.not_known) == (dialect != "faster-rcnn")         # its header has --seed
    page = report([run])
    assert len(page.encode()) < MOST_BYTES
    assert all(f">{title}<" in page for title in ("Recipe", "Diagnosis", "Epochs", "Origin", "Not known"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_log_that_ends_anywhere_is_shown_or_refused(tmp_path, dialect):
    content = write_log(tmp_path / "whole.log", dialect, epochs=6).read_bytes()
    cut, shown_epochs = tmp_path / "cut.log", set()
    for end in sorted(np.random.default_rng(7).integers(0, len(content), 8)):
        cut.write_bytes(content[:end])
        try:
            run, = shown(cut)
        except UserError as refusal:
            assert "epoch" in str(refusal)
            shown_epochs.add(0)
        else:
            assert text_of(report([run])).count("Not known")
            shown_epochs.add(len(run.epochs[1]))
    assert len(shown_epochs) > 2                     # cuts in different epochs


@pytest.mark.parametrize("dialect", DIALECTS)
def test_without_a_header_the_recipe_is_not_known_and_nothing_is_compared(tmp_path, dialect):
    log = write_log(tmp_path / "run.log", dialect, epochs=3)
    log.write_text("\n".join(log.read_text().splitlines()[1:]) + "\n")
    run, = shown(log)
    assert (run.outcome, run.reference, run.recipe) == ("none", "", {})
    assert "the recipe: the log has no Namespace line, which holds the flags" in run.not_known
    assert "Not known: the log has no line with the run" in text_of(report([run]))


@pytest.mark.parametrize(("folder", "rate"), [("cifar_resnet20_v1", "Every logged interval."),
                                              ("faster_rcnn_cells_drawn_0", "Every logged interval."),
                                              ("fcn_resnet18_v1b_camvid", "Every logged interval.")])
def test_the_folder_of_a_run_also_tells_its_origin(folder, rate):
    run, = shown(OURS / folder)
    facts = dict(run.facts)
    assert {"command", "data root hash", "versions", "machine", "seed", "SHA-256 of the log"} <= {*facts}
    assert rate in [curve.note for curve in run.course if curve.panel == "learning rate"]
    assert not [sentence for sentence in run.not_known if "command" in sentence or "the data:" in sentence]


def test_a_rate_that_the_script_does_not_log_is_not_invented(tmp_path):
    run, = shown(write_log(tmp_path / "run.log", "cifar", epochs=3))
    assert [curve.panel for curve in run.course] == ["seconds per epoch"]
    assert "the learning rate at each epoch: logs of this script do not print it" in run.not_known


def test_seeds_and_recipes_lie_over_each_other_under_distinct_names(tmp_path):
    logs = []
    for folder in "ab":
        (tmp_path / folder).mkdir()
        logs.append(write_log(tmp_path / folder / "run.log", "cifar", epochs=4 + (folder == "b")))
    logs.append(write_log(tmp_path / "mixup.log", "cifar-mixup", epochs=5))
    runs = shown(*logs)
    assert [run.name for run in runs] == ["a/run", "b/run", "mixup"]
    page = text_of(report(runs))
    assert re.search(r"a/run \([\d.]+ in epoch 3\), b/run \([\d.]+ in epoch 4\) and mixup ", page)
    assert page.count(": INSIDE") == 3
    assert "reference: cifar_resnet20_v1_mixup" in page


def test_seeds_of_one_recipe_also_get_one_verdict(capsys, tmp_path):
    seeds = [str(OURS / name) for name in ("cifar_resnet20_v1_float32", "cifar_resnet20_v1_float32_seed1")]
    page = tmp_path / "seeds.html"
    for others, names in (([], "all runs"), ([str(OURS / "cifar_resnet20_v1_mixup")],
                                             "cifar_resnet20_v1_float32, cifar_resnet20_v1_float32_seed1")):
        assert main([*seeds, *others, "--out", str(page)]) == 0
        last = capsys.readouterr().out.splitlines()[-2]
        assert re.match(rf"{names}: verdict: INSIDE the band of cifar_resnet20_v1 .*mean of 2 runs", last)
        assert f"{names}: INSIDE" in text_of(page.read_text())


def test_several_runs_of_gluoncvs_script_are_a_reference_too(tmp_path, monkeypatch):
    def lines(seed):
        return "".join(f"INFO:root:{cifar_epoch_line(epoch, 0.3 + 0.1 * epoch + 0.01 * seed, 0.3, 1.0, 2.0)}\n"
                       for epoch in range(4))

    (tmp_path / "excerpt").mkdir()
    for name in ("gluoncv_seed0", "gluoncv_seed1", "gluoncv_seed2"):
        log = write_log(tmp_path / "excerpt" / f"{name}.log", "cifar", epochs=0, num_epochs=4)
        log.write_text(log.read_text() + lines(int(name[-1])))
    monkeypatch.setattr(repeats, "FOLDER", tmp_path)
    log = write_log(tmp_path / "run.log", "cifar", epochs=0, num_epochs=4, dataset="cifar10-excerpt")
    log.write_text(log.read_text() + lines(1))
    run, = shown(log)
    assert (run.outcome, run.reference) == ("INSIDE", "GluonCV's own runs on this excerpt")
    assert {curve.note for curve in run.published} == {"mean of 3 runs of GluonCV's script"}
    assert "GluonCV's own runs on this excerpt (mean of 3 runs of GluonCV" in html.unescape(report([run]))


# --- What the page says -------------------------------------------------------------------------------------

def test_differences_of_the_recipe_are_marked_and_departures_named(tmp_path):
    page = report(shown(write_log(tmp_path / "run.log", "cifar", epochs=3, lr=0.8)))
    assert re.search(r'<tr class="marked"><td>lr</td><td[^>]*>0.8</td><td[^>]*>0.1</td></tr>', page)
    assert "Departures from the published recipe: lr." in page
    assert page.count('<tr class="marked">') == 1


def test_epochs_outside_the_band_are_crosses_and_marked_rows(tmp_path):
    log = write_log(tmp_path / "run.log", "cifar", epochs=8)
    rows = log.read_text().splitlines()
    rows[4] = f"INFO:root:{cifar_epoch_line(3, 0.2, 0.7, 1.0, 16.0)}"
    log.write_text("\n".join(rows) + "\n")
    run, = shown(log)
    page = report([run])
    assert run.outcome == "OUTSIDE"
    assert '"name":"outside: run"' in page
    assert page.count('<tr class="marked"><td class="number">3</td>') == 1


def test_a_run_that_diverged_has_gaps(tmp_path):
    log = write_log(tmp_path / "run.log", "cifar", epochs=4)
    nan = float("nan")
    log.write_text(log.read_text() + f"INFO:root:{cifar_epoch_line(4, nan, 0.1, nan, 16.0)}\n")
    run, = shown(log)
    page = report([run])
    assert run.outcome == "OUTSIDE"
    assert "not a number in epoch 4" in text_of(page)
    assert "NaN" not in "".join(re.findall(r'<script type="application/json".*?</script>', page))


def test_a_finding_is_shown_with_its_remedy(tmp_path):
    chance = "".join(f"INFO:root:{cifar_epoch_line(epoch, 0.4 + 0.1 * epoch, 0.1, 1.0, 16.0)}\n" for epoch in range(4))
    log = write_log(tmp_path / "run.log", "cifar", epochs=1)
    log.write_text(log.read_text().splitlines()[0] + "\n" + chance)
    page = text_of(report(shown(log)))
    assert "chance validation" in page
    assert "Remedy: " in page


# --- The command --------------------------------------------------------------------------------------------

def test_the_page_is_written_and_the_verdict_printed(tmp_path, capsys):
    log, out = write_log(tmp_path / "run.log", "cifar"), tmp_path / "page.html"
    assert main([str(log), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run: verdict: INSIDE the band of cifar_resnet20_v1 over epochs 0-199 of 200 (train 200/200, val 200/200)",
        f"written: {out}"]
    assert out.stat().st_size < MOST_BYTES
    assert "location.reload()," not in out.read_text()


@pytest.mark.parametrize(("words", "says"), [
    (["nothing.log"], "nothing.log"),
    (["empty.log"], "no finished epoch"),
    (["run.log", "run.log"], "is given twice"),
    (["run.log", "--ref", "resnet_99"], "no published log is called 'resnet_99'"),
    (["run.log", "--out", "none/report.html"], "--out none/report.html: its folder does not exist"),
    (["run.log", "--out", "."], "--out .: is a folder"),
])
def test_unusable_input_is_refused_with_code_2(tmp_path, monkeypatch, capsys, words, says):
    write_log(tmp_path / "run.log", "cifar", epochs=2)
    (tmp_path / "empty.log").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        run_main(lambda: main(words), "report")
    assert end.value.code == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.html"))


# --- --watch ------------------------------------------------------------------------------------------------

def test_watching_writes_the_page_again_and_ends_with_one_that_stays(tmp_path, monkeypatch, capsys):
    log, out = write_log(tmp_path / "run.log", "cifar", epochs=3, num_epochs=4), tmp_path / "report.html"
    pages = []

    def last_epoch(seconds):
        pages.append(out.read_text())
        with log.open("a") as stream:
            stream.write(f"INFO:root:{cifar_epoch_line(3, 0.76, 0.71, 0.68, 16.0)}\n")

    monkeypatch.setattr(following.time, "sleep", last_epoch)
    assert main([str(log), "--watch", "--out", str(out)]) == 0
    page, = pages
    assert "All 3 epochs" in page
    assert "location.reload()," in page
    assert "All 4 epochs" in out.read_text()
    assert "location.reload()," not in out.read_text()
    assert "0-2 of 200" in capsys.readouterr().out
