"""Log lines of detection and segmentation: GluonCV's are read, ours are theirs."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_tricks.commands import compare
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines import transfer
from gluon_tricks.log_lines.lines import parse_line
from gluon_tricks.log_lines.transfer import DetectionDialect, SegmentationDialect, read_transfer_log
from gluon_tricks.published.catalogue import FOLDER
from gluon_tricks.published.transfer import published_transfer

# Of faster_rcnn_resnet50_v1b_voc_train.log, shortened
DETECTION = """\
Namespace(batch_size=4, dataset='voc', epochs=20, gpus='0,1,2,3', lr=0.001, network='resnet50_v1b', wd=0.0005)
Start training from [Epoch 0]
[Epoch 0][Batch 99], Speed: 11.735 samples/sec, RPN_Conf=0.655,RPN_SmoothL1=0.050,RCNN_CrossEntropy=0.773,\
RCNN_SmoothL1=0.345,RPNAcc=0.877,RPNL1Loss=0.392,RCNNAcc=0.845,RCNNL1Loss=2.392
[Epoch 0] Training cost: 1312.133, RPN_Conf=0.139,RPN_SmoothL1=0.047,RCNN_CrossEntropy=0.316,RCNN_SmoothL1=0.359
[Epoch 0] Validation:\x20
aeroplane=0.5
bicycle=nan
mAP=0.40289797
[Epoch 0] mAP 0.40289797 higher than current best [0] saving to faster_rcnn_resnet50_v1b_voc_best.params
[Epoch 1] Set learning rate to 0.0001
[Epoch 1] Training cost: 1319.984, RPN_Conf=0.094,RPN_SmoothL1=0.042,RCNN_CrossEntropy=0.245,RCNN_SmoothL1=0.288
[Epoch 1] Validation:\x20
aeroplane=0.6
mAP=0.56368908
"""
SEGMENTATION = """\
Epoch 0 iteration 0659/0661: training loss 0.900
Epoch 0 validation pixAcc: 0.856, mIoU: 0.646
Epoch 1 iteration 0659/0661: training loss 0.800
"""


figure = st.one_of(st.integers(-10**9, 10**9).map(lambda n: n / 1000),
                   st.sampled_from([float("inf"), float("-inf")]))
count = st.integers(0, 10**6)
pairs = st.dictionaries(st.sampled_from(transfer.METRICS), figure, min_size=1).map(transfer.Pairs)
any_line = st.one_of(
    st.builds(transfer.DetectionBatch, count, count, figure, pairs),
    st.builds(transfer.DetectionCost, count, figure, pairs),
    st.builds(transfer.DetectionRate, count, st.sampled_from([1.0, 0.001, 0.0001, 1e-05, 2.5e-07, 0.0])),
    st.builds(transfer.DetectionValidation, count),
    st.builds(transfer.DetectionScore, st.sampled_from(["aeroplane", "traffic light", "mAP"]),
              st.floats(allow_nan=False)),
    st.builds(transfer.SegmentationBatch, count, count, count, figure),
    st.builds(transfer.SegmentationValidation, count, figure, figure))


def read(tmp_path, text):
    (tmp_path / "x.log").write_text(text)
    return read_transfer_log(tmp_path / "x.log")


def test_a_published_detection_log_is_read(tmp_path):
    log = read(tmp_path, DETECTION)
    assert (log.task, log.args["network"], len(log.epochs)) == ("detection", "resnet50_v1b", 2)
    first, second = log.epochs
    assert first.scores["mAP"] == 0.40289797 and first.scores["aeroplane"] == 0.5
    assert first.figures["RPN_Conf"] == 0.139 and first.figures[
        "RCNNL1Loss"] == 2.392 and first.cost_s == 1312.133
    assert second.scores["mAP"] == 0.56368908


def test_what_was_done_again_replaces_what_it_repeats(tmp_path):
    again = DETECTION + DETECTION.replace("mAP=0.40289797", "mAP=0.1").split("[Epoch 1]")[0]
    log = read(tmp_path, again)
    assert [epoch.scores["mAP"] for epoch in log.epochs] == [0.1]


def test_a_segmentation_log_is_read(tmp_path):
    log = read(tmp_path, SEGMENTATION)
    assert log.task == "segmentation" and [epoch.scores for epoch in log.epochs] == [{"pixAcc": 0.856,
                                                                                      "mIoU": 0.646}]


def test_other_logs_are_none_of_these(tmp_path):
    assert read(tmp_path,
                "INFO:root:[Epoch 0] train=0.467608 val=0.558900 loss=1.452417 time: 16.450441\n") is None


def test_lines_that_we_write_are_read_back(tmp_path):
    losses = dict(zip(("RPN_Conf", "RPN_SmoothL1", "RCNN_CrossEntropy", "RCNN_SmoothL1", "RPNAcc",
                       "RPNL1Loss", "RCNNAcc", "RCNNL1Loss"),
                      (0.655, 0.05, 0.773, 0.345, 0.877, 0.392, 0.845, 2.392)))
    numbers = {"epoch": 0, "batch": 100, "samples_per_s": 11.735, "train_s": 3.5, "map_voc07": 0.25,
               "classes": {"cell": 0.25}, **losses}
    lines = [*DetectionDialect.interval_lines(numbers, ""), *DetectionDialect.epoch_lines(numbers, "")]
    assert lines[0] == DETECTION.splitlines()[2]                     # batch 100 is number 99
    log = read(tmp_path, "\n".join(lines) + "\n")
    assert log.epochs[0].figures == losses and log.epochs[0].scores == {"cell": 0.25, "mAP": 0.25}
    dialect = SegmentationDialect(661)
    numbers = {"epoch": 0, "batch": 660, "training_loss": 0.9, "pix_acc": 0.856, "miou": 0.646}
    lines = [*dialect.interval_lines(numbers, ""), *dialect.epoch_lines(numbers, "")]
    assert lines == SEGMENTATION.splitlines()[:2]


@given(any_line, st.sampled_from(["", "INFO:root:"]))
def test_every_kind_of_line_reads_back_as_written(line, prefix):
    assert parse_line(prefix + str(line), transfer.KINDS) == line


def test_the_texts_above_hold_every_kind_of_line():
    lines = [parse_line(text, transfer.KINDS) for text in (DETECTION + SEGMENTATION).splitlines()]
    assert {type(line) for line in lines if line} == set(transfer.KINDS)


@pytest.mark.parametrize("text, line", [
    ("[Epoch 20] Set learning rate to 1e-05", transfer.DetectionRate(20, 1e-05)),       # resnet50_v2a
    # its last blank cut off
    ("[Epoch 19] Validation:", transfer.DetectionValidation(19)),
    ("mAP=0.7765967923775811", transfer.DetectionScore("mAP", 0.7765967923775811)),
    ("cell=1e-05", transfer.DetectionScore("cell", 1e-05)),
])
def test_formats_of_numbers(text, line):
    assert parse_line(text, transfer.KINDS) == line


# published-runs table of GluonCV's documentation and files
@pytest.mark.parametrize("name, epochs, last, best", [
    ("faster_rcnn_resnet50_v1b_voc", 20, 77.66, 78.31), ("faster_rcnn_resnet50_v2a_voc", 29, 77.67, 77.93)])
def test_published_curves(name, epochs, last, best):
    run = published_transfer()[name]
    curve = [100 * row["mAP"] for row in run["epochs"]]
    assert len(curve) == epochs and round(curve[-1], 2) == last and round(max(curve), 2) == best
    assert len(run["classes"]) == 20
    assert sum(run["classes"].values()) / 20 == pytest.approx(run["epochs"][-1]["mAP"], abs=1e-5)


def test_compare_puts_a_run_beside_the_published_one(tmp_path, capsys):
    (tmp_path
     / "run.log").write_text(DETECTION.replace("mAP=0.56368908", "mAP=0.55368908").replace("lr=0.001",
                                                                                           "lr=0.002"))
    assert compare.main([str(tmp_path / "run.log")]) == 2
    said = capsys.readouterr().out
    assert "departs    lr 0.002 (published 0.001)" in said
    assert "verdict: none: -1.00 points mAP at epoch 1 compared with faster_rcnn_resnet50_v1b_voc" in said


@pytest.mark.parametrize("text, says", [
    (DETECTION.replace("resnet50_v1b", "resnet18_v1b"), "no published log on VOC is of resnet18_v1b"),
    (DETECTION.replace("lr=0.001", "lr=0.001, train_splits='2007_trainval'"), "trained on 2007_trainval"),
    (SEGMENTATION, "no log of segmentation is in this repository"),
])
def test_compare_says_why_there_is_no_reference(tmp_path, capsys, text, says):
    (tmp_path / "run.log").write_text(text)
    assert compare.main([str(tmp_path / "run.log")]) == 2
    assert says in capsys.readouterr().out


def test_compare_refuses_what_it_cannot_do(tmp_path):
    (tmp_path / "run.log").write_text(DETECTION)
    with pytest.raises(UserError, match="--plot"):
        compare.main([str(tmp_path / "run.log"), "--plot", "x.png"])
    with pytest.raises(UserError, match="--ref nothing: the published logs on VOC are "
                                        "faster_rcnn_resnet50_v1b_voc"):
        compare.main([str(tmp_path / "run.log"), "--ref", "nothing"])
    (tmp_path / "run.log").write_text(DETECTION.splitlines()[2] + "\n")
    with pytest.raises(UserError, match="no validated epoch"):
        compare.main([str(tmp_path / "run.log")])


def test_the_catalogue_is_small_and_whole():
    assert (FOLDER / "transfer.json").stat().st_size < 50_000
    assert all(set(row) >= {"epoch", "mAP",
                            "RPN_Conf"} for run in json.loads(Path(FOLDER / "transfer.json").read_text())
               for row in run["epochs"])
