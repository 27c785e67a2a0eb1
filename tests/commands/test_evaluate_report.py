"""evaluate --report: its files agree with the printed count, and name every image."""

import csv
import json

import cv2
import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.commands import evaluate
from gluon_tricks.errors import UserError
from gluon_tricks.models.registry import get_model

SIZE = ["--input-size", "16", "--crop-ratio", "1", "-j", "0"]
NAMES = ["ant", "bee", "cow"]


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    path = tmp_path_factory.mktemp("params") / "net.params"
    net = get_model("mobilenet0.25", classes=len(NAMES))
    net.initialize()
    net(nd.zeros((1, 3, 16, 16)))
    net.save_parameters(str(path))
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, count in zip(NAMES, (9, 4, 12)):
        (folder / name).mkdir()
        for number in range(count):
            cv2.imwrite(str(folder / name / f"{number:02d}.png"), draw.integers(0, 255, (20, 24, 3), np.uint8))
    return folder


def report(params, folder, out, *flags):
    words = ["--model", "mobilenet0.25", "--params-file", params, "--data-dir", folder, "--report", out, "--json",
             out / "result.json", *SIZE, *flags]
    out.mkdir()
    assert evaluate.main(list(map(str, words))) == 0
    return json.loads((out / "result.json").read_text())


def test_row_sums_are_the_class_counts_and_the_trace_is_the_printed_top_1(params, photos, tmp_path):
    result = report(params, photos, tmp_path / "report")
    matrix = rows(tmp_path / "report" / "confusion.csv")
    counts = np.array([[int(row[name]) for name in NAMES] for row in matrix])
    assert [row["class"] for row in matrix] == NAMES and counts.sum(axis=1).tolist() == [9, 4, 12]
    assert np.trace(counts) == result["top1"]["correct"]
    classes = rows(tmp_path / "report" / "classes.csv")
    assert [int(row["right"]) for row in classes] == np.diag(counts).tolist()
    assert f"{np.trace(counts)} of 25 right" in (tmp_path / "report" / "report.md").read_text()


def test_every_image_has_its_line_and_the_pictures_are_pictures(params, photos, tmp_path):
    report(params, photos, tmp_path / "report")
    lines = rows(tmp_path / "report" / "predictions.csv")
    assert [line["image"] for line in lines] == sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    assert all(line["truth"] == line["image"].split("/")[0] for line in lines)
    assert all((line["right"] == "1") == (line["truth"] == line["answer"]) for line in lines)
    for name in ("confusion.png", "calibration.png", "mistakes.png", "least_sure.png"):
        picture = cv2.imread(str(tmp_path / "report" / name))
        assert min(picture.shape[:2]) > 100 and picture.std() > 1


def test_an_image_that_does_not_decode_is_in_no_figure(params, photos, tmp_path):
    (photos / "bee" / "zz.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    try:
        result = report(params, photos, tmp_path / "report", "--on-bad-record", "skip")
    finally:
        (photos / "bee" / "zz.png").unlink()
    assert result["images"] == 25 and len(rows(tmp_path / "report" / "predictions.csv")) == 25


def test_a_report_needs_to_know_which_image_is_which(params, tmp_path):
    with pytest.raises(UserError, match="--report: needs --data-backend ours"):
        evaluate.main(["--model", "mobilenet0.25", "--params-file", str(params), "--rec-val", str(tmp_path / "a.rec"),
                       "--data-backend", "mxnet", "--report", str(tmp_path / "report")])
