"""What is peculiar to the CIFAR nets. Their names, shapes and sizes: see test_facts.py."""

import json

import mxnet as mx
import numpy as np
import pytest
from facts import CIFAR_NETS, PARAMETERS, SMALL_CIFAR_NETS
from mxnet import autograd, nd

from gluon_tricks.models.registry import get_model


def saved_parameters(net):
    """{name in a .params file: Parameter}: what `save_parameters` goes through."""
    return net._collect_params_with_prefix()


def initialized(name, **kwargs):
    mx.random.seed(7)
    net = get_model(name, **kwargs)
    net.initialize(mx.init.Xavier())
    return net


def images():
    return nd.random.normal(shape=(2, 3, 32, 32))


def operators(net):
    """Operators of a net's graph, in the order they are computed."""
    return [node["op"] for node in json.loads(net(mx.sym.Variable("data")).tojson())["nodes"]]


@pytest.mark.parametrize("name", CIFAR_NETS)
def test_no_pooling_operator_slows_the_backward(name):  # see GlobalMean
    assert "mean" in operators(get_model(name))
    assert "Pooling" not in operators(get_model(name))


def test_cifar100_changes_the_classifier_only():
    parameters = saved_parameters(get_model("cifar_resnet20_v1", classes=100))
    facts = PARAMETERS["cifar_resnet20_v1"]
    changed = {key for key in facts if parameters[key].shape != facts[key].shape}
    assert changed == {"output.weight", "output.bias"}
    assert parameters["output.weight"].shape == (100, 64)


@pytest.mark.parametrize("name", SMALL_CIFAR_NETS)
@pytest.mark.parametrize("train_mode", [False, True])
def test_hybridized_equals_imperative(name, train_mode):
    net, data = initialized(name), images()
    with autograd.record(train_mode=train_mode):
        imperative = net(data).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    with autograd.record(train_mode=train_mode):
        hybridized = net(data).asnumpy()
    assert imperative.shape == (2, 10)
    np.testing.assert_allclose(hybridized, imperative, rtol=1e-5, atol=1e-5 * np.abs(imperative).max())


def test_every_wide_block_drops_out_before_its_second_convolution():
    computed = [op for op in operators(get_model("cifar_wideresnet16_10", drop_rate=0.3)) if op != "null"]
    after_dropout = [following for op, following in zip(computed, computed[1:]) if op == "Dropout"]
    assert after_dropout == ["Convolution"] * 6  # 3 stages x 2 blocks


def test_nothing_drops_out_unless_asked():
    for name in CIFAR_NETS:
        assert "Dropout" not in operators(get_model(name))


def test_dropout_acts_in_training_only():
    net, data = initialized("cifar_wideresnet16_10", drop_rate=0.3), images()
    with autograd.predict_mode():
        assert (net(data) == net(data)).asnumpy().all()
    with autograd.train_mode():
        assert (net(data) != net(data)).asnumpy().any()


@pytest.mark.parametrize("name", ["cifar_resnet20_v2", "cifar_wideresnet16_10"])
def test_batch_norm_of_the_images_takes_statistics_on_a_cpu_if_the_images_have_a_gradient(name):
    net, data = initialized(name), images() + 1
    statistics = net.features[0].running_mean
    for attach_gradient in [False, True]:
        if attach_gradient:
            data.attach_grad()
        with autograd.record():
            loss = net(data).sum()
        loss.backward()
        assert (statistics.data().asnumpy() != 0).all() == attach_gradient


def test_no_bias_decay_finds_every_batch_norm_and_the_classifiers_bias():  # §3.1; the pattern is --no-wd's
    net = get_model("cifar_wideresnet16_10")
    undecayed = net.collect_params(".*beta|.*gamma|.*bias").keys()
    assert len(undecayed) == 15 + 15 + 1  # gamma and beta of 15 BatchNorms, one bias
