"""Distillation: value and gradient of GluonCV's loss on the same arrays, and when the script uses it."""

import numpy as np
import pytest
from mxnet import autograd, nd

import train_imagenet
from gluon_tricks.script.targets import training_targets
from gluon_tricks.tricks.distillation import DistillationLoss

LABELS = np.array([3, 0, 6, 6, 1])


def arrays(seed=0):
    """Logits of student and teacher, shape (5, 7)."""
    rng = np.random.default_rng(seed)
    return (nd.array(rng.normal(size=(5, 7)) * 4) for _ in range(2))


def gluoncvs(logits, teacher_logits, temperature, hard_weight, smoothed):
    """(loss, gradient of its sum) as GluonCV's script computes them."""
    losses = pytest.importorskip("gluoncv.loss", exc_type=ImportError)
    criterion = losses.DistillationSoftmaxCrossEntropyLoss(temperature, hard_weight,
                                                           sparse_label=not smoothed)
    label = nd.one_hot(nd.array(LABELS), 7, on_value=0.9 + 0.1 / 7,
                       off_value=0.1 / 7) if smoothed else nd.array(LABELS)
    softened = nd.softmax(teacher_logits / temperature)
    logits.attach_grad()
    with autograd.record():
        loss = criterion(logits, label, softened)
    loss.backward()
    return loss.asnumpy(), logits.grad.asnumpy()


def parse(*flags):
    return train_imagenet.parse_args(["--model", "any", "--num-training-samples", "64", "--classes", "7",
                                      *flags])


@pytest.mark.parametrize("temperature", [1, 4, 20])
@pytest.mark.parametrize("hard_weight", [0, 0.3, 0.5])
@pytest.mark.parametrize("smoothed", [False, True])
def test_the_scripts_loss_and_gradient_are_gluoncvs(temperature, hard_weight, smoothed, monkeypatch):
    logits, teacher_logits = arrays()
    expected, expected_gradient = gluoncvs(logits, teacher_logits, temperature, hard_weight, smoothed)
    args = parse("--teacher", "any", "--temperature", str(temperature), "--hard-weight", str(hard_weight),
                 *(["--label-smoothing"] if smoothed else []))
    targets, loss, metric = training_targets(args, args.classes, args.dtype,
                                             lambda: lambda data: teacher_logits)
    _, target, counted = targets(nd.zeros((5, 3, 2, 2)), nd.array(LABELS), 0, 0)
    logits.attach_grad()
    with autograd.record():
        value = loss(logits, target)
    value.backward()
    np.testing.assert_allclose(value.asnumpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(logits.grad.asnumpy(), expected_gradient, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(counted.asnumpy(), LABELS)
    assert metric.name == "accuracy"


def test_a_hard_weight_of_one_needs_no_teacher(monkeypatch):
    def refuse():
        raise AssertionError("the teacher was built")

    logits, teacher_logits = arrays()
    expected, _ = gluoncvs(logits, teacher_logits, 20, 1, smoothed=False)
    _, loss, _ = training_targets(parse("--teacher", "any", "--hard-weight", "1"), 7, "float32", refuse)
    np.testing.assert_allclose(loss(logits, nd.array(LABELS)).asnumpy(), expected, rtol=1e-6)


def test_the_soft_gradient_keeps_its_size_as_the_temperature_rises():
    """Why T^2 stands there (§5.3): without it the gradient would fall off as 1 / T^2; with it, it tends to
    (z - mean z - r + mean r) / K."""
    logits, teacher_logits = arrays()
    logits.attach_grad()
    with autograd.record():
        value = DistillationLoss(1000, hard_weight=0)(logits, nd.zeros((5, 7)), teacher_logits)
    value.backward()
    z, r = logits.asnumpy(), teacher_logits.asnumpy()
    limit = (z - z.mean(axis=1, keepdims=True) - r + r.mean(axis=1, keepdims=True)) / 7
    np.testing.assert_allclose(logits.grad.asnumpy(), limit, atol=0.05)
