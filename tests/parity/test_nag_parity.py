"""The optimizer that the scripts build, step by step against NAG in numpy, also with float16 weights and
float32 masters.

Nesterov's momentum as MXNet has it, with g the summed gradient over the batch size:

    s = lr (g + wd w),   w <- w + mu (mu m - s) - s,   m <- mu m - lr (g + wd w), where this w is the new one

The last is a habit of its in-place kernels; at wd = 1e-4 nobody sees it, here wd is 0.1.
"""

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd

import train_cifar
import train_imagenet
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.script import cifar, imagenet
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay

LR, WD, MU, BATCH = 0.1, 0.1, 0.9, 8
SHAPES = {"weight": (4, 3), "bias": (4,), "gamma": (4,), "beta": (4,)}


def parse(*flags):
    return train_imagenet.parse_args(["--model", "any", "--num-training-samples", "64", "--wd", str(WD),
                                      "--lr", str(LR), *flags])


class Parameters(gluon.nn.HybridBlock):
    """A parameter of each kind, moved off its starting value."""

    def __init__(self, dtype):
        super().__init__()
        rng = np.random.default_rng(0)
        for name, shape in SHAPES.items():
            param = self.params.get(name, shape=shape, dtype=dtype)
            setattr(self, name, param)
            param.initialize(mx.init.One())
            param.set_data(nd.array(rng.normal(size=shape), dtype=dtype))


def gradients(step):
    """Sums over a batch; the same for every optimizer that asks."""
    rng = np.random.default_rng(100 + step)
    return {name: rng.normal(size=shape) * BATCH for name, shape in SHAPES.items()}


def nag(w, m, g, lr, wd):
    s = lr * (g + wd * w)
    w = w + MU * (MU * m - s) - s
    return w, MU * m - lr * (g + wd * w)


def train(args, steps, dtype="float32", no_wd=False):
    """Parameters after so many updates, by the script's optimizer and the engine's Trainer, the rate falling
    from LR.
    """
    net = Parameters(dtype)
    if no_wd:
        exempt_from_decay(net)
    trainer = SingleProcess([mx.cpu()]).trainer(net, imagenet.nag(args, args.dtype))
    for step in range(steps):
        for name, gradient in gradients(step).items():
            getattr(net, name).grad()[:] = nd.array(gradient, dtype=dtype)
            getattr(net, name).data()._fresh_grad = True
        trainer.set_learning_rate(LR * (1 - step / 20))
        trainer.step(BATCH)
    return net, trainer


def expected(steps, dtype=np.float32, no_wd=False, clip=None):
    """{name: (weight, momentum)} in double precision; gradients and starting values as the type holds them.
    """
    state = {name: (param.data().asnumpy().astype(np.float64), 0.0)
             for name, param in ((name, getattr(Parameters(np.dtype(dtype).name), name)) for name in SHAPES)}
    for step in range(steps):
        for name, gradient in gradients(step).items():
            g = gradient.astype(dtype).astype(np.float64) / BATCH
            wd = 0.0 if no_wd and name != "weight" else WD
            state[name] = nag(*state[name], np.clip(g, -clip, clip) if clip else g, LR * (1 - step / 20), wd)
    return state


@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("no_wd", [False, True])
def test_float32_steps(steps, no_wd):
    net, _ = train(parse(), steps, no_wd=no_wd)
    for name, (weight, _) in expected(steps, no_wd=no_wd).items():
        np.testing.assert_allclose(getattr(net, name).data().asnumpy(), weight, rtol=1e-5, atol=1e-6,
                                   err_msg=name)


@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("no_wd", [False, True])
def test_float16_weights_follow_their_float32_masters(steps, no_wd):
    args = parse()
    args.dtype = "float16"  # the flag is refused on CPUs, where only this part works
    net, trainer = train(args, steps, "float16", no_wd)
    kinds = [param.name.rpartition("_")[2] for param in trainer._params]
    states = {kinds[index]: state for index, state in trainer._updaters[0].states.items()}
    for name, (weight, momentum) in expected(steps, np.float16, no_wd).items():
        held = getattr(net, name).data()
        kept_momentum, master = states[name]
        assert (held.dtype, master.dtype, kept_momentum.dtype) == (np.float16, np.float32, np.float32)
        np.testing.assert_allclose(master.asnumpy(), weight, rtol=1e-5, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(kept_momentum.asnumpy(), momentum, rtol=1e-4, atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(held.asnumpy(), master.asnumpy().astype(np.float16))


def test_without_masters_float16_loses_small_updates():
    """Why there are masters (§3.2): 1 + 1e-4 is 1 in float16, however often it is added."""
    def moved(dtype):
        param = gluon.Parameter("weight", shape=(1,), dtype="float16")
        param.initialize(mx.init.One())
        args = parse("--wd", "0", "--momentum", "0.5")
        args.dtype = dtype
        trainer = gluon.Trainer({"weight": param}, imagenet.nag(args, args.dtype), kvstore=None)
        for _ in range(100):
            param.grad()[:] = -1e-3
            param.data()._fresh_grad = True
            trainer.step(1)
        return float(param.data().asscalar()) - 1

    with pytest.warns(UserWarning, match="Accumulating with float16"):
        assert moved("float32") == 0.0
    assert moved("float16") == pytest.approx(100 * 1e-3 * LR / (1 - 0.5), rel=0.03)


def test_clipping_acts_on_the_mean_gradient_before_decay():
    net, _ = train(parse("--clip-gradient", "0.5"), 3)
    for name, (weight, _) in expected(3, clip=0.5).items():
        np.testing.assert_allclose(getattr(net, name).data().asnumpy(), weight, rtol=1e-5, atol=1e-6,
                                   err_msg=name)


@pytest.mark.parametrize("script, builder", [(train_imagenet, imagenet.nag), (train_cifar, cifar.optimizer)])
def test_it_is_the_optimizer_that_gluoncvs_scripts_name(script, builder):
    args = script.parse_args(["--model", "any", "--momentum", "0.8", "--wd", "3e-5"])
    ours, theirs = builder(args, args.dtype), mx.optimizer.create("nag", momentum=0.8, wd=3e-5)
    for attribute in ("momentum", "wd", "clip_gradient", "multi_precision", "rescale_grad"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    assert type(ours) is type(theirs)
