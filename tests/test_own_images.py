"""The walk of docs/your-own-images.md: three commands from a folder of photographs to the name of a class."""

import csv

import cv2
import numpy as np
import pytest

import train_imagenet
from gluon_tricks.commands import evaluate, predict, prepare
from gluon_tricks.errors import UserError
from tests.script_runs import run_here

COLORS = {"blue": (255, 0, 0), "green": (0, 255, 0), "red": (0, 0, 255)}      # BGR
TRAINING = ["--model", "mobilenet0.25", "--input-size", "32", "--mode", "hybrid", "--batch-size", "9", "--lr", "0.1",
            "--num-epochs", "8", "-j", "1"]


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """`(folder, what the training said)` after the first two commands."""
    folder, draw = tmp_path_factory.mktemp("walk"), np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(12):
            image = np.clip(np.array(color) + draw.normal(0, 60, (40, 48, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / "photos" / name / f"{number:02d}.jpg"), image)
    words = ["folder", str(folder / "photos"), "--out", str(folder / "rec"), "--val-share", "0.25"]
    assert prepare.main(words) == 0
    trained = run_here(train_imagenet.main, [
        "--rec-dir", str(folder / "rec"), *TRAINING, "--save-dir", str(folder / "params"), "--logging-file",
        str(folder / "train.log")])
    return folder, trained.stdout + trained.stderr


@pytest.mark.slow
def test_the_training_takes_counts_and_names_from_the_data(walk):
    _, said = walk
    assert "data: 27 training images of 3 classes" in said and "3 updates/epoch in the schedule, 3 in the data" in said


@pytest.mark.slow
def test_the_report_names_the_files_and_predict_answers_as_it_says(walk, capsys):
    folder, _ = walk
    params = ["--params-file", str(folder / "params" / "imagenet-mobilenet0.25-7.params"), "-j", "1"]
    assert evaluate.main([*params, "--rec-dir", str(folder / "rec"), "--report", str(folder / "report")]) == 0
    lines = list(csv.DictReader((folder / "report" / "predictions.csv").read_text().splitlines()))
    assert len(lines) == 9 and all(line["image"].split("/")[0] == line["truth"] for line in lines)
    for line in lines[::4]:
        capsys.readouterr()
        assert predict.main([str(folder / "photos" / line["image"]), *params]) == 0
        name, probability = capsys.readouterr().out.splitlines()[0].split(": ")[1].split(",")[0].split()
        assert name == line["answer"] and float(probability) == pytest.approx(float(line["probability"]), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("flags, message", [
    (["--classes", "4"], "--classes 4: the data have 3"),
    (["--num-training-samples", "30"], "--num-training-samples 30: the training set has 27"),
    (["--rec-val", "x.rec"], "says where the images are; leave --rec-val out"),
    (["--data-dir", "x"], "says where the images are; leave --data-dir out"),
])
def test_flags_that_contradict_the_folder_are_refused(walk, tmp_path, flags, message):
    folder, _ = walk
    with pytest.raises(UserError, match=message):
        train_imagenet.main(["--rec-dir", str(folder / "rec"), *TRAINING, "--save-dir", str(tmp_path), "--logging-file",
                             str(tmp_path / "train.log"), *flags])
