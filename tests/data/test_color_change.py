"""Colours: three steps, one affine map."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_tricks.data.imagenet_augment import (
    GLUONCV,
    PAPER,
    change_color,
    color_change,
    mean_pixel,
    normalize,
    turn_hue,
)

FACTORS = st.tuples(*3 * [st.floats(0.6, 1.4)])
ORDERS = st.sampled_from(list(itertools.permutations(range(3))))


def grey(rgb):
    return 0.299 * rgb[..., 0] + 0.587 * rgb[..., 1] + 0.114 * rgb[..., 2]


def reference_jitter(image, order, factors, kinds):
    """The steps one after the other, on all pixels, in float64."""
    image = image.astype(np.float64)
    for number in order:
        factor = factors[number]
        if kinds[number] == "brightness":
            image = image * factor
        elif kinds[number] == "contrast":
            image = image * factor + (1 - factor) * grey(image).mean()
        elif kinds[number] == "saturation":
            image = image * factor + (1 - factor) * grey(image)[..., None]
        else:
            image = image @ turn_hue((factor - 1) / 2).T
    return image


def some_image(seed):
    return np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.mark.parametrize("kinds", [GLUONCV, PAPER], ids=["gluoncv", "paper"])
@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), order=ORDERS, factors=FACTORS)
def test_the_map_is_the_steps_one_after_the_other(kinds, seed, order, factors):
    image = some_image(seed)
    got = change_color(image, color_change(mean_pixel(image), order, factors, kinds))
    expected = np.clip(reference_jitter(image, order, factors, kinds), 0, 255)
    np.testing.assert_allclose(got, expected, atol=1e-3)                    # grey levels
    assert got.dtype == np.float32


def test_factors_of_one_change_nothing():
    image = some_image(1)
    np.testing.assert_array_equal(change_color(image, color_change(mean_pixel(image), [2, 0, 1], [1, 1, 1])),
                                  image)


def test_contrast_turns_about_the_mean_grey_of_its_moment():
    """Brightness 0.5 before contrast 0.6 of a picture whose grey is 100: 0.5 x 100 stays. After it: 100 x
    0.5.
    """
    image = np.array([[[50] * 3, [150] * 3]], np.uint8)
    for order in ([0, 1, 2], [1, 0, 2]):
        got = change_color(image, color_change(mean_pixel(image), order, [0.5, 0.6, 1]))
        np.testing.assert_allclose(got[0, :, 0], [35, 65], atol=1e-4)        # 50 -+ 0.6 x 25


def test_colours_are_clipped():
    image = np.array([[[0, 128, 255]]], np.uint8)
    np.testing.assert_allclose(change_color(image, np.hstack([2 * np.eye(3), [[-10], [0], [0]]]))[0, 0],
                               [0, 255, 255])


def test_the_mean_pixel_is_exact():
    image = some_image(3)
    np.testing.assert_allclose(mean_pixel(image), image.reshape(-1, 3).mean(axis=0, dtype=np.float64),
                               rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalisation_is_per_channel_and_puts_channels_first(dtype):
    image, out = some_image(4).astype(dtype), np.empty((3, 20, 30), np.float32)
    normalize(image, (10, 20, 30), (2, 4, 8), out)
    for channel, (mean, std) in enumerate([(10, 2), (20, 4), (30, 8)]):
        np.testing.assert_allclose(out[channel], (image[..., channel].astype(float) - mean) / std, rtol=1e-6)
