"""The moving average of parameters, against numpy."""

import mxnet as mx
import numpy as np
from mxnet import gluon, nd

from gluon_tricks.optim.parameter_average import ParameterAverage
from gluon_tricks.parameters import named_parameters


def small_net(ctx):
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(3, in_units=2), gluon.nn.BatchNorm(in_channels=3))
    net.initialize(mx.init.Uniform(1), ctx=ctx)
    return net


def test_the_average_is_the_formula():
    net = small_net(mx.cpu())
    average, rng = ParameterAverage(net, 0.5), np.random.default_rng(0)
    expected = {name: param.data().asnumpy() for name, param in named_parameters(net).items()}
    for n in range(1, 30):
        decay = min(0.5, (1 + n) / (10 + n))              # 0.5 from n = 8 on
        for name, param in named_parameters(net).items():
            value = rng.normal(size=param.shape).astype(np.float32)
            param.set_data(nd.array(value))
            expected[name] = decay * expected[name] + (1 - decay) * value
        average.update(n)
    assert {"0.weight", "0.bias", "1.gamma", "1.running_mean"} <= set(average.arrays)
    for name, value in expected.items():
        np.testing.assert_allclose(average.arrays[name].asnumpy(), value, rtol=1e-5, atol=1e-6)


def test_it_is_applied_on_every_device_and_taken_back():
    net = small_net([mx.cpu(0), mx.cpu(1)])
    average, weight = ParameterAverage(net, 0.9), net[0].weight
    before = weight.data(mx.cpu(0)).asnumpy()
    average.restore({"0.weight": np.full((3, 2), 7.0)})
    with average.applied():
        assert all((value.asnumpy() == 7).all() for value in weight.list_data())
    for value in weight.list_data():
        np.testing.assert_array_equal(value.asnumpy(), before)
