"""CIFAR images: exactly GluonCV's pixels for the same draws, and draws of the same law."""

import random

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from mxnet.gluon.data.vision import transforms
from scipy import stats

from gluon_tricks.data.augment import CifarTestTransform, CifarTrainTransform, mirror, normalize, random_crop

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]          # of both GluonCV scripts


@pytest.fixture(scope="module")
def gluoncvs_crop():
    return pytest.importorskip("gluoncv.data.transforms", exc_type=ImportError).RandomCrop(32, pad=4)


def batch(count):
    return np.random.default_rng(4).integers(0, 256, (count, 32, 32, 3), np.uint8)


def test_the_same_window_has_the_same_pixels(gluoncvs_crop, monkeypatch):
    images, to_tensor = batch(1), transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    for top, left in [(0, 0), (8, 8), (4, 4), (0, 7), (5, 1)]:
        draws = iter([left, top])                         # it asks for x first
        monkeypatch.setattr(random, "randint", lambda low, high, draws=draws: next(draws))
        for flip in (False, True):
            theirs = gluoncvs_crop(nd.array(images[0], dtype="uint8"))
            theirs = nd.image.flip_left_right(theirs) if flip else theirs
            expected = to_tensor(theirs).asnumpy()
            got = normalize(mirror(random_crop(images, np.array([top]), np.array([left])),
                                   np.array([flip])))[0]
            np.testing.assert_array_equal(got, expected)
            draws = iter([left, top])
            monkeypatch.setattr(random, "randint", lambda low, high, draws=draws: next(draws))


def test_validation_images_are_bit_equal():
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    images = batch(4)
    expected = np.stack([to_tensor(nd.array(image, dtype="uint8")).asnumpy() for image in images])
    np.testing.assert_array_equal(CifarTestTransform()(images, np.arange(4), 0), expected)


def ramp():
    """Red tells the row and green the column, from 1 on; 0 is the border."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 0] = np.arange(1, 33)[:, None]
    image[..., 1] = np.arange(1, 33)
    return image


def windows(transformed):
    """(top, left, flipped) of each transformed ramp, float32, shape (N, 3, 32, 32), read off its middle."""
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    pixels = np.rint((transformed * std + mean) * 255).astype(int)
    flipped = pixels[:, 1, 16, 15] > pixels[:, 1, 16, 16]
    column = np.where(flipped, pixels[:, 1, 16, 15], pixels[:, 1, 16, 16])
    return pixels[:, 0, 16, 16] - 13, column - 13, flipped


def test_windows_and_flips_have_gluoncvs_law(gluoncvs_crop):
    count = 1500
    random.seed(3)
    mx.random.seed(3)
    pipeline = transforms.Compose([gluoncvs_crop, transforms.RandomFlipLeftRight(), transforms.ToTensor(),
                                   transforms.Normalize(MEAN, STD)])
    image = nd.array(ramp(), dtype="uint8")
    theirs = windows(np.stack([pipeline(image).asnumpy() for _ in range(count)]))
    ours = windows(CifarTrainTransform(0, count)(ramp()[None].repeat(count, axis=0), np.arange(count),
                                                 epoch=0))
    for mine, other, outcomes in zip(ours, theirs, (range(9), range(9), (False, True))):
        table = [[(values == outcome).sum() for outcome in outcomes] for values in (mine, other)]
        assert np.sum(table) == 2 * count                 # nothing outside 0..8
        assert stats.chi2_contingency(table).pvalue > 1e-3
        assert stats.chisquare(table[0]).pvalue > 1e-3    # uniform; flips: one half
