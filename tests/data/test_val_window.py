"""MXNet's sliding window, against a simulation of the iterator."""

import itertools

import pytest

from gluon_tricks.data.val_window import val_window


@pytest.mark.parametrize("images, batch_size", [(10, 4), (10, 5), (7, 7), (50, 8), (9, 8)])
def test_the_windows_are_what_an_iterator_that_never_rewinds_delivers(images, batch_size):
    stream, behind = itertools.cycle(range(images)), 0
    for number in range(1, 12):
        seen = []
        while behind + len(seen) < number * images:        # a pass ends with the batch that reaches the file's end
            seen += [next(stream) for _ in range(batch_size)]
        behind += len(seen)
        assert val_window(number, images, batch_size).tolist() == seen


def test_published_sample_counts():
    """50,000 images at batch 1024: 50,176 in most epochs, 49,152 in some (A8 of the log arithmetic)."""
    assert [len(val_window(k, 50000, 1024)) for k in range(1, 8)] == [50176] * 5 + [49152, 50176]
