"""Label smoothing: GluonCV's formula, and the paper's where they agree."""

import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.tricks.label_smoothing import smooth_one_hot


def reference_smooth_one_hot(labels, classes, eta):
    return [[1 - eta + eta / classes if k == y else eta / classes for k in range(classes)] for y in labels]


def paper_smooth_one_hot(labels, classes, eps):
    return [[1 - eps if k == y else eps / (classes - 1) for k in range(classes)] for y in labels]


@pytest.mark.parametrize("eta", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("classes", [3, 10])
def test_smoothed_targets_equal_the_formula(eta, classes):
    got = smooth_one_hot(nd.array([2, 0]), classes, eta).asnumpy()
    np.testing.assert_allclose(got, reference_smooth_one_hot([2, 0], classes, eta), rtol=1e-6)


def test_gluoncv_and_the_paper_agree_at_the_stated_eps():
    got = smooth_one_hot(nd.array([2, 0]), 10, eta=0.1).asnumpy()
    np.testing.assert_allclose(got, paper_smooth_one_hot([2, 0], 10, eps=0.09), rtol=1e-6)


@pytest.mark.parametrize("eta", [-0.1, 1.0])
def test_eta_outside_its_range_is_refused(eta):
    with pytest.raises(ValueError, match="eta must be in"):
        smooth_one_hot(nd.array([0]), 3, eta)


@pytest.mark.parametrize("eps, classes", [(0.1, 10), (0.3, 3)])
def test_the_papers_rule_spreads_over_the_other_classes(eps, classes):
    """Eq. 4; equal to GluonCV's where eps = eta (K - 1) / K."""
    got = smooth_one_hot(nd.array([1]), classes, eps, "paper").asnumpy()[0]
    expected = [1 - eps if k == 1 else eps / (classes - 1) for k in range(classes)]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_allclose(smooth_one_hot(nd.array([1]), classes,
                                              eps * classes / (classes - 1)).asnumpy()[0], expected,
                               rtol=1e-5)
