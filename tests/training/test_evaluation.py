"""The top-k rule: a higher output comes first, of equal outputs the lower index."""

import numpy as np

from gluon_tricks.training.evaluation import highest_classes, ranks_of


def test_ranks_and_highest_classes_are_one_rule_also_at_ties():
    rng = np.random.default_rng(0)
    output, label = rng.integers(-2, 3, size=(200, 10)).astype("float32"), rng.integers(0, 10, size=200)
    ranks = ranks_of(output, label)
    assert ((ranks < 1) == (output.argmax(axis=1) == label)).all()
    for k in (1, 5, 20):
        assert ((ranks < k) == (highest_classes(output, k) == label[:, None]).any(axis=1)).all()


def test_neither_nan_nor_an_unknown_label_is_right():
    output = np.array([[np.nan] * 3, [1, 2, 3], [1, 2, 3]], np.float32)
    assert ranks_of(output, np.array([0, 7, -1])).tolist() == [3, 3, 3]
