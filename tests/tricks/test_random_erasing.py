"""Random erasing: the law of its boxes, what is painted, and on whom it depends."""

import numpy as np
import pytest

from gluon_tricks.data.masks import Masks
from gluon_tricks.randomness import generator
from gluon_tricks.tricks.random_erasing import erase, sample_box


def test_boxes_fit_and_have_the_papers_areas_and_ratios():
    boxes = [sample_box(32, 32, generator(0, i)) for i in range(4000)]
    kept = [box for box in boxes if box]
    assert len(kept) / len(boxes) == pytest.approx(0.5, abs=0.03)
    top, left, height, width = np.array(kept).T
    assert (top >= 0).all() and (left >= 0).all() and (top + height <= 32).all() and (left
                                                                                      + width <= 32).all()
    area = height * width / 1024
    assert area.max() <= 0.4 and area.min() > 0.005 and 0.15 < area.mean() < 0.22  # sides are rounded down
    assert (height / width).max() < 1 / 0.3 * 1.5


def test_a_box_is_painted_over_and_nothing_else():
    image = np.random.default_rng(0).random((3, 6, 6), np.float32)
    got = erase(image, (1, 2, 3, 4), 9.0)
    expected = image.copy()
    expected[:, 1:4, 2:6] = 9
    np.testing.assert_array_equal(got, expected)
    assert image.max() < 9


@pytest.mark.parametrize("fill", ["value", "pixels"])
def test_the_fill_is_one_value_or_pixels_over_the_normalised_range(fill):
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    images = np.full((200, 3, 32, 32), 77, np.float32)
    got = Masks(0, 200, {"random_erasing": fill}, mean=mean, std=std)(images, np.arange(200), 0)
    painted = [image[:, (image[0] != 77)] for image in got if (image != 77).any()]
    assert 70 < len(painted) < 130
    for values in painted:
        if fill == "value":
            assert len(np.unique(values)) == 1 and 0 <= values.max() < 1
        else:
            for channel in range(3):
                assert values[channel].min() >= -mean[channel] / std[channel] - 1e-5
                assert values[channel].max() <= (1 - mean[channel]) / std[channel] + 1e-5
    if fill == "pixels":
        assert len(np.unique(painted[0])) > 10


def test_erasing_follows_the_record_not_the_batch():
    images, masks = np.ones((6, 3, 32, 32), np.float32), Masks(3, 100, {"random_erasing": "pixels"},
                                                               mean=(0.5,) * 3, std=(0.2,) * 3)
    positions = np.array([3, 50, 7, 99, 0, 12])
    np.testing.assert_array_equal(masks(images, positions, 4)[3:], masks(images[3:], positions[3:], 4))
