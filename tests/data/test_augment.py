"""Crop, flip and normalisation of CIFAR images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mxnet import nd
from mxnet.gluon.data.vision import transforms

from gluon_tricks.data.augment import (
    CIFAR_MEAN,
    CIFAR_STD,
    PAD,
    CifarTestTransform,
    CifarTrainTransform,
    mirror,
    normalize,
    random_crop,
)

image_batches = arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6),
                                           st.just(3)))


def batch(count, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


# --- formula ------------------------------------------------------------------------------------------------

def reference_random_crop(images, tops, lefts, pad):
    out = np.zeros_like(images)
    for n, y, x in np.ndindex(images.shape[:3]):
        row, column = y + tops[n] - pad, x + lefts[n] - pad           # of the image before padding
        if 0 <= row < images.shape[1] and 0 <= column < images.shape[2]:
            out[n, y, x] = images[n, row, column]
    return out


def reference_mirror(images, flips):
    out = images.copy()
    for n, y, x in np.ndindex(images.shape[:3]):
        if flips[n]:
            out[n, y, x] = images[n, y, images.shape[2] - 1 - x]
    return out


def reference_normalize(images, mean, std):
    count, height, width, channels = images.shape
    out = np.zeros((count, channels, height, width))
    for n, y, x, c in np.ndindex(images.shape):
        out[n, c, y, x] = (images[n, y, x, c] / 255 - mean[c]) / std[c]
    return out


@settings(max_examples=40, deadline=None)
@given(data=st.data(), images=image_batches, pad=st.integers(0, 4))
def test_a_random_crop_equals_the_formula(data, images, pad):
    offsets = arrays(np.int64, len(images), elements=st.integers(0, 2 * pad))
    tops, lefts = data.draw(offsets), data.draw(offsets)
    np.testing.assert_array_equal(random_crop(images, tops, lefts, pad),
                                  reference_random_crop(images, tops, lefts, pad))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), images=image_batches)
def test_mirroring_equals_the_formula(data, images):
    flips = data.draw(arrays(bool, len(images)))
    np.testing.assert_array_equal(mirror(images, flips), reference_mirror(images, flips))


@settings(max_examples=40, deadline=None)
@given(images=image_batches)
def test_normalisation_equals_the_formula(images):
    got = normalize(images)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, reference_normalize(images, CIFAR_MEAN, CIFAR_STD), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("offset, inside", [(0, slice(PAD, None)), (2 * PAD, slice(None, -PAD))])
def test_the_outermost_windows_show_four_border_pixels(offset, inside):
    crop = random_crop(np.full((1, 32, 32, 3), 255, np.uint8), np.array([offset]), np.array([offset]))[0, ...,
                                                                                                       0]
    assert (crop[inside, inside] == 255).all()
    assert crop.sum() == 255 * 28 * 28


def test_the_border_is_black_before_normalisation():
    white = normalize(random_crop(np.full((1, 32, 32, 3), 255, np.uint8), np.array([0]), np.array([PAD])))
    black = [-m / s for m, s in zip(CIFAR_MEAN, CIFAR_STD)]             # (0 / 255 - mean) / std
    for channel, level in enumerate(black):
        np.testing.assert_allclose(white[0, channel, :PAD], level, rtol=1e-6)
        assert (white[0, channel, PAD:] > 0).all()


# --- parity -------------------------------------------------------------------------------------------------

def test_normalisation_is_bit_equal_to_gluons():
    every_level = np.arange(256, dtype=np.uint8).repeat(12).reshape(1, 32, 32, 3)
    images = np.concatenate([every_level, batch(3)])
    gluon = transforms.Compose([transforms.ToTensor(), transforms.Normalize(CIFAR_MEAN, CIFAR_STD)])
    np.testing.assert_array_equal(normalize(images), np.stack([gluon(nd.array(x, dtype="uint8")).asnumpy()
                                                               for x in images]))


# --- the transform of a training image ----------------------------------------------------------------------

def transformed_one_by_one(images, positions, transform, epoch):
    return np.concatenate([transform(images[p:p + 1], np.array([p]), epoch) for p in positions])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 300),
       positions=st.lists(st.integers(0, 19), min_size=1, max_size=8))
def test_what_happens_to_an_image_does_not_depend_on_its_batch(seed, epoch, positions):
    images = batch(20, size=8)
    transform = CifarTrainTransform(seed, records=20)
    together = transform(images[positions], np.array(positions), epoch)
    np.testing.assert_array_equal(together, transformed_one_by_one(images, positions,
                                                                   CifarTrainTransform(seed, 20), epoch))


def test_seeds_epochs_and_records_are_augmented_differently():
    image = batch(1).repeat(2, axis=0)                                   # one image, as two records
    seen = [one.tobytes() for seed in range(3) for epoch in range(3)
            for one in CifarTrainTransform(seed, records=2)(image, np.array([0, 1]), epoch)]
    assert len(set(seen)) >= 16                                           # of 18; 9 x 9 windows, two sides


def ramps(count):
    """Images whose red level tells the row and whose green level the column, from 1 on."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 0] = np.arange(1, 33)[:, None]
    image[..., 1] = np.arange(1, 33)
    return image[None].repeat(count, axis=0)


def window_and_side(transformed):
    """(tops, lefts, flips) that made ramps what they are now, read off two pixels at the centre."""
    red, green, _ = (np.rint((transformed[:, c] * CIFAR_STD[c] + CIFAR_MEAN[c]) * 255).astype(int)
                     for c in range(3))
    flips = green[:, 16, 15] > green[:, 16, 16]
    return red[:, 16, 16] - 17 + PAD, np.where(flips, green[:, 16, 15], green[:, 16, 16]) - 17 + PAD, flips


def test_a_training_image_is_cropped_then_mirrored_then_normalised():
    images = ramps(20)
    got = CifarTrainTransform(seed=0, records=20)(images, np.arange(20), epoch=0)
    tops, lefts, flips = window_and_side(got)
    expected = reference_mirror(reference_random_crop(images, tops, lefts, PAD), flips)
    np.testing.assert_allclose(got, reference_normalize(expected, CIFAR_MEAN, CIFAR_STD), rtol=1e-4,
                               atol=1e-5)


def test_crop_offsets_and_sides_are_uniform_and_independent():
    count = 4050
    transform = CifarTrainTransform(seed=0, records=count)
    tops, lefts, flips = window_and_side(transform(ramps(count), np.arange(count), epoch=0))

    # chi-squared at one in ten thousand, for 8, 8 and 1 degrees of freedom
    for values, outcomes, bound in [(tops, 9, 31.8), (lefts, 9, 31.8), (flips, 2, 15.1)]:
        counts = np.bincount(values, minlength=outcomes)
        assert len(counts) == outcomes
        assert ((counts - count / outcomes) ** 2 / (count / outcomes)).sum() < bound
    assert np.abs(np.corrcoef([tops, lefts, flips]) - np.eye(3)).max() < 4 / count ** 0.5


def test_validation_images_are_only_normalised():
    images = batch(3)
    np.testing.assert_array_equal(CifarTestTransform()(images, np.arange(3), 5), normalize(images))
