"""Figures of a report, written again: confusion matrix, Wilson's interval, calibration."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from gluon_tricks.saved.answers import AnswerKeeper, Answers, calibration, confusion_matrix, wilson_interval
from gluon_tricks.saved.report import write_report


def answers_of(truth, answer, probability):
    truth, answer, probability = map(np.array, (truth, answer, probability))
    return Answers(np.arange(len(truth)), truth, answer, probability, probability)


def test_probabilities_are_those_of_softmax_and_unread_images_are_left_out():
    keeper = AnswerKeeper()
    output = np.array([[0.0, math.log(3)], [5, 5], [1, 0]], np.float32)
    keeper.add(np.array([4, 7, 9]), output, np.array([0, 1, -1]))
    kept = keeper.answers()
    # exp: 1 and 3 -> 1/4 and 3/4; of equal outputs the lower class is the answer
    assert kept.positions.tolist() == [4, 7] and kept.answer.tolist() == [1, 0]
    np.testing.assert_allclose(kept.probability, [0.75, 0.5], rtol=1e-6)
    np.testing.assert_allclose(kept.of_truth, [0.25, 0.5], rtol=1e-6)
    assert kept.is_right.tolist() == [False, False]


def test_rows_of_the_confusion_matrix_are_classes_and_columns_answers():
    matrix = confusion_matrix(answers_of([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 2, 2], [0.5] * 6), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


@pytest.mark.parametrize("right, images", [(0, 50), (50, 50), (83, 500), (1, 1)])
def test_wilsons_interval_holds_the_shares_that_the_score_test_accepts(right, images):
    """Its ends are the p with |right/n - p| = z sqrt(p (1 - p) / n)."""
    low, high = wilson_interval(right, images)
    for end in (low, high):
        if 1e-12 < end < 1 - 1e-12:
            assert abs(right / images - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / images))
    assert low - 1e-12 <= right / images <= high + 1e-12 and low < high
    assert np.isnan(wilson_interval(0, 0)).all()


def test_the_expected_calibration_error_is_the_weighted_mean_of_the_gaps():
    answers = answers_of([0, 0, 0, 0], [0, 1, 0, 0], [0.55, 0.58, 0.95, 1.0])
    curve = calibration(answers, bins=10)
    # bin (0.5, 0.6]: mean probability 0.565, accuracy 1/2; bin (0.9, 1]: 0.975 and 1
    assert curve.images.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert curve.expected_error == pytest.approx((2 * abs(0.5 - 0.565) + 2 * abs(1 - 0.975)) / 4)


def test_a_probability_on_an_edge_counts_to_the_lower_bin():
    assert calibration(answers_of([0], [0], [0.5]), bins=2).images.tolist() == [1, 0]


def test_a_net_without_mistakes_has_a_report(tmp_path):
    images = SimpleNamespace(read=lambda positions: ([np.zeros((8, 8, 3), np.uint8)] * len(positions), None))
    data = SimpleNamespace(names=["a", "b"], loader=SimpleNamespace(images=images))
    write_report(tmp_path, "net", data, ["x", "y"], answers_of([0, 1], [0, 1], [0.9, 0.8]))
    assert "2 of 2 right" in (tmp_path / "report.md").read_text() and (tmp_path / "mistakes.png").is_file()
