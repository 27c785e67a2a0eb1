"""The five best classes of each image as a text file, for publishers of test sets without labels.

    Places365_test_00000001.jpg 104 237 333 302 364

A line for each image in the order of the data, the most confident class first; of equal outputs the lower
index comes first (training/evaluation.py). This is the format of Places365's development kit (places_devkit,
"Submission format"); its order is that of the names, as data_prep/places365.py packs them.
"""

import numpy as np

from gluon_tricks.errors import UserError
from gluon_tricks.training.evaluation import highest_classes

PER_IMAGE = 5


def best_classes(output):
    """The `PER_IMAGE` highest classes of each row, highest first: int array, shape (n, min(PER_IMAGE,
    classes)). Raises UserError if an output is not finite."""
    return highest_classes(checked_output(output), PER_IMAGE)


def checked_output(output):
    """The outputs of a net. Raises UserError if one is not finite."""
    if not np.isfinite(output).all():
        raise UserError("the net's outputs are not finite: the training of these parameters diverged, or "
                        "they do not suit the images")
    return output


def lines_of(names, classes):
    """The file's lines."""
    assert len(names) == len(classes), "an answer for each image"
    return [" ".join([name, *map(str, row)]) for name, row in zip(names, classes)]


def softmax(output):
    """Probabilities from outputs, float64, shape (n, classes)."""
    powers = np.exp(output.astype(np.float64) - output.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


def top_of(probabilities, top):
    """`(label, probability)` of the most probable classes of each row; of equal ones the lower label
    first."""
    return [[(int(label), float(row[label])) for label in labels]
            for row, labels in zip(probabilities, highest_classes(probabilities, top))]
