"""One epoch of training, and its metrics."""

import mxnet as mx
from mxnet import autograd, nd

from gluon_tricks.parameters import needs_image_gradients
from gluon_tricks.randomness import net_seed
from gluon_tricks.training.progress import Diverged, Meter
from gluon_tricks.tricks.low_precision import all_finite


# So many parameters because each is a part of Algorithm 1; so many lines to show an update in one piece
def train_epoch(net, train_data, targets, loss, metric, trainer, schedule, engine, progress, after_update,
                reseed_from=None, loss_scale=None, keep_going=lambda: True):
    """Train from `progress.batch` to the end of `progress.epoch`.

    Parameters
    ----------
    net : HybridBlock, initialised on `engine.ctx`
    train_data : loader
        `epoch(e, start)` yields batches; `batch_size` images on each process.
    targets : callable
        `(data, label, epoch, batch) -> (data, target, counted)` on one device: mixup, smoothing and teacher,
        or nothing. `loss` gets `target`, `metric` gets `counted`.
    loss : callable, `(output, target) -> NDArray, shape (n,)`
    metric : `accuracy` or `rmse`
    schedule : callable, num_update -> learning rate
    progress : Progress, updated in place
    after_update : callable, `(meter)`, after each update; may raise `Stop`
    reseed_from : int, optional
        Seed for MXNet's generator, set again before each update; only nets with dropout need it.
    loss_scale : StaticLossScale or DynamicLossScale, optional
        Multiplies the loss before the gradients are computed; an update whose gradients overflow is left out.
    keep_going : callable
        False once this process is to stop; `meter.stop` then is true on all of them.

    Raises
    ------
    Diverged, Stop
    """
    meter = Meter(progress, engine, keep_going)
    image_gradients = needs_image_gradients(net)
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
            if image_gradients:            # or some statistics stay as they are on a CPU
                for data, _, _ in parts:
                    data.attach_grad()
            with autograd.record():
                outputs = [net(data) for data, _, _ in parts]
                losses = [loss(output, target) for output, (_, target, _) in zip(outputs, parts)]
                scaled = [one * loss_scale.scale for one in losses] if loss_scale else losses
            autograd.backward(scaled)
            if gradients:
                gradients.add()
            values += [(one.sum(), metric.of(output, part[2])) for one, output, part in zip(losses, outputs,
                                                                                            parts)]
            counted += [part[2] for part in parts]
        # Gradients are sums over samples; step and engine together divide by the samples of all devices and
        # processes
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

    (MXNet's `grad_req="add"` would do, but loses what comes through AMP's casts: with bfloat16 the weights of
    convolutions and classifier got no gradient at all.)
    """

    def __init__(self, params):
        self.gradients = [gradient for param in params for gradient in param.list_grad()]
        self.totals = None

    def add(self):
        """Take what the last backward wrote, and leave zeros, for a device may have no part of the next
        pass."""
        if self.totals is None:
            self.totals = [gradient.copy() for gradient in self.gradients]
        else:
            for total, gradient in zip(self.totals, self.gradients):
                total += gradient
        for gradient in self.gradients:
            gradient[:] = 0

    def put_back(self):
        """Make the sums the parameters' gradients, and start again."""
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
        raise Diverged(progress.epoch, progress.num_update + 1,
                       f"gradients are not finite at a loss scale of {scale:g}")
    progress.loss_scale = loss_scale.state()


class accuracy:
    """Share of right answers against hard labels."""
    name = "accuracy"

    @staticmethod
    def of(output, label):
        """Number of right answers, a scalar NDArray; `label` has shape (n,).

        MXNet's argmax has the type of its input, and float16 does not hold every class above 2048.
        """
        return (output.astype("float32", copy=False).argmax(axis=1) == label.astype("float32")).sum()

    @staticmethod
    def count(parts):
        return sum(label.shape[0] for label in parts)


class rmse:
    """Root of the mean squared difference between softmax outputs and dense targets, as GluonCV's mixup
    scripts log it.

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
