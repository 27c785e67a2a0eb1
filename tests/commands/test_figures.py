"""The values behind Figures 3 and 4, against the paper's and against formulas written again."""

import csv
import math

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.commands import figures
from gluon_tricks.data.paths import EXCERPT_DIR
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.lines import ImagenetTrain, ImagenetValidation, namespace_line
from gluon_tricks.models.registry import get_model
from gluon_tricks.tricks.label_smoothing import optimal_gap, smooth_one_hot


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_gap_is_the_papers():
    # "around 9.1" (§5.2)
    assert optimal_gap(0.1, 1000, "paper") == pytest.approx(9.1, abs=0.05)
    # "eps = (K-1)/K: identical"
    assert optimal_gap(0.999, 1000, "paper") == pytest.approx(0, abs=1e-9)
    for eps, classes in ((0.01, 1000), (0.1, 10), (0.6, 7)):
        assert optimal_gap(eps, classes, "paper") == pytest.approx(math.log((classes - 1) * (1 - eps) / eps))
        for rule in ("paper", "gluoncv"):
            row = smooth_one_hot(nd.array([1]), classes, eps, rule).asnumpy()[0]
            assert optimal_gap(eps, classes, rule) == pytest.approx(math.log(row[1] / row[0]), rel=1e-5)


def test_the_gap_is_where_the_loss_is_least():
    """Gradient descent on the outputs themselves ends there."""
    target = smooth_one_hot(nd.array([2]), 10, 0.1, "paper").asnumpy()[0]
    outputs = np.zeros(10)
    for _ in range(20000):
        softmax = np.exp(outputs) / np.exp(outputs).sum()
        outputs -= 0.5 * (softmax - target)
    assert figures.gap_of(outputs[None])[0] == pytest.approx(optimal_gap(0.1, 10, "paper"), abs=1e-3)


def test_measured_gap_is_the_highest_minus_the_average_of_the_rest():
    assert figures.gap_of(np.array([[1.0, 5.0, 3.0], [2.0, 2.0, 2.0]])).tolist() == [5 - (1 + 3) / 2, 0]


def test_schedules_of_figure_3a(tmp_path):
    assert figures.main(["--out", str(tmp_path)]) == 0
    rows = rows_of(tmp_path / "figure3a.csv")
    step, cosine = ([float(row[kind]) for row in rows] for kind in ("step", "cosine"))
    assert len(rows) == 121
    assert step[:6] == pytest.approx([(epoch * 1251 + 1) / (5 * 1251) * 0.4 for epoch in range(5)] + [0.4],
                                     rel=1e-4)
    assert [step[epoch] for epoch in (29, 30, 60, 90)] == pytest.approx([0.4, 0.04, 0.004, 0.0004])
    for epoch in (5, 40, 80, 119):         # Eq. 1: update t of T, warm-up ignored
        t, total = (epoch - 5) * 1251 + 1, 115 * 1251
        assert cosine[epoch] == pytest.approx(0.5 * (1 + math.cos(math.pi * t / total)) * 0.4)
    assert cosine[120] == pytest.approx(0, abs=1e-9)
    # "decreases slowly at the beginning, almost linear in the middle, slows down again"; lower than step
    # until it drops
    assert all(c < s for c, s in zip(cosine[6:30], step[6:30])) and all(c > s for c, s in zip(cosine[30:108],
                                                                                              step[30:108]))


def test_without_files_3b_is_of_published_logs_and_4b_is_left_out(tmp_path, capsys):
    assert figures.main(["--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "3b  cosine: published resnet50_v1d, top-1 78.47 % in epoch 119" in out
    assert "3b  step: published vgg16_bn" in out and "4b  left out: give --params-plain" in out
    assert "9.104 (about 9.1 in the paper)" in out
    assert not (tmp_path / "figure4b.csv").exists()
    height = {name: cv2.imread(str(tmp_path / name)).shape[0] for name in ("figure3.png", "figure4.png")}
    assert height["figure4.png"] < 0.6 * height["figure3.png"]             # no empty panel


def test_curves_of_ones_own_logs(tmp_path):
    for mode in ("step", "cosine"):
        lines = [namespace_line({"model": "resnet50_v1d", "lr_mode": mode}),
                 str(ImagenetTrain(0, "accuracy", 0.1)),
                 str(ImagenetValidation(0, 0.75 if mode == "step" else 0.5, 0.4))]
        (tmp_path / f"{mode}.log").write_text("\n".join(lines) + "\n")
    step, cosine = str(tmp_path / "step.log"), str(tmp_path / "cosine.log")
    assert figures.main(["--out", str(tmp_path), "--step-log", step, "--cosine-log", cosine]) == 0
    assert [(row["decay"], row["top1_pct"]) for row in rows_of(tmp_path / "figure3b.csv")] == [
        ("step", "25.0000"), ("cosine", "50.0000")]
    with pytest.raises(UserError, match="its header says --lr-mode cosine"):
        figures.main(["--out", str(tmp_path), "--step-log", cosine])


@pytest.mark.slow
def test_gaps_of_two_parameter_files(tmp_path):
    """Doubling the last layer doubles every gap."""
    mx.random.seed(1)
    net = get_model("resnet18_v1b", classes=10)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 3, 32, 32)))
    net.save_parameters(str(tmp_path / "plain.params"))
    for param in net.fc.collect_params().values():
        param.set_data(2 * param.data())
    net.save_parameters(str(tmp_path / "smooth.params"))
    files = [word for kind in ("plain", "smooth") for word in (f"--params-{kind}",
                                                               str(tmp_path / f"{kind}.params"))]
    assert figures.main(["--out", str(tmp_path), "--model", "resnet18_v1b", "--classes", "10", "--input-size",
                         "32", *files, "--rec-val", str(EXCERPT_DIR / "test.rec"), "--batch-size",
                         "100"]) == 0
    gaps = {kind: np.array([float(row["gap"]) for row in rows_of(tmp_path / "figure4b.csv")
                            if row["parameters"] == kind])
            for kind in ("plain", "smooth")}
    assert len(gaps["plain"]) == 500 and gaps["plain"].min() > 0
    np.testing.assert_allclose(gaps["smooth"], 2 * gaps["plain"], rtol=1e-3)


@pytest.mark.parametrize("argv, says", [
    (["--params-plain", "x"], "--params-smooth, --model, --rec-val: figure 4b needs all"),
    (["--eps", "0"], "--eps 0.0: must be positive"),
    (["--params-plain", "x", "--params-smooth", "y", "--model", "resnet18_v1", "--rec-val", "no.rec"],
     "no.rec: does not exist")])
def test_what_is_missing_is_named(argv, says, tmp_path):
    with pytest.raises(UserError, match=says):
        figures.main(["--out", str(tmp_path), *argv])
