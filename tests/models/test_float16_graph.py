"""The emulation of float16: exact rounding, where it is done, and types."""

import json

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.models import float16_graph
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.ready import make_ready
from gluon_tricks.saved.torch_proof import spread

HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


@pytest.fixture(autouse=True, params=["compiled", "casts"])
def rounding(request, monkeypatch):
    if request.param == "casts":
        monkeypatch.setattr(float16_graph, "compiled", lambda: None)
    elif not float16_graph.compiled():
        pytest.skip("no C compiler works here")
    return request.param


def neighbourhoods():
    """Every float16 number, the middle between each and the next, and the float32 numbers next to both."""
    finite = np.sort(HALVES[np.isfinite(HALVES)].astype(np.float32))
    middles = ((finite[1:].astype(float) + finite[:-1]) / 2).astype(np.float32)
    largest = np.array([65519.996, 65520, 65536, 1e9, 3e38, 1e-45], np.float32)
    points = np.concatenate([finite, middles, largest, -largest])
    up, down = (np.nextafter(points, np.float32(end)) for end in (np.inf, -np.inf))
    return np.concatenate([points, up, down, HALVES.astype(np.float32)])


def assert_same_bits(got, expected):
    nans = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(got), nans)
    np.testing.assert_array_equal(got[~nans].view(np.uint16), expected[~nans].view(np.uint16))


def ready(net, dtype, size=8):
    """Make a net as the scripts do; it must be initialised."""
    net.cast(dtype)
    make_ready(net, size, dtype, "hybrid", SingleProcess([mx.cpu()]))
    return net


class Scaled(gluon.HybridBlock):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def hybrid_forward(self, F, x):
        return x * self.factor


@pytest.mark.parametrize("factor", [2.0**-11, 2.0**3, 1 / 3])
def test_outputs_and_gradients_round_to_even_overflow_and_vanish_as_in_numpy(factor):
    net, x = ready(Scaled(factor), "float16"), nd.array(HALVES, dtype="float16")
    with np.errstate(all="ignore"):
        expected = (HALVES.astype(np.float32) * np.float32(factor)).astype(np.float16)
    x.attach_grad()
    with autograd.record():
        y = net(x)
    y.backward(nd.array(HALVES, dtype="float16"))
    assert_same_bits(y.asnumpy(), expected)
    assert_same_bits(x.grad.asnumpy(), expected)
    assert (np.isinf(expected) & np.isfinite(HALVES)).any() == (factor > 1)
    assert ((expected == 0) & (HALVES != 0)).any() == (factor < 1)


def test_the_rounding_is_numpys_near_every_float16_number():
    class Round(gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.cast(x, "float16")

    net, points = Round(), neighbourhoods()
    ready(net, "float16")
    with np.errstate(all="ignore"):
        expected = points.astype(np.float16)
    assert_same_bits(net(nd.array(points)).asnumpy(), expected)


class Residual(gluon.HybridBlock):
    """Two convolutions and a shortcut: arrays with one reader and with two, BatchNorm, pooling, classifier."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.stem = nn.Conv2D(8, 3, padding=1, in_channels=3)
            self.norm = nn.BatchNorm(in_channels=8)
            self.conv = nn.Conv2D(8, 3, padding=1, use_bias=False, in_channels=8)
            self.output = nn.Dense(5, in_units=8 * 16)

    def hybrid_forward(self, F, x):
        x = F.Activation(self.norm(self.stem(x)), act_type="relu")
        x = x + self.conv(x)
        return self.output(F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max"))


def rounded(x):
    """Round values, and gradients in the backward, to float16."""
    return x.astype("float16").astype("float32")


def by_hand(net, x):
    """`Residual` in float32 operators, with each rounding that a GPU's types imply."""
    def weight(param):
        return param.data().astype("float32")

    norm = net.norm
    x = rounded(nd.Convolution(x.astype("float32"), weight(net.stem.weight), weight(net.stem.bias),
                               kernel=(3, 3), pad=(1, 1), num_filter=8))
    x = rounded(nd.BatchNorm(x, norm.gamma.data(), norm.beta.data(), norm.running_mean.data(),
                             norm.running_var.data(), fix_gamma=False, eps=1e-5))
    x = rounded(nd.Activation(x, act_type="relu"))
    conv = rounded(nd.Convolution(rounded(x), weight(net.conv.weight), kernel=(3, 3), pad=(1, 1),
                                  num_filter=8, no_bias=True))
    x = rounded(nd.Pooling(rounded(x + conv), kernel=(2, 2), stride=(2, 2), pool_type="max"))
    return rounded(nd.FullyConnected(x, weight(net.output.weight), weight(net.output.bias),
                                     num_hidden=5)).astype("float16")


def trained(net, forward):
    """Output, gradients and running statistics after one backward of a scaled loss: arrays by name."""
    rng = np.random.default_rng(3)
    data = nd.array(rng.normal(size=(4, 3, 8, 8)), dtype="float16")
    with autograd.record():
        output = forward(data)
        loss = 64 * gluon.loss.SoftmaxCrossEntropyLoss()(output.astype("float32"), nd.array([0, 1, 2, 3]))
    loss.backward()
    mx.nd.waitall()
    found = {name: (param.data() if param.grad_req == "null" else param.grad()).asnumpy()
             for name, param in net._collect_params_with_prefix().items()}
    return {"output": output.asnumpy(), **found}


def residual():
    return ready(spread(Residual(), 5), "float16")


def test_a_residual_net_is_rounded_where_a_gpu_rounds():
    plain, compiled = residual(), residual()
    expected = trained(plain, lambda data: by_hand(plain, data))
    got = trained(compiled, compiled)
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        assert got[name].dtype == array.dtype, name
        np.testing.assert_array_equal(got[name], array, err_msg=name)


def test_types_are_those_of_a_gpu():
    net = residual()
    found = trained(net, net)
    full = {name for name, array in found.items() if array.dtype == np.float32}
    assert full == {f"norm.{end}" for end in ("gamma", "beta", "running_mean", "running_var")}
    assert found["output"].dtype == np.float16


def operators(net):
    return [node["op"] for node in json.loads(net._cached_graph[1].tojson())["nodes"]]


def test_group_norm_computes_in_float32(rounding):
    class Normal(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            with self.name_scope():
                self.norm = GroupNorm(3, in_channels=3)

        def hybrid_forward(self, F, x):
            return self.norm(x)

    images = nd.random.normal(shape=(2, 3, 8, 8))
    low, full = (ready(spread(Normal(), 5), dtype, 8) for dtype in ("float16", "float32"))
    x = images.astype("float16")
    np.testing.assert_array_equal(low(x).asnumpy(), full(x.astype("float32")).astype("float16").asnumpy())
    # images to float32, output to float16; between them only the result is rounded
    assert operators(low).count("Cast") == 2 + 2 * (rounding == "casts")
    assert operators(low).count("Custom") == (rounding == "compiled")


def test_an_activation_that_overflows_is_infinite():
    net, x = ready(Scaled(4.0), "float16"), nd.array([16376, 20000, -20000], dtype="float16")
    assert net(x).asnumpy().tolist() == [65504, np.inf, -np.inf]


def test_only_a_compiled_net_is_emulated():
    net = Residual()
    net.initialize()
    net.cast("float16")
    with pytest.raises(AssertionError, match="only a compiled graph"):
        make_ready(net, 8, "float16", None, SingleProcess([mx.cpu()]))
