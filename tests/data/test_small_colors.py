"""The follow-up's colours: what they leave alone, how far they go, and on whom they depend."""

import numpy as np

from gluon_tricks.data.small_colors import follow_up_colors


def test_a_grey_image_is_scaled_and_shifted_evenly():
    """Saturation and hue turn about grey: each channel is brightness x grey + one offset of the noise."""
    ramp = np.arange(40, 168, 2, dtype=np.uint8).reshape(1, 8, 8, 1).repeat(3, axis=3)
    scales = []
    for record in range(200):
        changed = follow_up_colors(ramp, np.array([record]), 0, 0)[0].reshape(-1, 3).astype(float)
        for channel in changed.T:
            inside = (channel > 0) & (channel < 255)
            slope, offset = np.polyfit(ramp[0, ..., 0].ravel()[inside], channel[inside], 1)
            scales.append(slope)
            assert np.abs(channel - (slope * ramp[0, ..., 0].ravel() + offset))[inside].max() < 1.5
    assert 0.58 < min(scales) < 0.65 and 1.35 < max(scales) < 1.42          # 1 - 0.4 ... 1 + 0.4


def test_the_change_follows_the_record_not_the_batch():
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    positions = np.array([3, 50, 7, 99, 0, 12])
    whole = follow_up_colors(images, positions, 1, 2)
    np.testing.assert_array_equal(whole[2:4], follow_up_colors(images[2:4], positions[2:4], 1, 2))
    assert whole.dtype == np.uint8 and (whole != follow_up_colors(images, positions, 1, 3)).any()
