"""A run whose files cannot be written, or which is not alone, ends in one sentence and loses nothing."""

import json
import os
import shutil
import sys

import numpy as np
import pytest
from mxnet.base import MXNetError

import train_imagenet
from gluon_tricks.training import loop, run
from gluon_tricks.training.classifier import ClassifierRun
from tests.script_runs import run_here

NAME = "imagenet-cifar_resnet20_v1"
# two epochs of two updates
WORDS = ["--model", "cifar_resnet20_v1", "--synthetic", "--classes", "10", "--num-training-samples", "8",
         "--input-size", "16", "--batch-size", "4", "--num-epochs", "2", "--log-interval", "1"]


def words(folder, *more):
    return [*WORDS, "--save-dir", f"{folder}/params", "--logging-file", f"{folder}/train.log", *more]


def train(folder, *more, check=0):
    return run_here(train_imagenet.main, words(folder, *more), check)


@pytest.fixture
def before_epoch(monkeypatch):
    """`before_epoch(1, call)`: `call()` once, before the training of epoch 1."""
    def set_up(epoch, call):
        def disturbed(*arguments, **options):
            progress = next(one for one in arguments if hasattr(one, "num_update"))
            if progress.epoch == epoch:
                monkeypatch.undo()
                call()
            return trains(*arguments, **options)
        trains = loop.train_epoch
        monkeypatch.setattr(loop, "train_epoch", disturbed)
    return set_up


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    train(folder)
    return arrays(folder)


def arrays(folder):
    with np.load(folder / "params" / f"{NAME}.resume.npz") as archive:
        return {name: archive[name].tobytes() for name in archive.files if "/" in name}


def sentences(output):
    return [line for line in output.splitlines() if "error: " in line]


def epochs(folder):
    """Epoch numbers of the log's and of the metrics' validation lines."""
    log = [int(line[7]) for line in (folder / "train.log").read_text().splitlines()
           if "] validation: " in line]
    metrics = map(json.loads, (folder / "train" / "metrics.jsonl").read_text().splitlines())
    return log, [record["epoch"] for record in metrics if record["kind"] == "epoch"]


# --- Files that cannot be written ---------------------------------------------------------------------------

@pytest.mark.parametrize("lost", ["train.log", "train/metrics.jsonl", "params", "train"])
def test_a_file_that_is_deleted_stops_the_run_which_saves_its_state(lost, before_epoch, undisturbed, tmp_path):
    def delete():
        shutil.rmtree(tmp_path / lost) if (tmp_path / lost).is_dir() else (tmp_path / lost).unlink()

    before_epoch(1, delete)
    done = train(tmp_path, check=1)
    [sentence] = sentences(done.stderr)
    assert str(tmp_path / lost) in sentence and "--resume auto" in sentence
    assert "Traceback" not in done.stderr and "Logging error" not in done.stderr
    assert (tmp_path / "params" / f"{NAME}.resume.npz").exists()
    (tmp_path / "train").mkdir(exist_ok=True)
    train(tmp_path, "--resume", "auto")
    assert arrays(tmp_path) == undisturbed
    log, metrics = epochs(tmp_path)
    assert log[-1] == 1 and metrics[-1] == 1


def test_a_closed_console_stops_the_run_and_the_log_says_why(monkeypatch, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as console:
        monkeypatch.setattr(sys, "stderr", console)
        assert train_imagenet.main(words(tmp_path)) == 1
    [sentence] = sentences((tmp_path / "train.log").read_text())
    assert "standard error cannot be written (Broken pipe); stopped at epoch 0" in sentence


def test_a_log_that_cannot_be_opened_is_one_sentence(tmp_path):
    (tmp_path / "train.log").mkdir()
    [sentence] = sentences(train(tmp_path, check=1).stderr)
    assert "train.log cannot be written (Is a directory)" in sentence


def test_a_picture_that_cannot_be_written_is_a_warning(undisturbed, tmp_path):
    (tmp_path / "train" / "cifar_resnet20_v1_history.png").mkdir(parents=True)
    done = train(tmp_path)
    assert done.stderr.count("cifar_resnet20_v1_history.png was not written") == 1
    assert arrays(tmp_path) == undisturbed


@pytest.fixture
def drawn(monkeypatch):
    """The epochs in each drawing of a plot."""
    drawn = []
    monkeypatch.setattr(ClassifierRun, "plot_history", staticmethod(
        lambda path, history, facts: drawn.append([row["epoch"] for row in history])))
    return drawn


def test_a_short_run_is_plotted_when_it_ends(drawn, tmp_path):
    train(tmp_path)
    assert drawn == [[0, 1]]


def test_a_long_run_is_plotted_while_it_trains(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PLOT_PERIOD_S", 0)
    train(tmp_path)
    assert drawn == [[0], [0, 1]]


def test_a_stopped_run_is_plotted(drawn, tmp_path):
    train(tmp_path, "--max-updates", "3")
    assert drawn == [[0]]


def test_a_run_without_its_plot_gets_it_when_it_is_resumed(tmp_path):
    train(tmp_path)
    [plot] = tmp_path.rglob("*_history.png")
    plot.unlink()
    train(tmp_path, "--resume", "auto")
    assert plot.is_file()


def fail_as_mxnet_does():
    raise MXNetError('Traceback ...\n  File "cpu_device_storage.h", line 74\nFailed to allocate CPU Memory')


@pytest.mark.parametrize("allocate", [lambda: bytearray(1 << 60), fail_as_mxnet_does])
def test_too_little_memory_is_one_sentence(allocate, before_epoch, tmp_path):
    before_epoch(1, allocate)
    done = train(tmp_path, check=1)
    [sentence] = sentences(done.stderr)
    assert "not enough memory at epoch 1, after update 2" in sentence
    assert "resume.npz has the last good state, of update 2" in sentence and "--batch-size" in sentence
    assert (tmp_path / "train" / "cifar_resnet20_v1_history.png").is_file()


# --- Two runs at once ---------------------------------------------------------------------------------------

def test_another_run_is_refused_while_one_writes_the_same_files(before_epoch, undisturbed, tmp_path):
    others = [([], "--save-dir"), (["--overwrite"], "--save-dir"), (["--resume", "auto"], "--save-dir"),
              (["--save-dir", f"{tmp_path}/other"], "--logging-file"),
              (["--logging-file", f"{tmp_path}/other.log"], "--save-dir"),
              (["--save-dir", f"{tmp_path}/other", "--logging-file", f"{tmp_path}/other.log", "--json-log",
                f"{tmp_path}/train/metrics.jsonl"], "--json-log")]
    said = []
    before_epoch(1, lambda: said.extend(train(tmp_path, *more, check=2).stderr for more, _ in others))
    train(tmp_path)
    for sentence, (_, flag) in zip(said, others):
        assert f"error: {flag}: {tmp_path}" in sentence and "belongs to a run that has not ended" in sentence
        assert f"process {os.getpid()} on " in sentence and "train_imagenet.py --model" in sentence
    assert len(said) == len(others) and arrays(tmp_path) == undisturbed
    assert not list(tmp_path.rglob("*.lock")) and not list((tmp_path / "other").iterdir())
