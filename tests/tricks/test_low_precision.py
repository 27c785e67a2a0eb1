"""Loss scales: halve on overflow, double after a quiet window."""

import pytest

from gluon_tricks.tricks.low_precision import DynamicLossScale, StaticLossScale


def test_an_overflow_skips_the_update_and_halves_the_scale():
    scale = DynamicLossScale(scale=8.0, window=3)
    assert scale.update(finite=False) is False and scale.scale == 4.0


def test_the_scale_doubles_after_a_window_of_good_updates_in_a_row():
    scale = DynamicLossScale(scale=8.0, window=3)
    for finite, expected in [(True, 8), (True, 8), (False, 4), (True, 4), (True, 4), (True, 8), (True, 8)]:
        assert scale.update(finite) is finite
        assert scale.scale == expected


def test_the_scale_never_falls_below_one():
    scale = DynamicLossScale(scale=1.5)
    scale.update(False)
    assert scale.scale == 1.0


@pytest.mark.parametrize("scale", [0, -1, float("inf")])
def test_a_constant_scale_must_be_positive(scale):
    with pytest.raises(ValueError, match="scale must be positive"):
        StaticLossScale(scale)
    assert StaticLossScale(128).update(True) is True
