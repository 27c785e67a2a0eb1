"""The learning rates that the published ImageNet logs print, and the formula of each log.

With N = 1,281,167 images, B images in a batch and u = floor(N / B) updates per epoch in the schedule, the
rate printed for batch i of epoch e is schedule(num_update), where num_update is

    logs   e u + i                GluonCV before 2019-03-12: a function of (epoch, batch)
    head   ceil(e N / B) + i      since: the optimizer's counter; MXNet's iterator wraps round
                                  (data/val_window.py)
    paper  e d + i - 1            train_horovod.py, whose batches count from 1: MXNet's CosineScheduler, which
                                  is the paper's rule; every worker drops its short last batch, so of
                                  u = ceil(floor(N / workers) / B) scheduled updates only d = floor(...) are
                                  done, and `--lr` is that of one worker

`logs/published/rates.csv.xz` holds the rates as printed, six decimals; `python data_prep/published_logs.py`
wrote it.
"""

from typing import NamedTuple

from gluon_tricks.data.val_window import batches_before
from gluon_tricks.optim.lr_schedule import lr_schedule
from gluon_tricks.published.catalogue import TRAIN_IMAGES
from gluon_tricks.tricks.lr_warmup import FORMULAS

IMAGES = TRAIN_IMAGES["imagenet"]


class LoggedRate(NamedTuple):
    """What a batch line prints."""

    epoch: int
    batch: int
    lr: str        # the printed text


def schedule_of(script, flags, workers=1, formula="head"):
    """This kit's schedule, num_update -> rate, for the arguments in a published log's header.

    Parameters
    ----------
    script : "train_imagenet.py" or "train_horovod.py"
    flags : dict
        `batch_size` is per device, or per worker.
    workers : int
        Processes, of train_horovod.py.
    formula : one of FORMULAS
    """
    if script == "train_horovod.py":
        updates = -(-(IMAGES // workers) // flags["batch_size"])
        return lr_schedule("cosine", flags["lr"] * workers, flags["num_epochs"], updates,
                           flags["warmup_epochs"], formula=formula)
    updates = IMAGES // (flags["batch_size"] * flags["num_gpus"])
    steps = [int(epoch) for epoch in str(flags["lr_decay_epoch"]).split(",")]
    return lr_schedule(flags["lr_mode"], flags["lr"], flags["num_epochs"], updates, flags["warmup_epochs"],
                       flags["lr_decay"], steps, formula=formula)


def updates_before(script, flags, workers, formula, epoch, batch):
    """The num_update of a batch line, by the table above."""
    if script == "train_horovod.py":
        return epoch * (IMAGES // workers // flags["batch_size"]) + batch - 1
    global_batch_size = flags["batch_size"] * flags["num_gpus"]
    if formula == "head":
        return batches_before(epoch, IMAGES, global_batch_size) + batch
    return epoch * (IMAGES // global_batch_size) + batch


def mismatches(rates, script, flags, workers=1, formula="head", schedule=None):
    """The logged rates that differ from those of a schedule in a printed digit.

    Parameters
    ----------
    rates : list of LoggedRate
    script, flags, workers, formula
        As in `schedule_of`.
    schedule : callable, optional
        num_update -> rate; default `schedule_of(script, flags, workers, formula)`.

    Returns
    -------
    list of (LoggedRate, float)
        With the rate that the schedule gives.
    """
    schedule = schedule or schedule_of(script, flags, workers, formula)
    found = []
    for logged in rates:
        rate = schedule(updates_before(script, flags, workers, formula, logged.epoch, logged.batch))
        if f"{rate:.6f}" != logged.lr:
            found.append((logged, rate))
    return found


def formula_of(rates, script, flags, workers=1):
    """The formula that gives every logged rate of a run as printed; None if there is none."""
    order = ("paper",) if script == "train_horovod.py" else [formula for formula in FORMULAS
                                                             if formula != "paper"]
    fits = (formula for formula in order if not mismatches(rates, script, flags, workers, formula))
    return next(fits, None)
