"""The loop: one epoch of training, one pass of evaluation, and what is counted on the way."""

import math
import time
from dataclasses import dataclass, field

import mxnet as mx
import numpy as np
from mxnet import autograd, nd

from gluon_tricks.mxnet_cpu import normalises_images, settle_weights
from gluon_tricks.randomness import net_seed
from gluon_tricks.tricks.low_precision import all_finite


@dataclass
class Progress:
    """Where a run stands. All of it goes into the resume file.

    `batch` counts the batches of `epoch` that are done, so `batch == batches_per_epoch` means: trained, not yet evaluated.
    """
    epoch: int = 0
    batch: int = 0
    num_update: int = 0
    loss_sum: float = 0.0             # over the samples of the epoch so far
    metric_sum: float = 0.0           # correct answers (accuracy) or RMSE values
    metric_count: int = 0             # samples (accuracy) or device parts (RMSE)
    epoch_s: float = 0.0              # spent on the epoch in earlier sittings
    best_val: float = 0.0
    history: list = field(default_factory=list)      # a dict per finished epoch
    loss_scale: dict = field(default_factory=dict)   # state of the loss scale, where there is one
    figures: dict = field(default_factory=dict)      # name -> [sum, count] over the epoch, of detection and segmentation

    def next_epoch(self):
        self.epoch += 1
        self.batch = self.metric_count = 0
        self.loss_sum = self.metric_sum = self.epoch_s = 0.0
        self.figures = {}

    @property
    def train_metric(self):
        """Average of the metric over the epoch so far; nan before its first batch."""
        return self.metric_sum / self.metric_count if self.metric_count else math.nan


class Diverged(Exception):
    """The loss of an update, or what it made of the parameters, is not finite."""

    def __init__(self, epoch, num_update, what):
        super().__init__(f"{what} at update {num_update} (epoch {epoch})")
        self.epoch, self.num_update = epoch, num_update


class Stop(Exception):
    """Raised by `after_update` to leave the epoch: a signal came, or the updates asked for are done."""


class Meter:
    """Adds each update's loss and metric, summed over processes, to a `Progress`, one update late.

    Reading a value waits for the computation behind it. Reading the *previous* update's values leaves the current one
    running while the next batch is prepared.

    Parameters
    ----------
    engine : optional
        Sums over its processes; without one there is one process.
    keep_going : callable
        Asked at each reading. `stop` is true once it was false on any process: all processes learn of it at one update.
    """

    def __init__(self, progress, engine=None, keep_going=lambda: True):
        self.progress, self.engine, self.keep_going = progress, engine, keep_going
        self.stop, self._pending = False, None

    def add(self, epoch, num_update, values, count):
        """Take note of an update's `[(loss sum, metric sum)]`, one pair of scalar NDArrays per device."""
        self.drain()
        self._pending = epoch, num_update, values, count

    def drain(self):
        """Read what is pending; after this `progress` is complete.

        Raises
        ------
        Diverged
            If the loss is nan or infinite; on every process alike.
        """
        if self._pending is None:
            return
        epoch, num_update, values, count = self._pending
        self._pending = None
        if self.engine and self.engine.world_size > 1:         # reading waits for the others' gradients already
            self.engine.beat("waiting", num_update)
        loss = sum(float(loss_sum.asscalar()) for loss_sum, _ in values)
        metric = sum(float(metric_sum.asscalar()) for _, metric_sum in values)
        if self.engine and self.engine.world_size > 1:
            row = [loss, metric, count, not self.keep_going()]
            loss, metric, count, stop = self.engine.gather(row).sum(axis=0).tolist()
            count, self.stop = int(count), stop > 0
        if not math.isfinite(loss):
            raise Diverged(epoch, num_update, f"loss is {loss}")
        self.progress.loss_sum += loss
        self.progress.metric_sum += metric
        self.progress.metric_count += count


def train_epoch(net, train_data, targets, loss, metric, trainer, schedule, engine, progress, after_update,
                reseed_from=None, loss_scale=None, keep_going=lambda: True):
    """Train from `progress.batch` to the end of `progress.epoch`.

    Parameters
    ----------
    net : HybridBlock, initialised on `engine.ctx`
    train_data : loader
        `epoch(e, start)` yields batches; `batch_size` images on each process.
    targets : callable
        `(data, label, epoch, batch) -> (data, target, counted)` on one device: mixup, smoothing and teacher, or nothing.
        `loss` gets `target`, `metric` gets `counted`.
    loss : callable, `(output, target) -> NDArray, shape (n,)`
    metric : `accuracy` or `rmse`
    schedule : callable, num_update -> learning rate
    progress : Progress, updated in place
    after_update : callable, `(meter)`, after each update; may raise `Stop`
    reseed_from : int, optional
        Seed for MXNet's generator, set anew before each update; only nets with dropout need it.
    loss_scale : StaticLossScale or DynamicLossScale, optional
        Multiplies the loss before the gradients are computed; an update whose gradients overflow is left out.
    keep_going : callable
        False once this process is to stop; `meter.stop` then is true on all of them.

    Raises
    ------
    Diverged, Stop
    """
    meter = Meter(progress, engine, keep_going)
    image_gradients = normalises_images(net)
    trained = [param for param in net.collect_params().values() if param.grad_req != "null"]
    gradients = GradientSum(trained) if engine.parts_per_device > 1 else None
    if loss_scale and progress.loss_scale:
        loss_scale.restore(progress.loss_scale)
    engine.beat("loading", progress.num_update)
    for batch in train_data.epoch(progress.epoch, progress.batch):
        engine.beat("computing", progress.num_update)
        trainer.set_learning_rate(schedule(progress.num_update))
        if reseed_from is not None:
            mx.random.seed(net_seed(reseed_from, progress.num_update, engine.rank))
        values, counted = [], []
        for shares in engine.passes(batch):
            # One part per device; mixup finds its partners inside a part
            parts = [targets(data, label, progress.epoch, progress.batch) for data, label in shares]
            if image_gradients:            # or its first BatchNorm learns nothing on a CPU
                for data, _, _ in parts:
                    data.attach_grad()
            with autograd.record():
                outputs = [net(data) for data, _, _ in parts]
                losses = [loss(output, target) for output, (_, target, _) in zip(outputs, parts)]
                scaled = [one * loss_scale.scale for one in losses] if loss_scale else losses
            autograd.backward(scaled)
            if gradients:
                gradients.add()
            values += [(one.sum(), metric.of(output, part[2])) for one, output, part in zip(losses, outputs, parts)]
            counted += [part[2] for part in parts]
        # Gradients are sums over samples; step and engine together divide by the samples of all devices and processes
        if gradients:
            gradients.put_back()
        samples = engine.step_size(train_data.batch_size)
        if loss_scale:
            scaled_update(trainer, trained, samples, loss_scale, progress)
        else:
            trainer.step(samples)
        progress.batch += 1
        progress.num_update += 1
        meter.add(progress.epoch, progress.num_update, values, metric.count(counted))
        after_update(meter)
        engine.beat("loading", progress.num_update)
    meter.drain()


class GradientSum:
    """The sum of the gradients of several passes, on each device.

    (MXNet's `grad_req="add"` would do, but loses what comes through AMP's casts: with bfloat16 the weights of convolutions
    and classifier got no gradient at all.)
    """

    def __init__(self, params):
        self.gradients = [gradient for param in params for gradient in param.list_grad()]
        self.totals = None

    def add(self):
        """Take what the last backward wrote, and leave zeros, for a device may have no part of the next pass."""
        if self.totals is None:
            self.totals = [gradient.copy() for gradient in self.gradients]
        else:
            for total, gradient in zip(self.totals, self.gradients):
                total += gradient
        for gradient in self.gradients:
            gradient[:] = 0

    def put_back(self):
        """Make the sums the parameters' gradients, and begin anew."""
        for total, gradient in zip(self.totals, self.gradients):
            gradient[:] = total
        self.totals = None


def scaled_update(trainer, params, samples, loss_scale, progress):
    """Update from gradients of a scaled loss, or leave the update out where they overflow.

    An overflow on any device is in the sum over all devices, so every device and process decides alike.

    Raises
    ------
    Diverged
        If gradients overflow though the scale cannot be lowered any more.
    """
    trainer.allreduce_grads()
    scale = loss_scale.scale
    if loss_scale.update(all_finite([param.list_grad()[0] for param in params])):
        trainer.update(samples * scale)
    elif scale <= loss_scale.lowest:
        raise Diverged(progress.epoch, progress.num_update + 1, f"gradients are not finite at a loss scale of {scale:g}")
    progress.loss_scale = loss_scale.state()


class accuracy:
    """Share of right answers against hard labels."""
    name = "accuracy"

    @staticmethod
    def of(output, label):
        """Number of right answers, a scalar NDArray; `label` has shape (n,)."""
        return (output.argmax(axis=1) == label.astype("float32")).sum()

    @staticmethod
    def count(parts):
        return sum(label.shape[0] for label in parts)


class rmse:
    """Root of the mean squared difference between softmax outputs and dense targets, as GluonCV's mixup scripts log it.

    MXNet averages the values of the devices' parts; it is not the root of the overall mean.
    """
    name = "rmse"

    @staticmethod
    def of(output, target):
        """RMSE over one device's part, a scalar NDArray; `target` has shape (n, classes)."""
        return (nd.softmax(output.astype("float32")) - target.astype("float32")).square().mean().sqrt()

    @staticmethod
    def count(parts):
        return len(parts)


def evaluate(net, val_data, engine, dtype="float32", keep_going=lambda: True, top=(1,)):
    """Accuracies over what the processes' passes of `val_data` yield: every image once, but for MXNet's sliding window.

    Parameters and errors are those of `hits`.

    Returns
    -------
    list of float, one per entry of `top`
    """
    right, _ = _local_hits(net, val_data, engine, dtype, keep_going, top)
    *correct, count = engine.sum([*right.sum(axis=0), len(right)]).tolist()
    return [number / count for number in correct]


def hits(net, val_data, engine, dtype="float32", keep_going=lambda: True, top=(1,)):
    """Which images of a pass of `val_data` the net gets right.

    Parameters
    ----------
    top : sequence of int
        An answer counts if the label is among so many of the highest outputs.
    keep_going : callable
        Asked after each batch; evaluation is left with `Stop` when it returns False on any process.

    Returns
    -------
    bool array, shape (images, len(top)), in the order of the data, on every process
    """
    right, positions = _local_hits(net, val_data, engine, dtype, keep_going, top)
    if engine.world_size == 1:
        return right
    whole = np.zeros((val_data.records, len(top)))
    whole[positions] = right
    return engine.sum(whole) > 0


def _local_hits(net, val_data, engine, dtype, keep_going, top):
    """What this process's share of the images gives: `hits`' array, and the images' positions in the data."""
    right, positions, pending, batches = [], [], [], val_data.epoch(0)
    busy = True
    while busy:                                      # until no process has a batch left
        engine.beat("computing")
        batch = next(batches, None)
        if batch is not None:
            positions.append(batch.positions)
            for output, label in answers(net, batch, engine, dtype):
                pending.append(nd.stack(*[_among_top(output, label, k) for k in top], axis=1))
        while len(pending) > len(engine.ctx):          # one batch behind, as in training
            right.append(pending.pop(0).asnumpy())
        engine.beat("waiting")
        busy, stop = engine.sum([batch is not None, not keep_going()])
        if stop:
            raise Stop
    right += [value.asnumpy() for value in pending]
    settle_weights(net)
    known = positions and all(part is not None for part in positions)
    return (np.concatenate(right) > 0 if right else np.zeros((0, len(top)), bool),
            np.concatenate(positions) if known else np.arange(0))


def answers(net, batch, engine, dtype="float32"):
    """A net's outputs for a batch.

    Returns
    -------
    list of (output, label), one pair per device, in the data's order
        NDArrays of shape (n, classes) and (n,), still being computed.
    """
    parts = zip(engine.split(batch.data), engine.split(batch.label))
    return [(net(data.astype("float16") if dtype == "float16" else data), label) for data, label in parts]


def _among_top(output, label, k):
    """Whether each label is among the k highest outputs: float32, shape (N,)."""
    label = label.astype("float32")
    if k == 1:
        return output.argmax(axis=1).astype("float32") == label
    highest = output.astype("float32").topk(k=min(k, output.shape[1]), axis=1)
    return nd.broadcast_equal(highest, label.reshape((-1, 1))).max(axis=1)


class Stopwatch:
    """Seconds since it was made, plus those of earlier sittings."""

    def __init__(self, earlier_s=0.0):
        self._start = time.time() - earlier_s

    def seconds(self):
        return time.time() - self._start
