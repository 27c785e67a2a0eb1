"""ImageNet images: exact where nothing is random, of the same law where something is.

GluonCV has two paths: MXNet's `ImageRecordIter` over record files, and Gluon's transforms over class folders.
Images are PNGs here, so that decoders do not matter. Kolmogorov-Smirnov tests at 1e-3 over some 2,000 draws,
which see shifts of 7 % of a range; seeds are fixed. The iterator rounds to whole grey levels after each of
its steps.
"""

import random

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from mxnet.gluon.data.vision import transforms
from scipy import stats

from gluon_tricks.data import imagenet_augment
from gluon_tricks.data.imagenet_augment import (
    EIGENVALUES,
    EIGENVECTORS,
    RGB_MEAN,
    RGB_STD,
    ImagenetTestTransform,
    ImagenetTrainTransform,
    center_crop,
    sample_crop,
)
from gluon_tricks.data.mxnet_iterators import ImageNetRecordIter
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.recipes.data_paths import FOLDER_MEAN, FOLDER_STD

LEAST_P = 1e-3
# The settings of GluonCV's script for training records
GLUONCVS_RECIPE = dict(rand_mirror=True, random_resized_crop=True, max_aspect_ratio=4 / 3,
                       min_aspect_ratio=3 / 4,
                       max_random_area=1, min_random_area=0.08, brightness=0.4, saturation=0.4, contrast=0.4,
                       pca_noise=0.1)
PLAIN = dict(brightness=0, saturation=0, contrast=0, pca_noise=0)


def smooth_image(height, width, seed=0):
    """Something like a photograph: uint8, shape (height, width, 3), RGB."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


def write_png_records(folder, images):
    rows = ((key, key % 2, 0, cv2.imencode(".png", image[..., ::-1])[1].tobytes()) for key,
            image in enumerate(images))
    list(write_image_records(folder / "some.rec", folder / "some.idx", rows))
    return folder / "some.rec"


def mxnets_iterator(rec, size, batch_size, **settings):
    """Images of MXNet's iterator as float32 RGB, shape (batch_size, 3, size, size), batch after batch."""
    iterator = mx.io.ImageRecordIter(path_imgrec=str(rec), path_imgidx=str(rec.with_suffix(".idx")),
                                     batch_size=batch_size,
                                     data_shape=(3, size, size), preprocess_threads=1, verbose=False,
                                     device_id=-1, **settings)
    while True:
        for batch in iterator:
            yield batch.data[0].asnumpy()
        iterator.reset()


def draw_theirs(folder, image, size, count, **settings):
    rec = write_png_records(folder, [image] * 100)
    iterator = mxnets_iterator(rec, size, 100, **{**GLUONCVS_RECIPE, **settings})
    return np.concatenate([next(iterator) for _ in range(count // 100)])


def draw_ours(image, size, count, law="rec"):
    transform = ImagenetTrainTransform(0, size, mean=(0, 0, 0), std=(1, 1, 1), law=law)
    return transform([image] * count, np.arange(count), epoch=0)


def without_colour(monkeypatch, jitter=0.0, pca=0.0):
    monkeypatch.setattr(imagenet_augment, "JITTER", jitter)
    monkeypatch.setattr(imagenet_augment, "PCA_STD", pca)


# --- validation: exact --------------------------------------------------------------------------------------

VALIDATION_SIZES = [(90, 120), (120, 90), (64, 64), (65, 97), (200, 70), (40, 50), (300, 299)]


@pytest.mark.parametrize("size, resize", [(56, 64), (75, 86)])       # 224 of 256 by four; 299 of 342 by four
def test_validation_images_of_folders_are_gluons(size, resize):
    pipeline = transforms.Compose([transforms.Resize(resize, keep_ratio=True), transforms.CenterCrop(size),
                                   transforms.ToTensor(),
                                   transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    images = [smooth_image(*shape) for shape in VALIDATION_SIZES]
    expected = np.stack([pipeline(nd.array(image, dtype="uint8")).asnumpy() for image in images])
    got = ImagenetTestTransform(size, 0.875, FOLDER_MEAN, FOLDER_STD)(images, range(len(images)), 0)
    np.testing.assert_allclose(got, expected, atol=2e-6)


@pytest.mark.parametrize("size, resize", [(56, 64), (75, 86)])
def test_validation_images_of_records_are_mxnets(size, resize, tmp_path):
    images = [smooth_image(*shape) for shape in VALIDATION_SIZES]
    rec = write_png_records(tmp_path, images)
    expected = next(mxnets_iterator(rec, size, len(images), resize=resize, mean_r=123.68, mean_g=116.779,
                                    mean_b=103.939, std_r=58.393, std_g=57.12, std_b=57.375))
    iterator = ImageNetRecordIter(rec, rec.with_suffix(".idx"), len(images), False, size, mean=RGB_MEAN,
                                  std=RGB_STD)
    np.testing.assert_array_equal(next(iter(iterator.epoch(0))).data.asnumpy(), expected)
    got = ImagenetTestTransform(size)(images, range(len(images)), 0)
    grey_level = 1 / min(RGB_STD)
    assert np.abs(got - expected).max() < 1.01 * grey_level  # two versions of OpenCV round bilinear weights
    assert (np.abs(got - expected) > 1e-5).mean() < 1e-3


# --- crops --------------------------------------------------------------------------------------------------

HEIGHT, WIDTH = 180, 240


def position_ramp():
    """Red is the column and green the row of each pixel, blue the constant 100."""
    image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    image[..., 0] = np.arange(WIDTH)
    image[..., 1] = np.arange(HEIGHT)[:, None]
    return image


def measure_crops(pixels):
    """{what: values, one per image}: bilinear resizing is linear on a ramp, so two pixels tell both ends of a
    side.
    """
    size = pixels.shape[2]
    near, far = size // 4, size - 1 - size // 4
    red, green = pixels[:, 0, size // 2, :], pixels[:, 1, :, size // 2]
    width = np.abs(red[:, far] - red[:, near]) * size / (far - near)
    height = (green[:, far] - green[:, near]) * size / (far - near)
    left = (red[:, far] + red[:, near]) / 2 + 0.5 - width / 2
    top = (green[:, far] + green[:, near]) / 2 + 0.5 - height / 2
    return {"area": width * height / (WIDTH * HEIGHT), "log ratio": np.log(width / height),
            "left": left / np.maximum(WIDTH - width, 8), "top": top / np.maximum(HEIGHT - height, 8),
            "flip": red[:, far] < red[:, near]}


def assert_same_law(ours, theirs):
    for what in ours:
        if what == "flip":
            table = [[flips.sum(), (~flips).sum()] for flips in (ours[what], theirs[what])]
            assert stats.chi2_contingency(table).pvalue > LEAST_P
            assert stats.chisquare(table[0]).pvalue > LEAST_P         # one half
        else:
            assert stats.ks_2samp(ours[what], theirs[what]).pvalue > LEAST_P, what


@pytest.mark.slow
def test_crops_and_flips_of_records_have_mxnets_law(tmp_path, monkeypatch):
    without_colour(monkeypatch)
    count = 2000
    theirs = measure_crops(draw_theirs(tmp_path, position_ramp(), 16, count, **PLAIN))
    assert_same_law(measure_crops(draw_ours(position_ramp(), 16, count)), theirs)


def test_crops_of_folders_have_gluons_law():
    random.seed(2)
    image, rng, boxes = nd.array(position_ramp(), dtype="uint8"), np.random.default_rng(2), {"ours": [],
                                                                                             "theirs": []}
    for _ in range(3000):
        _, (x, y, w, h) = mx.image.random_size_crop(image, (8, 8), (0.08, 1.0), (3 / 4, 4 / 3), 1)
        boxes["theirs"].append((y, x, h, w))
        boxes["ours"].append(sample_crop(HEIGHT, WIDTH, rng, "folder"))
    measured = {}
    for side, values in boxes.items():
        top, left, height, width = np.array(values).T
        measured[side] = {"area": height * width / (HEIGHT * WIDTH), "log ratio": np.log(width / height),
                          "left": left / np.maximum(WIDTH - width, 1),
                          "top": top / np.maximum(HEIGHT - height, 1)}
    assert_same_law(measured["ours"], measured["theirs"])


@pytest.mark.parametrize("law", ["rec", "folder"])
def test_the_bounds_of_area_and_ratio_are_reached_and_kept(law):
    """§2.1: aspect ratio in [3/4, 4/3], area in [8 %, 100 %]. Rounded sides give a little over."""
    rng = np.random.default_rng(0)
    boxes = np.array([sample_crop(1000, 1000, rng, law) for _ in range(5000)])
    area, ratio = boxes[:, 2] * boxes[:, 3] / 1e6, boxes[:, 3] / boxes[:, 2]
    assert 0.0795 < area.min() < 0.085 and 0.97 < area.max() <= 1.0
    assert 0.745 < ratio.min() < 0.755 and 1.325 < ratio.max() < 1.342
    assert stats.binomtest((boxes[:, 3] > boxes[:, 2]).sum(),
                           (boxes[:, 3] != boxes[:, 2]).sum()).pvalue > LEAST_P
    assert (boxes[:, 0] + boxes[:, 2]).max() <= 1000 and (boxes[:, 1] + boxes[:, 3]).max() <= 1000


@pytest.mark.parametrize("size", [8, 16])          # 16 is more than the shorter side
@pytest.mark.parametrize("shape", [(11, 660), (660, 11)])
def test_what_becomes_of_an_image_that_no_crop_fits(shape, size, tmp_path, monkeypatch):
    """8 % of so long an image are never 11 pixels high: the fallback of both paths, up to a flip."""
    without_colour(monkeypatch)
    image = smooth_image(*shape, seed=2)
    record = draw_theirs(tmp_path, image, size, 100, **PLAIN, shuffle=False)[0]
    folder = mx.image.random_size_crop(nd.array(image, dtype="uint8"), (size, size), (0.08, 1.0),
                                       (3 / 4, 4 / 3), 1)[0]
    for law, expected in (("rec", record), ("folder", folder.asnumpy().transpose(2, 0, 1).astype(float))):
        got = draw_ours(image, size, 1, law)[0]
        assert min(np.abs(side - expected).max() for side in (got, got[..., ::-1])) <= 1.01, law


# --- colour -------------------------------------------------------------------------------------------------

TONES = np.array([[50, 90, 50], [110, 130, 110]])     # red equals blue: MXNet swaps their weights in its grey
GREEN = 0.587                                         # green's share in grey


def two_tones():
    return np.repeat(TONES.astype(np.uint8)[None], 64, axis=0).repeat(32, axis=1)


def grey(rgb):
    return GREEN * rgb[..., 1] + (1 - GREEN) * (rgb[..., 0] + rgb[..., 2]) / 2


def measure_factors(pixels):
    """{what: factor of each image} that made the two tones what they are.

    Brightness scales all; contrast then keeps the mean grey, and saturation each pixel's grey.
    """
    tones = np.stack([pixels[:, :, 16, 2], pixels[:, :, 16, -3]], axis=1)             # (N, 2, 3)
    tones = np.where((grey(tones[:, :1]) < grey(tones[:, 1:]))[..., None], tones, tones[:, ::-1])
    before, after = ({"mean": grey(t).mean(axis=-1), "distance": grey(t[..., 1, :]) - grey(t[..., 0, :]),
                      "chroma": (t[..., 1] - t[..., 0]).sum(axis=-1)} for t in (TONES, tones))
    ratio = {what: after[what] / before[what] for what in before}
    return {"brightness": ratio["mean"], "contrast": ratio["distance"] / ratio["mean"],
            "saturation": ratio["chroma"] / ratio["distance"]}


def test_brightness_contrast_and_saturation_have_mxnets_law(tmp_path, monkeypatch):
    """Whole images only, so that the mean grey is that of both tones; each factor is uniform in [0.6, 1.4].
    """
    without_colour(monkeypatch, jitter=imagenet_augment.JITTER)
    monkeypatch.setattr(imagenet_augment, "AREA", (1.0, 1.0))
    monkeypatch.setattr(imagenet_augment, "RATIO", (1.0, 1.0))
    whole = dict(min_random_area=1.0, max_random_area=1.0, min_aspect_ratio=1.0, max_aspect_ratio=1.0)
    theirs = measure_factors(draw_theirs(tmp_path, two_tones(), 32, 1500, pca_noise=0, **whole))
    ours = measure_factors(draw_ours(two_tones(), 32, 1500))
    for what in ours:
        assert stats.kstest(ours[what], "uniform", (0.6, 0.8)).pvalue > LEAST_P, what
        assert stats.ks_2samp(ours[what], theirs[what]).pvalue > LEAST_P, what


def test_gluons_brightness_and_contrast_have_the_same_law():
    mx.random.seed(6)
    jitter, image = transforms.RandomColorJitter(brightness=0.4, contrast=0.4), nd.array(two_tones())
    theirs = measure_factors(np.stack([jitter(image).asnumpy().transpose(2, 0, 1) for _ in range(1500)]))
    for what in ("brightness", "contrast"):
        assert stats.kstest(theirs[what], "uniform", (0.6, 0.8)).pvalue > LEAST_P, what
    np.testing.assert_allclose(theirs["saturation"], 1, rtol=1e-4)


def test_gluons_saturation_is_not_reproduced_for_it_takes_a_ninth_of_blue_for_grey():
    """MXNet 1.9.1 keeps the last product of the sum that is a pixel's grey, and so changes brightness as
    well.
    """
    rgb = np.array([60.0, 120.0, 200.0])
    image = nd.array(np.broadcast_to(rgb, (2, 2, 3)))
    theirs = nd.image.random_saturation(image, 0.5, 0.5 + 1e-6).asnumpy()[0, 0]
    np.testing.assert_allclose(theirs, 0.5 * rgb + 0.5 * 0.114 * 200, rtol=1e-4)
    change = imagenet_augment.color_change(rgb, [2], [1, 1, 0.5])
    ours = imagenet_augment.change_color(image.asnumpy().astype(np.uint8), change)[0, 0]
    np.testing.assert_allclose(ours, 0.5 * rgb + 0.5 * (0.299 * 60 + 0.587 * 120 + 0.114 * 200), rtol=1e-5)


def test_jitter_comes_in_every_order(monkeypatch):
    """What the order changes is little: it is counted where it is drawn."""
    seen = []
    monkeypatch.setattr(imagenet_augment, "color_change", lambda _, order,
                        *rest: seen.append(tuple(order)) or np.eye(3, 4))
    draw_ours(two_tones(), 8, 600)
    assert len(set(seen)) == 6 and stats.chisquare([seen.count(order)
                                                    for order in set(seen)]).pvalue > LEAST_P


def test_pca_noise_has_mxnets_law(tmp_path, monkeypatch):
    without_colour(monkeypatch, pca=imagenet_augment.PCA_STD)
    grey = np.full((20, 20, 3), 128, np.uint8)
    theirs = draw_theirs(tmp_path, grey, 8, 2000, **{**PLAIN, "pca_noise": 0.1})[:, :, 4, 4] - 128
    ours = draw_ours(grey, 8, 2000)[:, :, 4, 4] - 128
    as_mxnet_rounds = np.trunc(ours + 128) - 128
    for channel in range(3):
        assert stats.ks_2samp(as_mxnet_rounds[:, channel], theirs[:, channel]).pvalue > LEAST_P
    # three draws of N(0, 0.1), one per eigenvector
    covariance = EIGENVECTORS @ np.diag((0.1 * EIGENVALUES) ** 2) @ EIGENVECTORS.T
    np.testing.assert_allclose(np.cov(ours.T), covariance, rtol=0.08)
    np.testing.assert_allclose(np.cov(theirs.T), covariance, rtol=0.1)


def test_gluons_lighting_has_the_same_eigenvectors():
    mx.random.seed(4)
    grey = nd.full((2, 2, 3), 128)
    theirs = np.array([nd.image.random_lighting(grey, 0.1).asnumpy()[0, 0] - 128 for _ in range(3000)])
    covariance = EIGENVECTORS @ np.diag((0.1 * EIGENVALUES) ** 2) @ EIGENVECTORS.T
    np.testing.assert_allclose(np.cov(theirs.T), covariance, rtol=0.1)


def test_normalisation_comes_last_and_has_the_scripts_figures(monkeypatch):
    without_colour(monkeypatch)
    grey = np.full((20, 20, 3), 128, np.uint8)
    for transform, mean, std in [
            (ImagenetTrainTransform(0, 8), (123.68, 116.779, 103.939), (58.393, 57.12, 57.375)),  # §2.1
            (ImagenetTrainTransform(0, 8, FOLDER_MEAN, FOLDER_STD), 255 * np.array([0.485, 0.456, 0.406]),
             255 * np.array([0.229, 0.224, 0.225]))]:
        expected = (128 - np.array(mean)) / np.array(std)
        got = transform([grey], [0], 0)[0]
        np.testing.assert_allclose(got, np.broadcast_to(expected[:, None, None], got.shape), rtol=1e-5)


def test_center_crop_is_gluons():
    for shape in [(9, 12), (12, 9), (8, 8), (100, 8), (31, 57)]:
        image = smooth_image(*shape)
        expected = transforms.CenterCrop(8)(nd.array(image, dtype="uint8")).asnumpy()
        np.testing.assert_array_equal(center_crop(image, 8), expected)
