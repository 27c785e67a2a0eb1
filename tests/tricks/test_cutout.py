"""Cutout and Dual-Cutout against loops."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.data.masks import Masks
from gluon_tricks.tricks.cutout import corners, cutout, dual_loss, side_by_side


@pytest.mark.parametrize("size", [1, 4, 5, 20])
def test_a_square_is_zero_and_nothing_else(size):
    images = np.random.default_rng(0).random((3, 2, 8, 9), np.float32) + 1
    tops, lefts = np.array([-2, 3, 7]), np.array([0, -1, 8])
    got = cutout(images, tops, lefts, size)
    for i in range(3):
        for y in range(8):
            for x in range(9):
                inside = tops[i] <= y < tops[i] + size and lefts[i] <= x < lefts[i] + size
                assert (got[i, :, y, x] == (0 if inside else images[i, :, y, x])).all()


# even: centres between pixels, both ends included
@pytest.mark.parametrize("size, places", [(16, 33), (15, 32)])
def test_centres_are_uniform_over_the_image(size, places):
    found = corners(np.linspace(0, 1, 10000, endpoint=False), size, 32)
    values, counts = np.unique(found, return_counts=True)
    assert values.tolist() == list(range(-(size // 2), places - size // 2))
    assert counts.min() >= counts.max() - 1


def test_masks_follow_the_record_not_the_batch():
    images, masks = np.ones((6, 3, 32, 32), np.float32), Masks(0, 100, {"cutout": 16}, dual=True)
    positions = np.array([3, 50, 7, 99, 0, 12])
    whole, part = masks(images, positions, 4), masks(images[2:5], positions[2:5], 4)
    np.testing.assert_array_equal(whole[2:5], part)
    assert whole.shape == (6, 6, 32, 32) and (whole[:, :3] != whole[:, 3:]).any()
    assert (masks(images, positions, 5) != whole).any()


def test_dual_loss_is_the_mean_loss_and_the_difference():
    pairs = nd.array(np.random.default_rng(1).random((2, 4, 3, 3)))
    views = side_by_side(pairs)
    np.testing.assert_array_equal(views.asnumpy(), np.concatenate([pairs.asnumpy()[:, :2],
                                                                   pairs.asnumpy()[:, 2:]]))
    output = np.random.default_rng(2).normal(size=(4, 5)).astype(np.float32)
    labels = [1, 4]
    loss = dual_loss(mx.gluon.loss.SoftmaxCrossEntropyLoss(), 0.1)(nd.array(output), nd.array(labels * 2))
    log_p = output - np.log(np.exp(output).sum(axis=1, keepdims=True))
    for i, label in enumerate(labels):
        expected = -(log_p[i, label]
                     + log_p[i + 2, label]) / 2 + 0.1 * ((output[i] - output[i + 2]) ** 2).mean()
        assert float(loss[i].asscalar()) == pytest.approx(expected, rel=1e-5)
