"""A net's answers on labelled images, and the figures that a report takes from them."""

from typing import NamedTuple

import numpy as np

from gluon_tricks.saved.predictions import softmax
from gluon_tricks.training.evaluation import highest_classes

BINS = 15                # of the calibration curve, as in Guo et al. 2017, section 2


class Answers(NamedTuple):
    """The answers on n images, in the order of the data."""
    positions: np.ndarray        # int64, shape (n,), in the data
    truth: np.ndarray            # int64, shape (n,), labels
    answer: np.ndarray           # int64, shape (n,), the class with the highest output
    probability: np.ndarray      # float64, shape (n,), of the answer
    of_truth: np.ndarray         # float64, shape (n,), probability of the label

    @property
    def is_right(self):
        return self.answer == self.truth


class AnswerKeeper:
    """Keeps a net's answers batch by batch."""

    def __init__(self):
        self._batches, self.classes = [], 0

    def add(self, positions, output, label):
        """Take positions and labels, int64, shape (n,), and outputs, shape (n, classes); images with a label
        below 0 were not read and are left out."""
        is_read, self.classes = label >= 0, output.shape[1]
        output, label = output[is_read], label[is_read]
        probabilities, row = softmax(output), np.arange(len(label))
        answer = highest_classes(output, 1)[:, 0]
        self._batches.append((positions[is_read], label, answer, probabilities[row, answer],
                              probabilities[row, label]))

    def answers(self):
        """All of them, as `Answers`."""
        return Answers(*(np.concatenate(column) for column in zip(*self._batches)))


def confusion_matrix(answers, classes):
    """Images of each class (row) by the net's answer (column): int64, shape (classes, classes)."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (answers.truth, answers.answer), 1)
    return matrix


def wilson_interval(right, images, z=1.959964):
    """Wilson's interval of a share (Wilson 1927), at 95 % with this z.

    Parameters
    ----------
    right, images : int arrays of equal shape

    Returns
    -------
    low, high : float arrays; nan where there are no images
    """
    right, images = np.asarray(right, float), np.where(np.asarray(images) > 0, images, np.nan)
    share, step = right / images, z * z / images
    middle, half = share + step / 2, z * np.sqrt(share * (1 - share) / images + step / images / 4)
    return (middle - half) / (1 + step), (middle + half) / (1 + step)


class Calibration(NamedTuple):
    """How often answers of a given probability are right; one entry for each bin of probabilities."""
    images: np.ndarray           # int64
    probability: np.ndarray      # mean of the bin's answers; nan in an empty bin
    accuracy: np.ndarray

    @property
    def expected_error(self):
        """Mean distance of accuracy and probability, weighted by images (ECE, Guo et al. 2017, eq. 3)."""
        used = self.images > 0
        gaps = np.abs(self.accuracy - self.probability)[used]
        return float((gaps * self.images[used]).sum() / self.images.sum())


def calibration(answers, bins=BINS):
    """The `Calibration` in bins of equal width; a probability on an edge counts to the lower bin."""
    number = np.clip(np.ceil(answers.probability * bins).astype(int) - 1, 0, bins - 1)
    images = np.bincount(number, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Calibration(images, np.bincount(number, answers.probability, bins) / images,
                           np.bincount(number, answers.is_right, bins) / images)
