"""Distillation: Eq. 6 and GluonCV's weights, written again in numpy, and GluonCV's own loss on the same
arrays.
"""

import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.tricks.distillation import DistillationLoss


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(p, q):
    return -(p * np.log(q)).sum(axis=1)


def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 7)) * 3, softmax(rng.normal(size=(5, 7))), rng.normal(size=(5, 7)) * 3


@pytest.mark.parametrize("temperature, hard", [(20, 0.5), (1, 0.5), (4, 0.3), (20, 0.0)])
def test_gluoncvs_weights(temperature, hard):
    z, p, r = arrays()
    got = DistillationLoss(temperature, hard)(*map(nd.array, (z, p, r))).asnumpy()
    expected = (hard * cross_entropy(p, softmax(z))
                + (1 - hard) * temperature**2 * cross_entropy(softmax(r / temperature),
                                                              softmax(z / temperature)))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_the_papers_loss_is_twice_gluoncvs():
    z, p, r = map(nd.array, arrays())
    paper = DistillationLoss(20, hard_weight=1, soft_weight=1)(z, p, r).asnumpy()
    np.testing.assert_allclose(paper, 2 * DistillationLoss(20)(z, p, r).asnumpy(), rtol=1e-6)


def test_it_is_gluoncvs_loss():
    theirs = pytest.importorskip("gluoncv.loss").DistillationSoftmaxCrossEntropyLoss(temperature=20,
                                                                                     hard_weight=0.5,
                                                                                    sparse_label=False)
    z, p, r = map(nd.array, arrays())
    expected = theirs(z, p, nd.softmax(r / 20)).asnumpy()
    np.testing.assert_allclose(DistillationLoss(20)(z, p, r).asnumpy(), expected, rtol=1e-5)


def test_a_temperature_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="temperature must be positive"):
        DistillationLoss(0)
