"""The same training at any number of devices and processes: the same images in each update, the same
parameters after it.
"""

import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from jobs import ENGINES, ROOT, arrays_of, assert_close, finish, start

from gluon_tricks.data.recordio import write_image_records

pytestmark = pytest.mark.slow
SCRIPT = "tests/engines/narrow.py"
TRICKS = ["--no-wd", "--label-smoothing", "--warmup-epochs", "1", "--num-epochs", "3", "--lr-mode", "cosine",
          "--lr", "0.05", "--wd", "0.01"]
# another number of threads adds up in another order, and within a few updates ReLUs make much of it
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
# two updates of 16 an epoch, seven images left out; validation ends in a part of a batch
TRAIN, VAL = 39, 13


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return write_records(tmp_path_factory.mktemp("records"))


def write_records(folder):
    for seed, (name, count) in enumerate((("train", TRAIN), ("val", VAL))):
        images = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)
        encoded = ((key, key % 4, 0, cv2.imencode(".png", image)[1].tobytes()) for key,
                   image in enumerate(images))
        assert len(list(write_image_records(folder / f"{name}.rec", folder / f"{name}.idx",
                                            encoded))) == count
    return folder


def words(records, folder, batch_size, *flags):
    paths = [word for part in ("train", "val") for word in (f"--rec-{part}", records / f"{part}.rec",
                                                            f"--rec-{part}-idx", records / f"{part}.idx")]
    return [str(word) for word in
            ["--mode", "hybrid", "--use-rec", *paths, "--data-backend", "ours", "--classes", "4",
             "--num-training-samples", TRAIN, "--input-size", "32", "-j", "1", *TRICKS, "--batch-size",
             batch_size,
             "--val-protocol", "exact", "--save-dir", folder, "--logging-file", folder / "train.log", *flags]]


# GroupNorm sees one image at a time, so it does not matter who has which
GROUPNORM = ["--model", "resnet18_v1b", "--use-gn", "--last-gamma", "--max-updates", "2", "--save-frequency",
             "0"]
# BatchNorm and mixup see a device's part of the batch
PARTS = ["--model", "cifar_resnet20_v1", "--mixup", "--checkpoint-period", "1"]


@pytest.fixture(scope="module")
def single(records, tmp_path_factory):
    """Runs of one process: name -> folder."""
    folder = tmp_path_factory.mktemp("single")
    runs = {"one": [16, *GROUPNORM],
            "four devices": [4, *GROUPNORM, "--num-cpus", "4", "--kvstore", "local"],
            "two parts": [8, *PARTS, "--emulate-gpus", "2"],
            "two devices with parts": [8, *PARTS, "--num-cpus", "2"]}
    argvs = [words(records, folder / name, batch_size, *flags) for name, (batch_size, *flags) in runs.items()]
    program = ("from tests.engines.narrow import train_imagenet\n"
               f"for argv in {argvs!r}:\n    assert train_imagenet.main(argv) == 0")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True,
                          env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    return {name: folder / name for name in runs}


def resume_arrays(folder):
    """Parameters and momentum of a run's resume file; statistics of BatchNorm are compared on their own."""
    return {name: array for name, array in arrays_of(*folder.glob("*.resume.npz")).items()
            if name.split("/")[0] in ("param", "state") and "running" not in name}


def statistics(folder):
    """BatchNorm's running statistics, the mean over the file's devices."""
    arrays = arrays_of(*folder.glob("*.resume.npz"))
    found = {}
    for name in (name for name in arrays if name.startswith("param/") and "running" in name):
        parts = [arrays[name]] + [array for other, array in arrays.items()
                                  if other.startswith("param@")
                                  and other.split("/", 1)[1] == name.split("/", 1)[1]]
        found[name] = np.mean(parts, axis=0)
    assert found
    return found


def logged(folder, pattern):
    """Numbers of all lines of a kind."""
    text = (folder / "train.log").read_text()
    return [[float(number) for number in match.groups()] for match in re.finditer(pattern, text)]


RMSE = r"training: rmse=(\S+)"


def test_devices_of_one_process_equal_one_device(single):
    assert_close(resume_arrays(single["four devices"]), resume_arrays(single["one"]))


def test_emulated_devices_equal_devices(single):
    assert_close(resume_arrays(single["two parts"]), resume_arrays(single["two devices with parts"]))


@pytest.mark.parametrize("engine", ENGINES)
def test_processes_equal_devices_with_local_statistics_and_mixup(engine, single, records, tmp_path):
    finish(start(engine, 2, [SCRIPT, *words(records, tmp_path, 8, *PARTS)]))
    assert_close(resume_arrays(tmp_path), resume_arrays(single["two devices with parts"]))
    assert_close(statistics(tmp_path), statistics(single["two devices with parts"]))
    assert "x 2 processes" in (tmp_path / "train.log").read_text()
    assert logged(tmp_path, RMSE)[-1] == pytest.approx(logged(single["two devices with parts"], RMSE)[-1],
                                                       abs=2e-6)


def test_four_processes_equal_one(single, records, tmp_path):
    output = finish(start("dist_sync", 4, [SCRIPT, *words(records, tmp_path, 4, *GROUPNORM)],
                        "--servers", "2"))
    assert_close(resume_arrays(tmp_path), resume_arrays(single["one"]))
    assert not re.search(r"^\[[123]\]", output, re.MULTILINE), output        # only the writer speaks


def test_a_run_goes_on_at_another_world_size(single, records, tmp_path):
    words_of = [words(records, tmp_path, size, *GROUPNORM, *more)
                for size, more in ((8, ["--max-updates", "1"]), (16, ["--resume", "auto"]))]
    finish(start("dist_sync", 2, [SCRIPT, *words_of[0]]))
    done = subprocess.run([sys.executable, SCRIPT, *words_of[1]], cwd=ROOT, capture_output=True,
                          text=True, env=ONE_THREAD)
    assert done.returncode == 0 and "resumed at epoch 0, batch 1, update 1" in done.stderr, done.stderr
    assert "processes x devices were 2 x 1 and are now 1 x 1" in done.stderr
    assert_close(resume_arrays(tmp_path), resume_arrays(single["one"]))
