"""What the loop and the evaluation count, against MXNet's metrics fed as GluonCV's scripts feed them."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd

from gluon_tricks.data.loaders import Batch
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.training.evaluation import evaluate
from gluon_tricks.training.loop import accuracy, rmse, train_epoch
from gluon_tricks.training.progress import Progress

CLASSES = 8


def net_on(ctx):
    net = gluon.nn.Dense(CLASSES, in_units=12)
    mx.random.seed(5)
    net.initialize(mx.init.Normal(1.0), ctx=ctx)
    return net


class Batches:
    """Five of the given size."""

    def __init__(self, batch_size):
        rng = np.random.default_rng(0)
        self.batch_size = batch_size
        self.batches = [(rng.normal(size=(batch_size, 3, 2, 2)).astype(np.float32),
                         rng.integers(0, CLASSES, batch_size))
                        for _ in range(5)]

    def epoch(self, epoch, start=0):
        for data, label in self.batches:
            yield Batch(nd.array(data), nd.array(label), None)


def smoothed(label):
    return nd.one_hot(label, CLASSES, on_value=0.9125, off_value=0.0125)


def counted_by_the_loop(metric, targets, batches, ctx):
    """The epoch's training metric at rate 0, so that the net stays what it is."""
    engine, net, progress = SingleProcess(ctx), net_on(ctx), Progress()
    trainer = engine.trainer(net, mx.optimizer.NAG(learning_rate=0.0, momentum=0.9))
    loss = gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)
    train_epoch(net, batches, targets, loss, metric, trainer, lambda n: 0.0, engine, progress,
                lambda meter: None)
    return progress.train_metric


def counted_by_mxnet(metric, batches, ctx, mixup):
    net = net_on(ctx)
    for batch in batches.epoch(0):
        data, label = (gluon.utils.split_and_load(part, ctx, even_split=False)
                       for part in (batch.data, batch.label))
        outputs = [net(x) for x in data]
        if mixup:
            metric.update([smoothed(y) for y in label], [nd.softmax(z) for z in outputs])
        else:
            metric.update(label, outputs)
    return metric.get()[1]


@pytest.mark.parametrize("devices, batch_size", [(1, 6), (2, 6), (2, 7), (3, 7)])       # 7 does not divide
def test_rmse_is_the_mean_over_updates_and_devices(devices, batch_size):
    ctx, batches = [mx.cpu(i) for i in range(devices)], Batches(batch_size)
    got = counted_by_the_loop(rmse, lambda x, y, e, b: (x, smoothed(y), smoothed(y)), batches, ctx)
    assert got == pytest.approx(counted_by_mxnet(mx.metric.RMSE(), batches, ctx, mixup=True), rel=1e-6)
    if devices > 1:        # the root of the overall mean, or the mean over whole batches, is something else
        whole = counted_by_mxnet(mx.metric.RMSE(), batches, [mx.cpu()], mixup=True)
        assert abs(got - whole) > 1e-5


@pytest.mark.parametrize("devices, batch_size", [(1, 6), (2, 7)])
def test_accuracy_counts_hard_labels_under_smoothed_targets(devices, batch_size):
    ctx, batches = [mx.cpu(i) for i in range(devices)], Batches(batch_size)
    got = counted_by_the_loop(accuracy, lambda x, y, e, b: (x, smoothed(y), y), batches, ctx)
    assert got == pytest.approx(counted_by_mxnet(mx.metric.Accuracy(), batches, ctx, mixup=False), rel=1e-9)


def test_mxnets_accuracy_of_smoothed_labels_is_what_seven_published_logs_show():
    """Shapes alike, it compares integer parts: the share of logits in (-1, 1). Ours has hard labels only."""
    z = np.random.default_rng(0).normal(size=(50, CLASSES))
    theirs = mx.metric.Accuracy()
    theirs.update([smoothed(nd.array(np.arange(50) % CLASSES))], [nd.array(z)])
    assert theirs.get()[1] == pytest.approx((np.abs(z) < 1).mean())


@pytest.mark.parametrize("batch_size", [7, 16])
def test_evaluation_is_mxnets_top1_and_top5(batch_size):
    batches, ctx = Batches(batch_size), [mx.cpu()]
    top1, top5 = mx.metric.Accuracy(), mx.metric.TopKAccuracy(5)
    net = net_on(ctx)
    for batch in batches.epoch(0):
        outputs = net(batch.data)
        top1.update([batch.label], [outputs])
        top5.update([batch.label], [outputs])
    assert evaluate(net, batches, SingleProcess(ctx), top=(1, 5)) == pytest.approx([top1.get()[1],
                                                                                    top5.get()[1]])
