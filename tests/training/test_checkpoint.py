"""Resume files: all state is restored, and files of other runs are refused."""

import json

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.parameters import flat
from gluon_tricks.training import checkpoint
from gluon_tricks.training.progress import Progress

FACTS = {"init_params": None, "freeze": [], "freeze_norm": False,
         "model": "tiny", "network": "resnet18_v1b", "classes": 4, "dataset": "cifar10",
         "data_root_hash": "ab", "seed": 0, "dtype": "float32", "devices": 1, "mixup": False,
         "global_batch_size": 8, "threads": "2", "mix": None, "optimizer": "nag", "model_kwargs": {},
         "args": {"lr": 0.1, "num_workers": 2}}


def make(seed, ctx=None, optimizer=None):
    ctx = ctx or [mx.cpu()]
    mx.random.seed(seed)
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Conv2D(5, 3, in_channels=3), gluon.nn.BatchNorm(in_channels=5),
            gluon.nn.Dense(4, in_units=180))
    net.initialize(mx.init.Xavier(), ctx=ctx)
    engine = SingleProcess(ctx)
    optimizer = optimizer or mx.optimizer.NAG(learning_rate=0.1, momentum=0.9, wd=1e-4)
    return net, engine.trainer(net, optimizer), engine


def train(net, trainer, engine, updates, first=0):
    for update in range(first, first + updates):
        rng = np.random.default_rng(update)
        data, label = nd.array(rng.random((8, 3, 8, 8))), nd.array(rng.integers(0, 4, 8))
        with autograd.record():
            losses = [gluon.loss.SoftmaxCrossEntropyLoss()(net(x), y)
                      for x, y in zip(engine.split(data), engine.split(label))]
        autograd.backward(losses)
        trainer.step(8)


def state_of(net):
    return {(name, i): a.asnumpy() for name, p in net._collect_params_with_prefix().items()
            for i, a in enumerate(p.list_data())}


@pytest.mark.parametrize("ctx", [[mx.cpu()], [mx.cpu(0), mx.cpu(1)]])
def test_resumed_equals_uninterrupted(tmp_path, ctx):
    straight, trainer, engine = make(0, ctx)
    train(straight, trainer, engine, 6)

    net, trainer, engine = make(0, ctx)
    train(net, trainer, engine, 3)
    checkpoint.save_resume(tmp_path / "r.npz", net, trainer, Progress(num_update=3), FACTS)
    other, trainer, engine = make(99, ctx)                 # another initialisation, as after a restart
    checkpoint.load_resume(tmp_path / "r.npz", other, trainer)
    train(other, trainer, engine, 3, first=3)

    expected = state_of(straight)
    for key, value in state_of(other).items():
        np.testing.assert_array_equal(value, expected[key], err_msg=str(key))
    if len(ctx) == 2:                                      # or the test would not see a lost copy
        running = [expected["1.running_mean", i] for i in range(2)]
        assert not np.array_equal(*running)


def test_the_file_holds_momentum_and_it_is_not_zero(tmp_path):
    net, trainer, engine = make(0)
    train(net, trainer, engine, 2)
    checkpoint.save_resume(tmp_path / "r.npz", net, trainer, Progress(), FACTS)
    stored = np.load(tmp_path / "r.npz", allow_pickle=False)
    momenta = [name for name in stored.files if name.startswith("state/0/")]
    assert len(momenta) == 6 and all(np.abs(stored[name]).max() > 0 for name in momenta)


def test_float32_masters_of_float16_weights_come_back(tmp_path):
    def half():
        net = gluon.nn.Dense(2, in_units=3)
        net.initialize()
        net.cast("float16")
        engine = SingleProcess([mx.cpu()])
        return net, engine.trainer(net, mx.optimizer.NAG(learning_rate=0.1, momentum=0.9,
                                                         multi_precision=True))

    # MXNet has no float16 product on CPUs: gradients by hand
    def update(net, trainer):
        for p in net.collect_params().values():
            p.grad()[:] = nd.full(p.shape, 0.001, dtype="float16")
            p.list_data()[0]._fresh_grad = True
        trainer.step(1, ignore_stale_grad=True)

    net, trainer = half()
    update(net, trainer)
    checkpoint.save_resume(tmp_path / "r.npz", net, trainer, Progress(), FACTS)
    other, other_trainer = half()
    checkpoint.load_resume(tmp_path / "r.npz", other, other_trainer)
    expected, got = (list(flat(t._updaters[0].states[0])) for t in (trainer, other_trainer))
    assert {str(a.dtype) for a in got} == {"<class 'numpy.float32'>"} and len(got) == 2
    for a, b in zip(expected, got):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())


def test_progress_and_facts_come_back(tmp_path):
    net, trainer, _ = make(0)
    progress = Progress(epoch=3, batch=5, num_update=77, loss_sum=1.25, metric_sum=3, metric_count=4,
                        best_val=0.5, history=[{"epoch": 0, "val": 0.5, "loss": float("inf"), "lr": 0.1}])
    checkpoint.save_resume(tmp_path / "r.npz", net, trainer, progress, FACTS)
    assert checkpoint.read_meta(tmp_path / "r.npz") == (FACTS, progress)


@pytest.mark.parametrize("key", checkpoint.MUST_AGREE)
def test_another_runs_file_is_refused_by_name(key):
    current = {**FACTS, key: "something else"}
    with pytest.raises(UserError, match=f"was made with {key} .*{checkpoint.MUST_AGREE[key]}"):
        checkpoint.check_facts("r.npz", FACTS, current)


def test_permitted_differences_are_noted():
    notes = checkpoint.check_facts("r.npz", FACTS,
                                   {**FACTS, "threads": "4", "args": {"lr": 0.2, "num_workers": 8}})
    assert len(notes) == 2
    assert "--lr was 0.1 and is now 0.2" in notes[0] and "OMP_NUM_THREADS was 2" in notes[1]


def test_flags_that_are_tuples_are_no_difference_to_the_file():
    current = {**FACTS, "args": {**FACTS["args"], "rgb_mean": (123.68, 116.779, 103.939), "more": {"a": (1,)}}}
    saved = json.loads(json.dumps(current))
    assert checkpoint.check_facts("r.npz", saved, current) == []


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "no archive"])
def test_an_unreadable_file_is_one_sentence(tmp_path, damage):
    path = tmp_path / "r.npz"
    if damage != "missing":
        net, trainer, _ = make(0)
        checkpoint.save_resume(path, net, trainer, Progress(), FACTS)
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "truncated": whole[:len(whole) // 2],
                          "no archive": b"params"}[damage])
    with pytest.raises(UserError, match="--resume .*r.npz: "):
        checkpoint.read_meta(path)


def test_a_net_of_another_shape_is_refused(tmp_path):
    net, trainer, _ = make(0)
    checkpoint.save_resume(tmp_path / "r.npz", net, trainer, Progress(), FACTS)
    wider = gluon.nn.HybridSequential()
    wider.add(gluon.nn.Conv2D(6, 3, in_channels=3), gluon.nn.BatchNorm(in_channels=6),
              gluon.nn.Dense(4, in_units=216))
    wider.initialize()
    with pytest.raises(UserError, match="0.weight has shape"):
        checkpoint.load_resume(tmp_path / "r.npz", wider, gluon.Trainer(wider.collect_params(), "nag"))


def test_a_write_that_fails_leaves_the_previous_file(tmp_path):
    net, trainer, _ = make(0)
    path = tmp_path / "r.npz"
    checkpoint.save_resume(path, net, trainer, Progress(num_update=1), FACTS)
    with pytest.raises(TypeError):
        checkpoint.save_resume(path, net, trainer, Progress(num_update=2), {"not": object()})
    assert checkpoint.read_meta(path)[1].num_update == 1
    assert list(tmp_path.iterdir()) == [path]
