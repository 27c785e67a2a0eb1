"""`--dtype float16` on CPUs: said to be an emulation, resumed bit for bit, evaluated in the same numbers."""

import json

import numpy as np
import pytest

import train_imagenet
from gluon_tricks.commands import evaluate
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.script.auto_dtype import EMULATION
from tests.lab_runs import left_by, train_words, write_data
from tests.script_runs import run_here
from train_cifar import main as train_cifar_main

pytestmark = pytest.mark.slow
FLAGS = ["--dtype", "float16", "--loss-scale", "64"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """`(folder, data, finished process)` of an epoch of two updates."""
    folder = tmp_path_factory.mktemp("straight")
    data = write_data(folder / "data", "cifar10")
    return folder, data, trained(folder, data)


def trained(folder, data, *more):
    return run_here(train_cifar_main, train_words(folder, *FLAGS, "--data-dir", str(data), *more))


def test_log_and_record_say_that_it_is_an_emulation(straight):
    folder, _, done = straight
    assert EMULATION in done.stderr and "[Epoch 0] loss scale 64, 0 updates skipped so far" in done.stderr
    record = json.loads(next(folder.rglob("run.json")).read_text())
    assert record["dtype"] == "float16" and record["args"]["emulated_float16"] is True
    assert read_log(next(folder.glob("*.log"))).args["emulated_float16"] is True


def test_the_saved_parameters_are_float16_and_the_masters_float32(straight, tmp_path):
    trained(tmp_path, straight[1], "--max-updates", "1")
    with np.load(next(tmp_path.rglob("*.resume.npz"))) as archive:
        kinds = {name: archive[name].dtype for name in archive.files}
    assert kinds["param/output.weight"] == np.float16
    assert {kind for name, kind in kinds.items() if name.startswith("state/")} == {np.dtype(np.float32)}


def test_stopped_and_resumed_equals_uninterrupted(straight, tmp_path):
    folder, data, _ = straight
    trained(tmp_path, data, "--max-updates", "1")
    trained(tmp_path, data, "--resume", "auto")
    for path in (folder / "params").glob("*-0.params"):
        assert (tmp_path / "params" / path.name).read_bytes() == path.read_bytes()


def test_evaluate_computes_in_the_runs_numbers(straight, tmp_path):
    params, epoch = left_by(straight[0])
    assert evaluate.main(["--params-file", str(params), "-j", "0", "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["args"]["dtype"] == "float16"
    assert (result["top1"]["err"], result["top5"]["err"]) == (epoch["err_top1"], epoch["err_top5"])


def test_train_imagenet_with_the_published_float16_flags(tmp_path):
    words = ["--model", "cifar_resnet20_v1", "--synthetic", "--classes", "5", "--num-training-samples", "8",
             "--input-size", "32", "--batch-size", "4", "--num-epochs", "2", "--mode", "hybrid", "--lr",
             "0.01", "--lr-mode", "cosine", "--warmup-epochs", "1", "--no-wd", "--label-smoothing",
             "--mixup", "--save-dir", str(tmp_path), "--logging-file", str(tmp_path / "run.log"), "--dtype",
             "float16", "--loss-scale", "dynamic"]
    done = run_here(train_imagenet.main, words)
    assert EMULATION in done.stderr and "[Epoch 1] loss scale" in done.stderr
    assert len(read_log(tmp_path / "run.log").epochs) == 2
