"""Top-1 and top-5 answers, and how many of them depend on rounding.

The top-k rule is that of training/evaluation.py.
"""

import numpy as np

from gluon_tricks.errors import UserError
from gluon_tricks.saved.predictions import checked_output
from gluon_tricks.training.evaluation import ranks_of

TOP = (1, 5)

# Outputs closer than this share of an image's largest may change places with the batch size. Batches of 1 to
# 96 of photographs moved them by at most 8e-7 in float32 and 3e-5 in bfloat16 (resnet18_v1b, resnet50_v1d,
# oneDNN on AVX-512), but one bit of a 16-bit activation is worth more.
ROUNDING = {"float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-2}


class Tally:
    """The number of right answers among the first k outputs, and of those that rounding could change.

    Parameters
    ----------
    rounding : float
        Outputs closer than this count as a possible tie; relative to the largest absolute output of the
        image.
    """

    def __init__(self, rounding):
        self.rounding, self.images = rounding, 0
        self.correct, self.close = np.zeros((2, len(TOP)), np.int64)

    def add(self, output, label):
        """Count a batch: float array, shape (n, classes), and int array, shape (n,); labels below 0 are left
        out.

        Raises
        ------
        UserError
            If an output is not finite, or a label has no output.
        """
        output, label = output[label >= 0], label[label >= 0]
        checked_output(output)
        if label.size and label.max() >= output.shape[1]:
            raise UserError(f"the data have label {label.max()}, the net only {output.shape[1]} outputs, 0 "
                            f"to {output.shape[1] - 1}")
        margins = margins_of(output, label)
        limit = self.rounding * np.abs(output).max(axis=1, initial=0)[:, None]
        self.images += len(label)
        self.correct += (ranks_of(output, label)[:, None] < np.array(TOP)).sum(axis=0)
        self.close += (np.abs(margins) <= limit).sum(axis=0)

    def errors(self):
        """Error rates, one per entry of `TOP`."""
        return [1 - int(correct) / self.images for correct in self.correct]


def margins_of(output, label):
    """The label's output minus the k-th highest of the others, shape (n, len(TOP)); inf if there is none."""
    own = np.take_along_axis(output, label[:, None], axis=1)
    others = output.copy()
    np.put_along_axis(others, label[:, None], -np.inf, axis=1)
    others = -np.sort(-others, axis=1)
    columns = [own - others[:, k - 1:k] if k < output.shape[1] else np.full_like(own, np.inf) for k in TOP]
    return np.concatenate(columns, axis=1)
