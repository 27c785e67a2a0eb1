"""Momentum of GluonCV's `.states` files, and what is not run on the way."""

import pickle

import mxnet as mx
import numpy as np
import pytest
from gluoncv.utils import LRScheduler, LRSequential
from mxnet import gluon, nd

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.parameters import connect, flat
from gluon_tricks.training.trainer_states import load_states


def net_after(updates, units=3, dtype="float32", **optimizer):
    net = gluon.nn.Dense(units, in_units=4)
    net.cast(dtype)
    net.initialize(mx.init.Uniform(0.5))
    trainer = gluon.Trainer(net.collect_params(), "nag", {"momentum": 0.9, "learning_rate": 0.1, **optimizer})
    rng = np.random.default_rng(0)
    for _ in range(updates):               # gradients put in by hand: a float16 layer does not run on CPUs
        for param in net.collect_params().values():
            param.grad()[:] = nd.array(rng.normal(size=param.shape), dtype=dtype)
            param.data()._fresh_grad = True
        trainer.step(2)
    return net, trainer


def arrays_of(trainer):
    states = trainer._updaters[0].states
    return [value.asnumpy() for i in sorted(states) for value in flat(states[i])]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_momentum_and_masters_of_a_trainer_with_gluoncvs_schedule(tmp_path, dtype):
    schedule = LRSequential([LRScheduler("linear", base_lr=0, target_lr=0.1, nepochs=1, iters_per_epoch=5),
                             LRScheduler("cosine", base_lr=0.1, target_lr=0, nepochs=2, iters_per_epoch=5)])
    _, theirs = net_after(3, dtype=dtype, lr_scheduler=schedule, multi_precision=dtype == "float16")
    theirs.save_states(str(tmp_path / "t.states"))
    net, _ = net_after(0, dtype=dtype)
    ours = SingleProcess([mx.cpu()]).trainer(net, mx.optimizer.NAG(learning_rate=0.7, momentum=0.9,
                                                                  multi_precision=dtype == "float16"))
    connect(ours)
    load_states(tmp_path / "t.states", ours)
    expected = arrays_of(theirs)
    assert len(expected) == (2 if dtype == "float32"
                             else 4) and any(np.abs(value).max() > 0 for value in expected)
    for got, value in zip(arrays_of(ours), expected):
        np.testing.assert_array_equal(got, value)
    assert ours.learning_rate == 0.7                       # the schedule in the file is not taken


class Attack:
    def __reduce__(self):
        return exec, ("import builtins; builtins.attacked = True",)


@pytest.mark.parametrize("content, says", [
    (pickle.dumps(({0: Attack()}, None)), "holds a Shell where arrays belong"),
    (b"not a pickle", "is not a file of Trainer.save_states"),
    (pickle.dumps([1]), "is not a file of Trainer.save_states")])
def test_a_file_of_another_kind_is_refused_and_runs_nothing(tmp_path, content, says):
    import builtins
    (tmp_path / "t.states").write_bytes(content)
    _, trainer = net_after(1)
    with pytest.raises(UserError, match=says):
        load_states(tmp_path / "t.states", trainer)
    assert not hasattr(builtins, "attacked")


def test_states_of_another_shape_are_refused(tmp_path):
    net_after(1, units=5)[1].save_states(str(tmp_path / "t.states"))
    with pytest.raises(UserError, match="has shapes"):
        load_states(tmp_path / "t.states", net_after(1)[1])
