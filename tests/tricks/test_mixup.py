"""Mixup: the formula, the partners, the draw."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.randomness import generator
from gluon_tricks.tricks.mixup import mixup, sample_lam, sample_partners


def reference_mixup(array, lam):
    n = len(array)
    return np.stack([lam * array[i] + (1 - lam) * array[n - 1 - i] for i in range(n)])


@pytest.mark.parametrize("n", [4, 5])      # the middle image of an odd part mixes with itself
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_each_image_is_mixed_with_the_one_at_the_mirrored_place(n, lam):
    rng = np.random.default_rng(0)
    data, targets = rng.random((n, 3, 2, 2), np.float32), np.eye(n, dtype=np.float32)
    mixed_data, mixed_targets = mixup(nd.array(data), nd.array(targets), lam)
    np.testing.assert_allclose(mixed_data.asnumpy(), reference_mixup(data, lam), rtol=1e-6)
    np.testing.assert_allclose(mixed_targets.asnumpy(), reference_mixup(targets, lam), rtol=1e-6)


def test_mixed_targets_are_still_probabilities():
    targets = nd.array(np.eye(10, dtype=np.float32)[[3, 1, 4, 1]])
    _, mixed = mixup(nd.zeros((4, 1)), targets, 0.7)
    np.testing.assert_allclose(mixed.sum(axis=1).asnumpy(), 1, rtol=1e-6)


def test_lam_follows_the_beta_distribution():
    rng = generator(0)
    alpha = 0.2
    draws = np.array([sample_lam(alpha, rng) for _ in range(20000)])
    assert draws.min() >= 0 and draws.max() <= 1
    assert draws.mean() == pytest.approx(0.5, abs=0.01)
    expected_variance = 1 / (4 * (2 * alpha + 1))          # of Beta(a, a): a^2 / ((2a)^2 (2a + 1))
    assert draws.var() == pytest.approx(expected_variance, rel=0.03)


def test_lam_of_alpha_one_is_uniform():
    rng = generator(1)
    draws = np.sort([sample_lam(1.0, rng) for _ in range(5000)])
    assert np.abs(draws - np.linspace(0, 1, 5000)).max() < 0.03          # Kolmogorov-Smirnov distance


@pytest.mark.parametrize("alpha", [0, -1])
def test_alpha_must_be_positive(alpha):
    with pytest.raises(ValueError, match="alpha must be positive"):
        sample_lam(alpha, generator(0))


def test_lam_one_changes_no_bit():
    data = mx.nd.random.normal(shape=(6, 3, 4, 4))
    mixed, _ = mixup(data, nd.ones((6, 2)), 1.0)
    np.testing.assert_array_equal(mixed.asnumpy(), data.asnumpy())


def test_given_partners_are_mixed():
    data, targets, lam = np.arange(8.0).reshape(4, 2), np.eye(4), 0.3
    partners = sample_partners(4, np.random.default_rng(5))
    assert sorted(partners) == [0, 1, 2, 3]
    got = mixup(nd.array(data), nd.array(targets), lam, partners)
    for mixed, plain in zip(got, (data, targets)):
        expected = [lam * plain[i] + (1 - lam) * plain[j] for i, j in enumerate(partners)]
        np.testing.assert_allclose(mixed.asnumpy(), expected, rtol=1e-6)
