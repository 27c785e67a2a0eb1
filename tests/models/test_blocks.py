"""The blocks against other ways of computing the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mxnet import autograd, nd
from mxnet.gluon import nn

from gluon_tricks.errors import UserError
from gluon_tricks.models.blocks import GlobalMean, GroupNorm

feature_maps = arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9),
                                            st.integers(1, 9)),
                      elements=st.floats(-1000, 1000, width=32))


def value_and_gradient(block, features, weights):
    """The block's value, and the gradient of the value's sum weighted with `weights`, shape (N, C, 1, 1)."""
    data = nd.array(features)
    data.attach_grad()
    with autograd.record():
        value = block(data)
        loss = (value * nd.array(weights)).sum()
    loss.backward()
    return value.asnumpy(), data.grad.asnumpy()


@settings(max_examples=50, deadline=None)
@given(features=feature_maps)
def test_global_mean_equals_global_average_pooling(features):
    count, channels, height, width = features.shape
    weights = np.arange(1, count * channels + 1, dtype=np.float32).reshape(count, channels, 1, 1)
    value, gradient = value_and_gradient(GlobalMean(), features, weights)
    expected_value, expected_gradient = value_and_gradient(nn.GlobalAvgPool2D(), features, weights)

    assert value.shape == expected_value.shape == (count, channels, 1, 1)
    np.testing.assert_allclose(value, expected_value, rtol=1e-5, atol=1e-6 * np.abs(features).max())
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-6)
    np.testing.assert_allclose(gradient, np.broadcast_to(weights / (height * width), features.shape),
                               rtol=1e-6)


# --- GroupNorm ----------------------------------------------------------------------------------------------

def group_norm(kind, channels=64, **kwargs):
    """A group normalization with gamma and beta off their starting values."""
    rng = np.random.RandomState(5)
    norm = kind(in_channels=channels, **kwargs)
    norm.initialize()
    norm.gamma.set_data(nd.array(rng.uniform(0.5, 1.5, channels)))
    norm.beta.set_data(nd.array(rng.normal(0, 0.3, channels)))
    return norm


def trained_once(norm, features, weights):
    """The value, and the gradients of input, gamma and beta of its sum weighted with `weights`."""
    data = nd.array(features)
    data.attach_grad()
    with autograd.record():
        value = norm(data)
        loss = (value * nd.array(weights)).sum()
    loss.backward()
    return [array.asnumpy() for array in (value, data.grad, norm.gamma.grad(), norm.beta.grad())]


def reference_group_norm(features, gamma, beta, groups, epsilon=1e-5):
    """Equation 1 and 2 of arXiv 1803.08494, in float64."""
    grouped = features.astype(np.float64).reshape(len(features), groups, -1)
    normal = (grouped - grouped.mean(axis=2, keepdims=True)) / np.sqrt(grouped.var(axis=2, keepdims=True)
                                                                       + epsilon)
    return normal.reshape(features.shape) * gamma.reshape(1, -1, 1, 1) + beta.reshape(1, -1, 1, 1)


@pytest.mark.parametrize("num_groups", [1, 2, 32, 64])
def test_group_norm_equals_the_formula(num_groups):
    norm = group_norm(GroupNorm, num_groups=num_groups)
    features = np.random.RandomState(0).normal(3, 2, (2, 64, 5, 7)).astype(np.float32)
    expected = reference_group_norm(features, norm.gamma.data().asnumpy(), norm.beta.data().asnumpy(),
                                    num_groups)
    np.testing.assert_allclose(norm(nd.array(features)).asnumpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 64, 5, 7), (1, 256, 1, 1), (3, 32, 8, 8)])
def test_group_norm_hybridized_is_group_norm_imperative_is_gluoncvs(shape):
    gluoncv_layers = pytest.importorskip("gluoncv.nn",
                                         reason="GluonCV is not installed; nothing to compare with")
    rng = np.random.RandomState(1)
    features, weights = rng.normal(3, 2, shape), rng.normal(0, 1, shape)
    hybrid = group_norm(GroupNorm, shape[1])
    hybrid.hybridize(static_alloc=True, static_shape=True)
    expected = trained_once(group_norm(gluoncv_layers.GroupNorm, shape[1]), features, weights)
    for norm in (hybrid, group_norm(GroupNorm, shape[1])):
        for got, want in zip(trained_once(norm, features, weights), expected):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max())


def test_group_norm_has_one_gamma_and_one_beta_per_channel():
    assert GroupNorm(in_channels=64).gamma.shape == GroupNorm(in_channels=64).beta.shape == (64,)


@pytest.mark.parametrize("hybrid", [False, True])
def test_group_norm_of_halves_computes_in_float32(hybrid):
    # 300^2 > 65504
    norm, features = group_norm(GroupNorm), np.random.RandomState(2).normal(300, 2, (2, 64, 9, 9))
    expected = norm(nd.array(features.astype(np.float16))).asnumpy()
    norm.cast("float16")
    norm.hybridize(hybrid)
    value = norm(nd.array(features, dtype="float16"))
    assert norm.gamma.dtype == norm.beta.dtype == "float32"
    assert value.dtype == np.float16
    np.testing.assert_allclose(value.asnumpy(), expected, rtol=1e-3, atol=1e-3)


def test_channels_group_norm_cannot_split_are_refused():
    with pytest.raises(UserError, match="cannot split 48 channels into 32 groups"):
        GroupNorm(in_channels=48)
