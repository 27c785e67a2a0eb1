"""Smoothing and mixup as the scripts apply them, against the arithmetic of GluonCV's scripts, written again
in numpy.
"""

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from scipy import stats

import train_cifar
import train_imagenet
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.script.targets import training_targets
from gluon_tricks.tricks import mixing

K = 6
ENGINE = SingleProcess([mx.cpu()])


def gluoncvs_rows(labels, eta):
    """One row a label: 1 - eta + eta/K where it is true, eta/K elsewhere."""
    return np.array([[eta / K + (1 - eta) * (k == y) for k in range(K)] for y in labels])


def gluoncvs_batch(images, labels, lam, eta):
    """Sample i is mixed with sample n - 1 - i, labels after smoothing."""
    rows, n = gluoncvs_rows(labels, eta), len(labels)
    pairs = [(i, n - 1 - i) for i in range(n)]
    return (np.stack([lam * images[i] + (1 - lam) * images[j] for i, j in pairs]),
            np.stack([lam * rows[i] + (1 - lam) * rows[j] for i, j in pairs]))


def imagenet_targets(*flags):
    args = train_imagenet.parse_args(["--model", "any", "--num-training-samples", "64", "--classes", str(K),
                                      "--num-epochs", "5", *flags])
    return training_targets(args, args.classes, args.dtype, None)


def cifar_targets(*flags):
    args = train_cifar.parse_args(["--model", "any", "--num-epochs", "5", *flags])
    return training_targets(args, 6, args.dtype, None)


@pytest.fixture(params=[train_imagenet, train_cifar], ids=["train_imagenet", "train_cifar"])
def script(request):
    return request.param


@pytest.fixture
def builder(script):
    return imagenet_targets if script is train_imagenet else cifar_targets


def batch(n=5):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 3, 4, 4)).astype(np.float32), rng.integers(0, K, n)


@pytest.mark.parametrize("mixup", [False, True])
@pytest.mark.parametrize("smoothing", [False, True])
# off for the last two of five
@pytest.mark.parametrize("epoch, mixed", [(0, True), (2, True), (3, False), (4, False)])
def test_images_and_targets_are_gluoncvs(script, builder, mixup, smoothing, epoch, mixed, monkeypatch):
    lam, (images, labels) = 0.3, batch()
    monkeypatch.setattr(mixing, "sample_lam", lambda alpha, rng: lam)
    flags = (["--mixup", "--mixup-off-epoch", "2"] if mixup else []) + (["--label-smoothing"] if smoothing
                                                                        else [])
    targets, loss, metric = builder(*flags)
    data, target, counted = targets(nd.array(images), nd.array(labels), epoch, 0)
    x, rows = gluoncvs_batch(images, labels, lam if mixup and mixed else 1.0, 0.1 if smoothing else 0.0)
    np.testing.assert_allclose(data.asnumpy(), x, rtol=1e-6, atol=1e-7)
    if mixup or smoothing:
        np.testing.assert_allclose(target.asnumpy(), rows, rtol=1e-5, atol=1e-7)
    else:
        np.testing.assert_array_equal(target.asnumpy(), labels)
    # RMSE against mixed targets, accuracy against hard labels
    assert metric.name == ("rmse" if mixup else "accuracy")
    np.testing.assert_allclose(counted.asnumpy(), rows if mixup else labels, rtol=1e-5, atol=1e-7)
    # Eq. 2 and 3: minus the sum of p log q
    logits = np.random.default_rng(2).normal(size=(5, K))
    log_q = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(loss(nd.array(logits), target).asnumpy(), -(rows * log_q).sum(axis=1),
                               rtol=1e-5)


def test_one_lam_for_all_devices_and_another_for_each_update(builder):
    targets, _, _ = builder("--mixup", "--mixup-alpha", "1", "--mixup-off-epoch", "0")

    def lam(epoch, number):
        ramp = nd.array(np.arange(2.0).reshape(2, 1))                 # (0, 1) becomes (1 - lam, lam)
        return float(targets(ramp, nd.array([0, 1]), epoch, number)[0][1, 0].asscalar())

    first = [lam(0, number) for number in range(300)]
    assert first == [lam(0, number) for number in range(300)]         # asked again, as each device does
    assert lam(1, 0) != first[0]
    assert stats.kstest(first, "uniform").pvalue > 1e-3               # Beta(1, 1)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_lam_has_the_law_of_numpys_legacy_beta_that_gluoncv_draws(alpha):
    from gluon_tricks.randomness import MIXUP, generator
    from gluon_tricks.tricks.mixup import sample_lam
    theirs = np.random.RandomState(0).beta(alpha, alpha, 2000)
    ours = [sample_lam(alpha, generator(0, MIXUP, 0, number)) for number in range(2000)]
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
