"""`GlobalMean` is `nn.GlobalAvgPool2D`, in value, shape and gradient."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mxnet import autograd, nd
from mxnet.gluon import nn

from gluon_tricks.models.blocks import GlobalMean

feature_maps = arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)),
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
    np.testing.assert_allclose(gradient, np.broadcast_to(weights / (height * width), features.shape), rtol=1e-6)
