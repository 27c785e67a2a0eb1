"""Measuring the input pipeline: the records, the table, and sides that really run."""

import cv2
import numpy as np
import pytest

from gluon_tricks.benching import input as bench_input
from gluon_tricks.benching.paired import Measured
from gluon_tricks.data.recordio import RecordReader, write_image_records
from gluon_tricks.errors import UserError


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    """Ten JPEGs of 60 x 80 pixels."""
    folder, rng = tmp_path_factory.mktemp("rec"), np.random.default_rng(0)
    images = (cv2.imencode(".jpg",
                           rng.integers(0, 256, (60, 80, 3), np.uint8))[1].tobytes() for _ in range(10))
    rows = ((key, key, 0, image) for key, image in enumerate(images))
    list(write_image_records(folder / "train.rec", folder / "train.idx", rows))
    return folder / "train.rec"


@pytest.mark.parametrize("count, expected",
                         [(4, [0, 3, 6, 9]), (10, range(10)), (23, [*range(10), *range(10), 0, 1, 2])])
def test_records_are_spread_over_the_file_or_repeat_it(rec, tmp_path, count, expected):
    mean_bytes = bench_input.copy_records(rec, tmp_path / "some.rec", count)
    got, source = RecordReader(tmp_path / "some.rec"), RecordReader(rec)
    assert [got.read(i) for i in range(len(got))] == [source.read(i) for i in expected]
    assert mean_bytes == np.mean([len(source.read(i)) for i in expected])


def test_a_row_compares_with_ours_and_counts_decoders():
    rates = Measured({"ours": [1000.0], "mxnet": [250.0], "decode": [1600.0], "decode-1": [800.0]})
    cpu_ms = Measured({"ours": [2.0], "mxnet": [3.0], "decode": [1.25], "decode-1": [1.25]})
    assert bench_input.report_row("mxnet", rates, cpu_ms, {}) == (
        "mxnet", "250 (250 to 250)", "4.00 (4.00 to 4.00)", "0.31 (0.31 to 0.31)", "3.00",
        "1.50 (1.50 to 1.50)")
    assert bench_input.report_row("pytorch", rates, cpu_ms, {"pytorch": "not here"})[:2] == ("pytorch",
                                                                                             "not run")
    assert list(bench_input.sentences(rates)) == ["ours reaches 62 (62 to 62) % of what decoding in full "
                                                  "alone does"]


@pytest.mark.slow
def test_sides_run_and_the_report_says_what_was_measured(rec, tmp_path, capsys):
    words = ["--rec-train", str(rec), "--sides", "ours", "decode-1", "--images", "8", "--batch-size", "4",
             "--input-size", "32", "--out", str(tmp_path)]
    assert bench_input.main(words) == 0
    out = capsys.readouterr().out
    assert "| ours | " in out and "| decode-1 | " in out and "-j 2, batch 4, 8 photographs a turn" in out
    assert (tmp_path / "input.md").read_text() == out and (tmp_path / "input.json").exists()


@pytest.mark.parametrize("words, message", [
    (["--rec-train", "nowhere.rec"], "--rec-train nowhere.rec: does not exist; make it with "
     "data_prep/imagenet.py"),
    (["--torch-python", "nowhere"], "--torch-python nowhere: does not exist; make torch"),
    (["--images", "3", "--batch-size", "4"], "--images 3: must be at least 4"),
    (["--rounds", "2"], "--rounds 2: at least 5"),
])
def test_wrong_flags_are_refused(rec, words, message):
    with pytest.raises(UserError, match=message):
        bench_input.main(["--rec-train", str(rec), *words])
