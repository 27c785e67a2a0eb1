"""Two nets with the same parameters on the same arrays: ours and GluonCV's."""

import gc

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd

from gluon_tricks.models.registry import get_model


def spread(net):
    """Move every parameter of an initialized net off its starting value, so that mixing two up shows."""
    rng = np.random.RandomState(3)
    for name, parameter in net._collect_params_with_prefix().items():
        if name.endswith(("gamma", "running_var")):
            parameter.set_data(nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
        elif name.endswith(("beta", "bias", "running_mean")):
            parameter.set_data(nd.array(rng.normal(0, 0.2, parameter.shape)))


def pair(name, zoo, folder, written_by, size, **kwargs):
    """[ours, GluonCV's] with the same parameters, gone through a .params file that `written_by` wrote."""
    gc.collect()  # the nets before: cycles of references, of up to half a GB
    mx.random.seed(11)
    ours, theirs = get_model(name, **kwargs), zoo.get_model(name, **kwargs)
    writer, reader = (ours, theirs) if written_by == "ours" else (theirs, ours)
    writer.initialize(mx.init.Xavier())
    writer(nd.zeros((1, 3, size, size)))  # GluonCV's shapes are known after one forward
    spread(writer)
    file = folder / "net.params"
    writer.save_parameters(str(file))
    reader.load_parameters(str(file))
    file.unlink()  # up to 240 MB
    return [ours, theirs]


def train_once(net, data, labels, last=False):
    """Logits, loss gradients of trained parameters and images, and running statistics after one step in
    training.

    After the `last` step of a net the gradients are no longer its own, so that there is one copy: up to
    240 MB.
    """
    data.attach_grad()  # without it MXNet would leave the statistics of a BatchNorm on the images as they are
    with autograd.record():
        logits = net(data)
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(logits, labels)
    loss.backward()
    gradients = {key: parameter.grad() if last else parameter.grad().copy()
                 for key, parameter in net._collect_params_with_prefix().items()
                 if parameter.grad_req != "null"}
    nd.waitall()
    if last:
        net.collect_params().setattr("grad_req", "null")
    return logits.asnumpy(), {**gradients, "images": data.grad.copy()}, running_statistics(net)


def running_statistics(net):
    """{name in a .params file: array}"""
    return {key: parameter.data().asnumpy() for key, parameter in net._collect_params_with_prefix().items()
            if "running" in key}


def largest(array):
    return np.abs(array).max()


def assert_close(got, expected, relative, what, scale=None):
    difference = largest(got - expected) / (scale or largest(expected))
    assert difference <= relative, f"{what}: differs by {difference:.1e} of the largest value"


def assert_gradients_close(got, expected, relative):
    """Compare {name: gradient}, each relative to the largest value in its layer.

    What a parameter does may be undone by a BatchNorm after it, as with most biases and some betas; its
    gradient is then the rounding error of a sum that cancels. Where that befalls a whole layer, both nets
    must have next to nothing.
    """
    assert got.keys() == expected.keys()
    scales = {}  # layer -> largest value
    for key, gradient in expected.items():
        layer = key.rpartition(".")[0]
        scales[layer] = max(largest(gradient.asnumpy()), scales.get(layer, 0))
    rounding = 1e-5 * max(scales.values())
    for key, gradient in expected.items():
        scale = scales[key.rpartition(".")[0]]
        if scale < rounding:
            assert largest(got[key].asnumpy()) < rounding, key
        else:
            assert_close(got[key].asnumpy(), gradient.asnumpy(), relative, f"gradient of {key}", scale)


def assert_training_steps_agree(nets, data, labels, gradient_tolerance):
    """One step in training has the same logits, gradients and running statistics in both nets, ours and
    GluonCV's.

    Takes the nets out of the list, because ours is no longer needed when the other is trained: up to 240 MB.
    """
    theirs, ours = nets.pop(), nets.pop()
    trained = [parameter for parameter in theirs.collect_params().values() if parameter.grad_req != "null"]
    for parameter in trained:
        parameter.grad_req = "null"
    before = running_statistics(ours)
    logits, gradients, statistics = train_once(ours, data, labels, last=True)
    del ours
    gc.collect()
    for parameter in trained:
        parameter.grad_req = "write"
    expected_logits, expected_gradients, expected_statistics = train_once(theirs, data, labels, last=True)

    assert_close(logits, expected_logits, 1e-5, "logits")
    assert_gradients_close(gradients, expected_gradients, gradient_tolerance)
    assert statistics.keys() == expected_statistics.keys()
    for key, expected in expected_statistics.items():
        assert (statistics[key] != before[key]).any(), f"{key} did not move"
        assert_close(statistics[key], expected, 1e-5, key)
