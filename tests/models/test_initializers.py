"""The paper's Xavier: bounds and spread by channels alone."""

import math

import mxnet as mx
import pytest
from mxnet import gluon

from gluon_tricks.models.initializers import imagenet_initializer


def weights(name, layer):
    mx.random.seed(3)
    layer.initialize(imagenet_initializer(name))
    return layer.weight.data().asnumpy()


@pytest.mark.parametrize("kernel", [1, 3])
def test_the_papers_bound_knows_no_kernel(kernel):
    bound = math.sqrt(6 / (48 + 80))
    got = weights("paper", gluon.nn.Conv2D(80, kernel, in_channels=48))
    assert 0.98 * bound < abs(got).max() <= bound
    assert got.std() == pytest.approx(bound / math.sqrt(3), rel=0.03)          # uniform


def test_gluoncvs_is_normal_with_the_kernel_in_its_fans():
    got = weights("gluoncv", gluon.nn.Conv2D(80, 3, in_channels=48))
    assert got.std() == pytest.approx(math.sqrt(2 / (1 + 0.25**2) / (9 * (48 + 80) / 2)), rel=0.03)
