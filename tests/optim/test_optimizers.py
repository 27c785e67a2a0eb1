"""Each optimizer against its rule written once more in numpy (float64), over updates of changing rate."""

import math

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.optim.optimizers import NAMES, create_optimizer

WD, CLIP, RATES = 0.01, 0.3, (0.1, 0.1, 0.05, 0.02)


def gradients():
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.3, (3, 4)).astype(np.float32) for _ in RATES]


def run(name, clip=None, **more):
    """Weights after each update; rescaled by 1/2, as a batch of two would be."""
    optimizer = create_optimizer(name, RATES[0], 0.9, WD, clip_gradient=clip, **more)
    optimizer.rescale_grad = 0.5
    weight = nd.array(np.random.default_rng(1).normal(size=(3, 4)))
    state, found = optimizer.create_state_multi_precision(0, weight), []
    for lr, gradient in zip(RATES, gradients()):
        optimizer.lr = lr
        optimizer.update_multi_precision(0, weight, nd.array(2 * gradient), state)
        found.append(weight.asnumpy())
    return found


def expected(rule, clip=None):
    weight, memory, found = np.random.default_rng(1).normal(size=(3,
                                                                  4)).astype(np.float32).astype(float), {}, []
    for t, (lr, gradient) in enumerate(zip(RATES, gradients()), start=1):
        gradient = gradient.astype(float) if clip is None else np.clip(gradient.astype(float), -clip, clip)
        weight = rule(weight, gradient, lr, t, memory)
        found.append(weight.copy())
    return found


def sgd(w, g, lr, t, m):
    m["v"] = 0.9 * m.get("v", 0) - lr * (g + WD * w)
    return w + m["v"]


def nag(w, g, lr, t, m):
    step = lr * (g + WD * w)
    m["v"] = 0.9 * m.get("v", 0) - step
    return w + 0.9 * m["v"] - step


def adam(w, g, lr, t, m):
    g = g + WD * w
    m["m"], m["v"] = 0.9 * m.get("m", 0) + 0.1 * g, 0.999 * m.get("v", 0) + 0.001 * g * g
    return w - lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m["m"] / (np.sqrt(m["v"]) + 1e-8)


def nadam(w, g, lr, t, m):
    """Dozat 2016 with the warming schedule; of one array MXNet's product grows once per update, as it is
    meant to.
    """
    def mu(t):
        return 0.9 * (1 - 0.5 * 0.96 ** (t * 0.004))

    g = g + WD * w
    m["m"], m["v"] = 0.9 * m.get("m", 0) + 0.1 * g, 0.999 * m.get("v", 0) + 0.001 * g * g
    m["product"] = m.get("product", 1) * mu(t)
    mean = mu(t + 1) * m["m"] / (1 - m["product"] * mu(t + 1)) + (1 - mu(t)) * g / (1 - m["product"])
    return w - lr * mean / (np.sqrt(m["v"] / (1 - 0.999**t)) + 1e-8)


def adadelta(w, g, lr, t, m):
    m["g"] = 0.9 * m.get("g", 0) + 0.1 * g * g
    step = np.sqrt(m.get("d", 0) + 1e-5) / np.sqrt(m["g"] + 1e-5) * g
    m["d"] = 0.9 * m.get("d", 0) + 0.1 * step * step
    return w - step - WD * w                            # no rate


def rmsprop(w, g, lr, t, m):
    g = g + WD * w
    m["n"] = 0.9 * m.get("n", 0) + 0.1 * g * g
    return w - lr * g / np.sqrt(m["n"] + 1e-8)


def lars(w, g, lr, t, m, coefficient=1.0):
    local = coefficient * np.linalg.norm(w) / (np.linalg.norm(g) + WD * np.linalg.norm(w) + 1e-9)
    m["v"] = 0.9 * m.get("v", 0) + lr * local * (g + WD * w)
    return w - m["v"]


def adabound(w, g, lr, t, m):
    g = g + WD * w
    m["m"], m["v"] = 0.9 * m.get("m", 0) + 0.1 * g, 0.999 * m.get("v", 0) + 0.001 * g * g
    final = 0.1 * lr / RATES[0]
    rate = lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) / (np.sqrt(m["v"]) + 1e-8)
    return w - np.clip(rate, final * (1 - 1 / (1e-3 * t + 1)), final * (1 + 1 / (1e-3 * t))) * m["m"]


@pytest.mark.parametrize("name", NAMES)
def test_the_rule_is_the_papers(name):
    for got, wanted in zip(run(name), expected(globals()[name])):
        # nag decays in place
        np.testing.assert_allclose(got, wanted, rtol=2e-3 if name == "nag" else 2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["sgd", "lars"])
def test_gradients_are_clipped_before_decay(name):
    for got, wanted in zip(run(name, CLIP), expected(globals()[name], CLIP)):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)


def test_lars_takes_the_coefficient():
    wanted = expected(lambda *args: lars(*args, coefficient=0.001))
    for got, each in zip(run("lars", lars_coefficient=0.001), wanted):
        np.testing.assert_allclose(got, each, rtol=2e-5)


def test_lars_moves_an_array_that_starts_at_zero():
    optimizer, weight = create_optimizer("lars", 0.1, 0.9, 0.0), nd.zeros(3)
    optimizer.update(0, weight, nd.array([1, -2, 3]), optimizer.create_state(0, weight))
    np.testing.assert_allclose(weight.asnumpy(), [-0.1, 0.2, -0.3], rtol=1e-6)


def test_adabound_ends_as_sgd():
    """After very many updates both bounds are the final rate."""
    optimizer, weight = create_optimizer("adabound", 0.001, wd=0.0, final_lr=0.1), nd.zeros(1)
    optimizer.begin_num_update = 10**9
    state = optimizer.create_state(0, weight)
    optimizer.update(0, weight, nd.array([1.0]), state)
    # final rate x (1 - beta1) x gradient
    assert float(weight.asscalar()) == pytest.approx(-0.1 * 0.1, rel=1e-5)


def test_mxnets_nadam_multiplies_once_per_array_and_we_keep_it():
    optimizer = create_optimizer("nadam", 0.001)
    for index in range(3):
        weight = nd.ones(2)
        optimizer.update(index, weight, nd.ones(2), optimizer.create_state(index, weight))
    mu = 0.9 * (1 - 0.5 * 0.96**0.004)
    assert type(optimizer) is mx.optimizer.Nadam and optimizer.m_schedule == pytest.approx(mu**3)
