"""`read_run` finds the log, run.json and metrics.jsonl of a run, wherever its script put them."""

import json
import shutil
from pathlib import Path

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.judging.runs import read_run

OURS = Path(__file__).resolve().parents[2] / "logs" / "ours"
LOG = "train_cifar10_cifar_resnet20_v1.log"


@pytest.fixture
def beside(tmp_path):
    """A run whose files lie in one folder."""
    return Path(shutil.copytree(OURS / "cifar_resnet20_v1", tmp_path / "beside"))


@pytest.fixture
def demo(tmp_path):
    """A run as train_cifar.py leaves it: the log in the folder, its records in a folder of the log's name."""
    folder = tmp_path / "demo"
    records = folder / LOG.removesuffix(".log")
    shutil.copytree(OURS / "cifar_resnet20_v1", records)
    (records / LOG).rename(folder / LOG)
    (folder / "params").mkdir()
    return folder


@pytest.mark.parametrize("place", ["", LOG, LOG.removesuffix(".log")])
def test_folder_log_and_records_of_a_script_are_one_run(demo, place):
    run = read_run(demo / place)
    assert run.log.path == demo / LOG and run.folder == demo and run.name == "demo"
    assert run.facts["args"]["model"] == run.log.args["model"] == "cifar_resnet20_v1"
    assert sum(record["kind"] == "epoch" for record in run.metrics) == len(run.log.epochs) == 15


@pytest.mark.parametrize("place", ["", LOG])
def test_a_run_in_one_folder_is_found_by_folder_and_log(beside, place):
    run = read_run(beside / place)
    assert run.run_json == beside / "run.json" and run.metrics and run.name == "beside"


def test_a_bare_log_has_neither_folder_nor_facts(tmp_path):
    log = shutil.copy(OURS / "cifar_resnet20_v1" / LOG, tmp_path / "of_2019.log")
    run = read_run(log)
    assert (run.name, run.folder, run.facts, run.metrics) == ("of_2019", None, None, None)
    assert read_run(tmp_path).folder == tmp_path                       # but its folder may be named
    assert len(run.log.epochs) == 15


def test_records_next_to_two_logs_belong_to_neither(beside):
    shutil.copy(beside / LOG, beside / "other.log")
    assert read_run(beside / LOG).facts is None


def test_the_folder_of_several_logs_is_refused_by_name(beside):
    shutil.copy(beside / LOG, beside / "other.log")
    with pytest.raises(UserError, match=f"has 2 logs .other.log, {LOG}.; give one of them, as .*other.log"):
        read_run(beside)
    (beside / LOG).unlink()
    (beside / "other.log").unlink()
    with pytest.raises(UserError, match="has no log .* give the folder of a run, or its log"):
        read_run(beside)
    with pytest.raises(UserError, match="missing: cannot be read|missing.*No such file"):
        read_run(beside / "missing")


def test_detection_and_segmentation_are_runs_too():
    run = read_run(OURS / "faster_rcnn_cells_drawn_0")
    assert run.is_transfer and run.log.main == "mAP" and run.facts["score"] and run.metrics
    assert read_run(OURS / "fcn_resnet18_v1b_camvid").log.main == "mIoU"


@pytest.mark.parametrize("name, content, says", [
    ("run.json", "[1]", "it is no JSON object"), ("run.json", b"\xff{}", "is no run.json of this kit"),
    ("run.json", "[" * 100_000, "nested too deeply"), ("run.json", '{"a": 1, "a": 2}', "twice"),
    ("run.json", '{"seed": "0"}', "seed is '0', no int"), ("run.json", '{"commit": 1}', "commit is 1, no str"),
    ("run.json", '{"args": {"num_epochs": "many"}}', "args: num_epochs='many' must be a whole"),
    ("run.json", '{"args": {"seed": 5}}', "its header says model cifar_resnet20_v1, .* None: they are not of one"),
    ("metrics.jsonl", '{"kind": "epoch", "epoch": 3}\n', "metrics.jsonl: ends in epoch 3, .* in epoch 14"),
    ("metrics.jsonl", "[]\n", "line 1: is no record of a run")])
def test_a_damaged_record_is_an_error_only_for_who_reads_it(beside, name, content, says):
    (beside / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    run = read_run(beside)
    assert len(run.log.epochs) == 15
    with pytest.raises(UserError, match=says) as caught:
        run.facts if name == "run.json" else run.metrics               # noqa: B018
    assert "\n" not in str(caught.value) and str(beside / name) in str(caught.value)


def test_every_committed_run_can_be_read():
    for path in OURS.rglob("run.json"):
        run = read_run(path.parent)
        assert run.facts == {**json.loads(path.read_text()), "args": run.facts["args"]}, path
        assert run.metrics or not path.with_name("metrics.jsonl").exists(), path
