"""Training in emulated float16: float32 masters, loss scales, resuming."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd
from mxnet.gluon import nn

from gluon_tricks.data.loaders import Batch
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.models.ready import make_ready
from gluon_tricks.parameters import named_parameters
from gluon_tricks.training import checkpoint
from gluon_tricks.training.loop import accuracy, train_epoch
from gluon_tricks.training.progress import Diverged, Progress
from gluon_tricks.tricks.low_precision import DynamicLossScale, StaticLossScale
from tests.training.test_checkpoint import FACTS

LR, WD, MU, BATCH = np.float32([0.1, 0.01, 0.9, 8])


class Run:
    """A small net in emulated float16, and its Trainer.

    Parameters
    ----------
    loss_factor : callable, update -> float
    """

    def __init__(self, seed=0, loss_factor=lambda update: 1.0):
        self.engine, self.progress = SingleProcess([mx.cpu()]), Progress()
        mx.random.seed(seed)
        self.net = nn.HybridSequential()
        self.net.add(nn.Conv2D(5, 3, in_channels=3), nn.BatchNorm(in_channels=5), nn.Activation("relu"),
                     nn.Dense(4, in_units=180))
        self.net.cast("float16")
        self.net.initialize(mx.init.Xavier(), ctx=self.engine.ctx)
        make_ready(self.net, 8, "float16", "hybrid", self.engine)
        optimizer = mx.optimizer.NAG(learning_rate=LR, momentum=MU, wd=WD, multi_precision=True)
        self.trainer = self.engine.trainer(self.net, optimizer)
        entropy = gluon.loss.SoftmaxCrossEntropyLoss()
        self.loss = lambda output, label: (loss_factor(self.progress.num_update)
                                           * entropy(output.astype("float32"), label))

    batch_size = int(BATCH)

    def epoch(self, epoch, start):
        for update in range(start, self.end):
            rng = np.random.default_rng(update)
            images = nd.array(rng.normal(size=(self.batch_size, 3, 8, 8)))
            yield Batch(images, nd.array(rng.integers(0, 4, self.batch_size)), None)

    def train(self, updates, loss_scale=None, after_update=lambda meter: None):
        self.end = self.progress.batch + updates

        def targets(data, label, epoch, batch):
            return data.astype("float16"), label, label

        train_epoch(self.net, self, targets, self.loss, accuracy, self.trainer, lambda n: LR, self.engine,
                    self.progress, after_update, loss_scale=loss_scale)
        return self

    def weights(self):
        mx.nd.waitall()
        return {name: param.data().asnumpy() for name, param in named_parameters(self.net).items()}

    def masters(self):
        """{name: (momentum, float32 weight)} of the float16 parameters."""
        states = checkpoint._optimizer_states(self.net, self.trainer)
        return {name: [one.asnumpy() for one in state] for name, state in states.items() if len(state) > 1}


def nag(w, m, g):
    """MXNet's multi-precision NAG in float32; the momentum takes its decay from the new weight."""
    m = MU * m
    new = w - m + (MU + np.float32(1)) * (m - LR * (g + WD * w))
    return new, m - LR * (g + WD * new)


def test_masters_after_ten_updates_are_nags_to_the_last_bit():
    """By a formula, and by MXNet's optimizer on float16 arrays that never were in a net."""
    run = Run()
    low = [name for name, value in run.weights().items() if value.dtype == np.float16]
    assert low == ["0.weight", "0.bias", "3.weight", "3.bias"]
    formula = {name: (run.weights()[name].astype(np.float32), np.float32(0)) for name in low}
    updater = mx.optimizer.get_updater(mx.optimizer.NAG(
        learning_rate=LR, momentum=MU, wd=WD, multi_precision=True, rescale_grad=1 / float(BATCH)))
    arrays = {name: nd.array(run.weights()[name], dtype="float16") for name in low}

    def step(meter):
        params = named_parameters(run.net)
        for number, name in enumerate(low):
            gradient = params[name].grad()
            assert gradient.dtype == np.float16
            formula[name] = nag(*formula[name], np.float32(1 / BATCH) * gradient.asnumpy().astype(np.float32))
            updater(number, gradient.copy(), arrays[name])
        weights, masters = run.weights(), run.masters()
        for number, name in enumerate(low):
            momentum, master = masters[name]
            np.testing.assert_array_equal(master, formula[name][0], err_msg=name)
            np.testing.assert_array_equal(momentum, formula[name][1], err_msg=name)
            np.testing.assert_array_equal(master, updater.states[number][1].asnumpy(), err_msg=name)
            np.testing.assert_array_equal(weights[name], master.astype(np.float16), err_msg=name)
            np.testing.assert_array_equal(weights[name], arrays[name].asnumpy(), err_msg=name)

    run.train(10, after_update=step)
    assert run.progress.num_update == 10
    assert any((master != master.astype(np.float16)).any() for _, master in run.masters().values())


def finite(arrays):
    return all(np.isfinite(array).all() for array in arrays.values())


def test_an_overflow_ruins_a_run_without_loss_scale_and_costs_one_update_with_a_dynamic_one():
    def factor(update):
        return 2.0**17 if update == 2 else 1.0             # 65520 is infinite

    with pytest.raises(Diverged, match="loss is nan"):
        Run(loss_factor=factor).train(4)
    run, scale = Run(loss_factor=factor), DynamicLossScale(1024.0)
    before = run.train(2, scale).masters()
    after = run.train(1, scale).masters()
    assert scale.state() == {"scale": 512.0, "good_updates": 0, "skipped": 1}
    assert all(np.array_equal(before[name], after[name]) for name in before if "weight" in name)
    run.train(3, scale)
    assert scale.skipped == 1 and finite(run.weights())
    assert not np.array_equal(after["0.weight"][1], run.masters()["0.weight"][1])


def test_gradients_that_a_constant_scale_overflows_train_with_a_dynamic_one():
    start = Run().weights()["0.weight"]
    run, scale = Run(), StaticLossScale(2.0**20)
    assert np.array_equal(run.train(3, scale).weights()["0.weight"], start) and scale.skipped == 3
    run, scale = Run(), DynamicLossScale(2.0**20)
    assert not np.array_equal(run.train(12, scale).weights()["0.weight"], start)
    assert 1 < scale.skipped < 8 and finite(run.weights())


def test_gradients_that_vanish_without_loss_scale_are_there_with_one():
    """A number of at most 2^-25 is 0 in float16."""
    def gradients(scale):
        net = Run(loss_factor=lambda update: 2.0**-26).train(1, scale).net
        return [net[0].weight.grad().asnumpy(), net[3].bias.grad().asnumpy()]

    assert not any(array.any() for array in gradients(None))
    assert all(array.any() for array in gradients(StaticLossScale(2.0**20)))


def test_training_accuracy_knows_the_classes_above_2048():
    """Not all of them are float16 numbers, and MXNet's argmax has the type of its input."""
    output = nd.array(np.eye(3000)[[2049, 2051]], dtype="float16")
    assert accuracy.of(output, nd.array([2049, 2050])).asscalar() == 1


def test_gradients_that_overflow_at_the_lowest_scale_end_the_run():
    with pytest.raises(Diverged, match="not finite at a loss scale of 1"):
        Run(loss_factor=lambda update: 2.0**17).train(1, DynamicLossScale(1.0))


def test_resumed_equals_uninterrupted(tmp_path):
    straight = Run().train(12, DynamicLossScale(2.0**20))
    run = Run().train(8, DynamicLossScale(2.0**20))
    assert 0 < run.progress.loss_scale["skipped"] < 8
    checkpoint.save_resume(tmp_path / "r.npz", run.net, run.trainer, run.progress,
                           {**FACTS, "dtype": "float16"})
    other = Run(seed=99)
    checkpoint.load_resume(tmp_path / "r.npz", other.net, other.trainer)
    _, other.progress = checkpoint.read_meta(tmp_path / "r.npz")
    other.train(4, DynamicLossScale(2.0**20))
    assert other.progress.loss_scale == straight.progress.loss_scale
    for name, value in straight.weights().items():
        np.testing.assert_array_equal(other.weights()[name], value, err_msg=name)
    for name, state in straight.masters().items():
        np.testing.assert_array_equal(other.masters()[name], state, err_msg=name)
