"""Our CIFAR nets against GluonCV's, on the same arrays."""

import mxnet as mx
import numpy as np
import pytest
from cifar_facts import SMALL_NETS
from mxnet import autograd, gluon, nd

from gluon_tricks.models import get_model


@pytest.fixture
def gluoncv_zoo():
    pytest.importorskip("gluoncv", reason="GluonCV is not installed; nothing to compare with")
    from gluoncv import model_zoo
    return model_zoo


def spread(net):
    """Move every parameter of an initialized net off its starting value, so that mixing two up shows."""
    rng = np.random.RandomState(3)
    for name, parameter in net._collect_params_with_prefix().items():
        if name.endswith(("gamma", "running_var")):
            parameter.set_data(nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
        elif name.endswith(("beta", "bias", "running_mean")):
            parameter.set_data(nd.array(rng.normal(0, 0.2, parameter.shape)))


def pair(name, zoo, tmp_path, written_by):
    """(ours, GluonCV's) with the same parameters, gone through a .params file that `written_by` wrote."""
    mx.random.seed(11)
    ours, theirs = get_model(name), zoo.get_model(name)
    writer, reader = (ours, theirs) if written_by == "ours" else (theirs, ours)
    writer.initialize(mx.init.Xavier())
    writer(nd.zeros((1, 3, 32, 32)))  # GluonCV's shapes are known after one forward
    spread(writer)
    writer.save_parameters(str(tmp_path / "net.params"))
    reader.load_parameters(str(tmp_path / "net.params"))
    return ours, theirs


def train_once(net, data, labels):
    """Logits, loss gradients of trained parameters and images, and running statistics after one step in training."""
    data.attach_grad()  # without it MXNet would leave the statistics of a BatchNorm on the images as they are
    with autograd.record():
        logits = net(data)
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(logits, labels)
    loss.backward()
    gradients = {key: parameter.grad().asnumpy() for key, parameter in net._collect_params_with_prefix().items()
                 if parameter.grad_req != "null"}
    return logits.asnumpy(), {**gradients, "images": data.grad.asnumpy()}, running_statistics(net)


def running_statistics(net):
    """{name in a .params file: array}"""
    return {key: parameter.data().asnumpy() for key, parameter in net._collect_params_with_prefix().items()
            if "running" in key}


def largest(array):
    return np.abs(array).max()


def assert_close(got, expected, relative, what):
    difference = largest(got - expected) / largest(expected)
    assert difference <= relative, f"{what}: differs by {difference:.1e} of the largest value"


@pytest.mark.parametrize("written_by", ["ours", "gluoncv"])
@pytest.mark.parametrize("name", SMALL_NETS)
def test_params_files_are_exchangeable_and_give_gluoncvs_logits(name, written_by, gluoncv_zoo, tmp_path):
    ours, theirs = pair(name, gluoncv_zoo, tmp_path, written_by)
    data = nd.random.normal(shape=(2, 3, 32, 32))
    assert_close(ours(data).asnumpy(), theirs(data).asnumpy(), 1e-5, "logits")


@pytest.mark.parametrize("name", SMALL_NETS)
def test_a_training_step_has_gluoncvs_logits_gradients_and_statistics(name, gluoncv_zoo, tmp_path):
    ours, theirs = pair(name, gluoncv_zoo, tmp_path, written_by="gluoncv")
    data, labels = nd.random.normal(shape=(2, 3, 32, 32)), nd.array([3, 8])
    before = running_statistics(ours)
    logits, gradients, statistics = train_once(ours, data, labels)
    expected_logits, expected_gradients, expected_statistics = train_once(theirs, data, labels)

    assert_close(logits, expected_logits, 1e-5, "logits")

    assert gradients.keys() == expected_gradients.keys()
    rounding = 1e-5 * max(largest(expected) for expected in expected_gradients.values())
    for key, expected in expected_gradients.items():
        if largest(expected) < rounding:  # features.2 of the wide nets: the BatchNorm after it undoes what it does
            assert largest(gradients[key]) < rounding, key
        else:
            assert_close(gradients[key], expected, 1e-4, f"gradient of {key}")

    assert statistics.keys() == expected_statistics.keys()
    for key, expected in expected_statistics.items():
        assert (statistics[key] != before[key]).any(), f"{key} did not move"
        assert_close(statistics[key], expected, 1e-5, key)
