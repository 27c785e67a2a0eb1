"""The state of a run in numbers, and the sums of an epoch."""

import math
import time
from dataclasses import dataclass, field


@dataclass
class Progress:
    """The position and the sums of a run; the resume file holds all of it.

    `batch` counts the batches of `epoch` that are done, so `batch == batches_per_epoch` means: trained, not
    yet evaluated.
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
    # name -> [sum, count] over the epoch, of detection and segmentation
    figures: dict = field(default_factory=dict)

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
    """The loss of an update, or a parameter after it, is not finite."""

    def __init__(self, epoch, num_update, what):
        super().__init__(f"{what} at update {num_update} (epoch {epoch})")
        self.epoch, self.num_update = epoch, num_update


class Stop(Exception):
    """Raised by `after_update` to leave the epoch: a signal came, or the updates asked for are done."""


class Meter:
    """Adds each update's loss and metric, summed over processes, to a `Progress`, one update late.

    Reading a value waits for the computation behind it. Reading the *previous* update's values leaves the
    current one running while the next batch is prepared.

    Parameters
    ----------
    engine : optional
        Sums over its processes; without one there is one process.
    keep_going : callable
        Asked at each reading. `stop` is true once it was false on any process: all processes learn of it at
        one update.
    """

    def __init__(self, progress, engine=None, keep_going=lambda: True):
        self.progress, self.engine, self.keep_going = progress, engine, keep_going
        self.stop, self._pending = False, None

    def add(self, epoch, num_update, values, count):
        """Keep an update's `[(loss sum, metric sum)]`, one pair of scalar NDArrays per device."""
        self.drain()
        self._pending = epoch, num_update, values, count

    @property
    def unread(self):
        """Number of updates (0 or 1) whose values are not in `progress` yet."""
        return int(self._pending is not None)

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
        # reading waits for the others' gradients already
        if self.engine and self.engine.world_size > 1:
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


class Stopwatch:
    """Seconds since it was made, plus those of earlier sittings."""

    def __init__(self, earlier_s=0.0):
        self._start = time.time() - earlier_s

    def seconds(self):
        return time.time() - self._start
