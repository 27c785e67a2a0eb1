"""EfficientNet's crops against GluonCV's: the same distribution of crops, the same pixels from the same crop.
"""

import random

import numpy as np
import pytest
from gluoncv.utils.transforms import EfficientNetCenterCrop, EfficientNetRandomCrop
from PIL import Image
from scipy.stats import ks_2samp

from gluon_tricks.data.efficientnet_crop import center_square, crop_and_resize, sample_crop
from gluon_tricks.data.imagenet_augment import (
    RGB_MEAN,
    RGB_STD,
    ImagenetTestTransform,
    ImagenetTrainTransform,
    normalize,
)
from gluon_tricks.data.photographs import Decoded


class Box:
    """An image that only says where it was cropped."""

    def __init__(self, height, width):
        self.size = (width, height)

    def crop(self, box):
        left, top, right, bottom = box
        return top, left, bottom - top, right - left


@pytest.mark.parametrize("height, width", [(375, 500), (500, 333), (400, 400), (120, 600)])
def test_crops_are_distributed_as_gluoncvs(height, width):
    random.seed(0)
    rng, draws = np.random.default_rng(0), 3000
    theirs = EfficientNetRandomCrop(320)
    theirs._fallback = lambda image: None
    pairs = [[crop for crop in (draw() for _ in range(draws)) if crop is not None]
             for draw in (lambda: theirs(Box(height, width)), lambda: sample_crop(height, width, rng))]
    assert abs(len(pairs[0]) - len(pairs[1])) < 5 * draws**0.5
    for column in range(4):
        assert ks_2samp(*[np.array(crops)[:, column] for crops in pairs]).pvalue > 1e-3


@pytest.mark.parametrize("height, width", [(375, 500), (500, 333), (64, 1000), (321, 320)])
@pytest.mark.parametrize("size", [320, 416])
def test_validation_equals_gluoncvs_pixels(height, width, size):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    theirs = EfficientNetCenterCrop(size)(Image.fromarray(image)).resize((size, size), Image.BICUBIC)
    ours = crop_and_resize(image, center_square(height, width, size), size)
    assert (ours == np.asarray(theirs)).all()
    got = ImagenetTestTransform(size, law="efficientnet")([image], [0], 0)[0]
    np.testing.assert_allclose(got, normalize(ours.astype(np.float32), RGB_MEAN, RGB_STD))


def test_training_takes_these_crops():
    """A picture of one colour per row: the rows of the result are those of a crop this law can draw."""
    image = np.repeat(np.arange(200, dtype=np.uint8)[:, None, None], 300, 1).repeat(3, 2)
    transform = ImagenetTrainTransform(0, 32, law="efficientnet")
    heights = [int(np.ptp(transform.crop(Decoded(image), np.random.default_rng(seed))))
               for seed in range(200)]
    assert min(heights) < 80 and max(heights) > 170
