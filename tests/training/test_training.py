"""The loop: one update by hand, what is counted, evaluation, and MXNet's habits on CPUs."""

import math
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd

from gluon_tricks.data.loaders import RecordLoader
from gluon_tricks.engines.create import create_engine
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.models.registry import get_model
from gluon_tricks.parameters import settle_weights
from gluon_tricks.training.evaluation import evaluate
from gluon_tricks.training.loop import accuracy, rmse, train_epoch
from gluon_tricks.training.progress import Diverged, Meter, Progress

ROOT = Path(__file__).resolve().parents[2]
CPU = SingleProcess([mx.cpu()])


class Images:
    """`records` images of 3 x 8 x 8 with labels 0, 1, 2, 0, ..."""

    def __init__(self, records, seed=0):
        self.pixels = np.random.default_rng(seed).integers(0, 256, (records, 8, 8, 3), np.uint8)
        self.labels = np.arange(records) % 3

    def __len__(self):
        return len(self.labels)

    def read(self, positions):
        return self.pixels[positions], self.labels[positions]


def to_float(images, positions, epoch):
    return (images.transpose(0, 3, 1, 2) / 255).astype(np.float32)


def plain(data, label, epoch, batch):
    return data, label, label


def linear_net(ctx=None):
    net = gluon.nn.Dense(3, in_units=192)
    mx.random.seed(1)
    net.initialize(mx.init.Xavier(), ctx=ctx or [mx.cpu()])
    return net


def run_epoch(net, loader, engine=CPU, lr=0.1, wd=0.01, metric=accuracy, targets=plain, loss=None,
              progress=None):
    trainer = engine.trainer(net, mx.optimizer.NAG(learning_rate=lr, momentum=0.9, wd=wd))
    progress = progress or Progress()
    train_epoch(net, loader, targets, loss or gluon.loss.SoftmaxCrossEntropyLoss(), metric, trainer,
                lambda n: lr, engine, progress, lambda meter: None)
    return progress


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def nag_in_place(w, m, gradient, lr, wd, momentum):
    """MXNet's NAG: s = lr (g + wd w), w' = w + mu (mu m - s) - s; the momentum it keeps takes its decay from
    w'."""
    s = lr * (gradient + wd * w)
    after = w + momentum * (momentum * m - s) - s
    return after, momentum * m - lr * (gradient + wd * after)


def test_two_updates_equal_nag_in_numpy():
    images, lr, wd, momentum, batch = Images(8), 0.1, 0.01, 0.9, 4
    net = linear_net()
    w, b = net.weight.data().asnumpy().astype(np.float64), np.zeros(3)
    mw, mb = np.zeros_like(w), np.zeros_like(b)
    loss_sum = right = 0
    for start in (0, 4):
        x = images.pixels[start:start + batch].transpose(0, 3, 1, 2).reshape(batch, -1) / 255
        y = np.eye(3)[images.labels[start:start + batch]]
        p = softmax(x @ w.T + b)
        loss_sum -= np.log((p * y).sum(axis=1)).sum()
        right += (p.argmax(axis=1) == y.argmax(axis=1)).sum()
        gw, gb = (p - y).T @ x / batch, (p - y).mean(axis=0)
        w, mw = nag_in_place(w, mw, gw, lr, wd, momentum)
        b, mb = nag_in_place(b, mb, gb, lr, wd, momentum)
    progress = run_epoch(net, RecordLoader(images, to_float, batch, num_workers=0), lr=lr, wd=wd)
    np.testing.assert_allclose(net.weight.data().asnumpy(), w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.bias.data().asnumpy(), b, rtol=1e-5, atol=1e-6)
    assert progress.loss_sum == pytest.approx(loss_sum, rel=1e-4)
    assert (progress.metric_sum, progress.metric_count) == (right, 8)
    assert (progress.batch, progress.num_update) == (2, 2)


def test_two_devices_equal_one():
    images = Images(16)
    loaders = [RecordLoader(images, to_float, 8, num_workers=0) for _ in range(2)]
    one, two = linear_net(), linear_net([mx.cpu(0), mx.cpu(1)])
    run_epoch(one, loaders[0])
    run_epoch(two, loaders[1], engine=SingleProcess([mx.cpu(0), mx.cpu(1)]))
    for device in (mx.cpu(0), mx.cpu(1)):
        np.testing.assert_allclose(two.weight.data(device).asnumpy(), one.weight.data().asnumpy(), rtol=1e-5,
                                   atol=1e-7)


def test_rmse_is_mxnets():
    rng = np.random.default_rng(0)
    output, target = nd.array(rng.normal(size=(6, 4))), nd.array(softmax(rng.normal(size=(6, 4))))
    theirs = mx.metric.RMSE()
    theirs.update([target], [nd.softmax(output)])
    assert float(rmse.of(output, target).asscalar()) == pytest.approx(theirs.get()[1], rel=1e-6)


def test_accuracy_is_mxnets():
    rng = np.random.default_rng(0)
    output, label = nd.array(rng.normal(size=(50, 4))), nd.array(rng.integers(0, 4, 50))
    theirs = mx.metric.Accuracy()
    theirs.update([label], [output])
    assert float(accuracy.of(output, label).asscalar()) / 50 == pytest.approx(theirs.get()[1])


def test_a_loss_that_is_not_finite_stops_at_its_own_update():
    images = Images(16)

    def poisoned(data, label, epoch, batch):
        return (data * math.nan if batch == 2 else data), label, label

    progress = Progress()
    with pytest.raises(Diverged) as stopped:
        run_epoch(linear_net(), RecordLoader(images, to_float, 4, num_workers=0), targets=poisoned,
                  progress=progress)
    assert stopped.value.num_update == 3 and stopped.value.epoch == 0
    assert math.isfinite(progress.loss_sum)


def test_the_meter_is_one_update_behind_until_drained():
    progress = Progress()
    meter = Meter(progress)
    meter.add(0, 1, [(nd.array([2.0]), nd.array([1.0]))], 4)
    assert progress.loss_sum == 0
    meter.add(0, 2, [(nd.array([3.0]), nd.array([2.0]))], 4)
    assert (progress.loss_sum, progress.metric_sum, progress.metric_count) == (2, 1, 4)
    meter.drain()
    assert (progress.loss_sum, progress.train_metric) == (5, 3 / 8)


def test_evaluation_counts_every_image_once_whatever_the_batch():
    images, net = Images(23), linear_net()
    z = to_float(images.pixels, None, 0).reshape(23, -1) @ net.weight.data().asnumpy().T
    expected = (z.argmax(axis=1) == images.labels).mean()
    for batch in (1, 4, 23, 50):
        loader = RecordLoader(images, to_float, batch, last_batch="keep", num_workers=0)
        assert evaluate(net, loader, CPU) == pytest.approx([expected])
        in_top2 = (np.argsort(-z, axis=1)[:, :2] == images.labels[:, None]).any(axis=1).mean()
        assert evaluate(net, loader, CPU, top=(1, 2)) == pytest.approx([expected, in_top2])


@pytest.mark.slow
def test_training_after_an_evaluation_is_the_same_every_time():
    """Fails within a few tries without `settle_weights`: MXNet's reordering of weights races with the
    optimizer."""
    rng = np.random.default_rng(0)
    batches = [(nd.array(rng.random((16, 3, 32, 32))), nd.array(rng.integers(0, 10, 16))) for _ in range(3)]
    loss = gluon.loss.SoftmaxCrossEntropyLoss()

    def weights_after_three_updates():
        mx.random.seed(0)
        net = get_model("cifar_resnet20_v1")
        net.initialize(mx.init.Xavier())
        net.hybridize(static_alloc=True, static_shape=True)
        trainer = CPU.trainer(net, mx.optimizer.NAG(learning_rate=0.1, momentum=0.9, wd=1e-4))
        net(batches[0][0])
        settle_weights(net)
        for data, label in batches:
            with mx.autograd.record():
                value = loss(net(data), label)
            value.backward()
            trainer.step(16)
        return b"".join(p.data().asnumpy().tobytes() for p in net.collect_params().values())

    assert len({weights_after_three_updates() for _ in range(5)}) == 1


def test_running_statistics_of_the_images_are_learned_by_v2_nets():
    class Cifar(Images):
        def __init__(self):
            super().__init__(8)
            self.pixels = np.full((8, 32, 32, 3), 255, np.uint8)

    net = get_model("cifar_resnet20_v2", classes=3)
    net.initialize()
    run_epoch(net, RecordLoader(Cifar(), to_float, 4, num_workers=0))
    mean = net._collect_params_with_prefix()["features.0.running_mean"].data().asnumpy()
    # two updates towards 1 with momentum 0.9: 1 - 0.9^2
    np.testing.assert_allclose(mean, 0.19, rtol=1e-4)


def test_more_gpus_than_there_are_is_refused():
    with pytest.raises(UserError, match=r"--num-gpus 99: MXNet sees \d+ GPUs"):
        create_engine(99)


AMP_PROGRAM = """
import gluon_tricks, mxnet as mx, numpy as np
from mxnet import autograd, gluon
from gluon_tricks.models.registry import get_model
from gluon_tricks.models.ready import hybridize, start_precision
from gluon_tricks.training.loop import GradientSum

start_precision("bfloat16")
net = get_model("cifar_resnet20_v1", classes=10)
net.initialize(mx.init.MSRAPrelu())
net(mx.nd.zeros((1, 3, 32, 32)))
hybridize(net, "hybrid")
params = [param for param in net.collect_params().values() if param.grad_req != "null"]
images, loss = mx.nd.random.normal(shape=(2, 4, 3, 32, 32)), gluon.loss.SoftmaxCrossEntropyLoss()

def backward(part):
    with autograd.record():
        error = loss(net(images[part]).astype("float32"), mx.nd.arange(4))
    error.backward()
    return [param.grad().asnumpy() for param in params]

alone = [backward(part) for part in (0, 1)]
gradients = GradientSum(params)
for part in (0, 1):
    backward(part)
    gradients.add()
gradients.put_back()
for param, first, second in zip(params, *alone):
    assert np.abs(param.grad().asnumpy()).max() > 0
    np.testing.assert_array_equal(param.grad().asnumpy(), first + second, err_msg=param.name)
print("equal")
"""


@pytest.mark.slow
def test_gradients_of_several_passes_add_up_in_bfloat16_too():
    """In a process of its own, for AMP cannot be undone."""
    done = subprocess.run([sys.executable, "-c", AMP_PROGRAM], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith("equal\n"), done.stderr
