"""The training loop of detection and segmentation.

`gluon_tricks.training.loop` with several training figures.
"""

import math

import mxnet as mx
from mxnet import autograd

from gluon_tricks.randomness import net_seed
from gluon_tricks.training.progress import Diverged, Meter


class FiguresMeter(Meter):
    """Add each update's loss and figures to `progress.loss_sum` and `progress.figures`, one update late."""

    def add(self, epoch, num_update, results):
        """Keep `[(loss, {name: (sum, count)})]`, one entry per device, until the next call."""
        self.drain()
        self._pending = epoch, num_update, results

    def drain(self):
        if self._pending is None:
            return
        epoch, num_update, results = self._pending
        self._pending = None
        names = list(results[0][1])
        pairs = [mx.nd.concat(*[x.reshape((1,)).astype("float32") for name in names for x in figures[name]],
                              dim=0)
                 for _, figures in results]
        row = [sum(float(loss.sum().asscalar()) for loss, _ in results)]
        row += list(sum(pair.asnumpy().astype("float64") for pair in pairs)) + [not self.keep_going()]
        if self.engine.world_size > 1:
            self.engine.beat("waiting", num_update)
            row = self.engine.gather(row).sum(axis=0).tolist()
            self.stop = row[-1] > 0
        if not math.isfinite(row[0]):
            raise Diverged(epoch, num_update, f"loss is {row[0]}")
        self.progress.loss_sum += row[0]
        for i, name in enumerate(names):
            earlier = self.progress.figures.get(name, (0.0, 0.0))
            self.progress.figures[name] = [earlier[0] + row[1 + 2 * i], earlier[1] + row[2 + 2 * i]]


# So many parameters because each is another part of Algorithm 1
def train_epoch(losses, train_data, trainer, schedule, engine, progress, after_update, seed, keep_going):
    """Train from `progress.batch` to the end of `progress.epoch`.

    Parameters
    ----------
    losses : callable
        `(*arrays of one device) -> (loss, {name: (sum, count)})`, called inside `autograd.record`; the loss
        has shape (N,).
    train_data : EpochLoader
    schedule : callable, num_update -> learning rate
    seed : int
        Seeds MXNet's generator before each update, because regions are sampled at random.

    Raises
    ------
    Diverged, Stop
    """
    meter = FiguresMeter(progress, engine, keep_going)
    engine.beat("loading", progress.num_update)
    for shares in train_data.epoch(progress.epoch, progress.batch):
        engine.beat("computing", progress.num_update)
        trainer.set_learning_rate(schedule(progress.num_update))
        mx.random.seed(net_seed(seed, progress.num_update, engine.rank))
        with autograd.record():
            results = [losses(*share) for share in shares]
        autograd.backward([loss for loss, _ in results])
        trainer.step(engine.step_size(train_data.batch_size))
        progress.batch += 1
        progress.num_update += 1
        meter.add(progress.epoch, progress.num_update, results)
        after_update(meter)
        engine.beat("loading", progress.num_update)
    meter.drain()
