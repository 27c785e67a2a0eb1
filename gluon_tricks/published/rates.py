"""The learning rates that the published ImageNet logs print, every one of them, and the rule each log was made with.

With N = 1,281,167 images, B in a batch and u = floor(N / B) updates per epoch in the schedule, the rate printed for batch i
of epoch e is that of the update before which so many have been done:

    logs   e u + i                GluonCV before 2019-03-12: a function of (epoch, batch)
    head   ceil(e N / B) + i      since: the optimizer's counter; MXNet's iterator wraps round (data/val_window.py)
    paper  e d + i - 1            train_horovod.py, whose batches count from 1: MXNet's CosineScheduler, which is the
                                  paper's rule; every worker drops its short last batch, so of
                                  u = ceil(floor(N / workers) / B) scheduled updates only d = floor(...) are done, and
                                  `--lr` is that of one worker

`logs/published/rates.csv.xz` holds the rates as printed, six decimals; `python data_prep/published_logs.py` wrote it.
"""

import csv
import lzma
from functools import cache
from typing import NamedTuple

from gluon_tricks.data.val_window import batches_before
from gluon_tricks.errors import UserError
from gluon_tricks.optim.lr_schedule import lr_schedule
from gluon_tricks.published.catalogue import FOLDER, TRAIN_IMAGES
from gluon_tricks.tricks.lr_warmup import FORMULAS

IMAGES = TRAIN_IMAGES["imagenet"]


class LoggedRate(NamedTuple):
    """What a batch line prints."""

    epoch: int
    batch: int
    lr: str        # as printed


@cache
def logged_rates():
    """Name of a published ImageNet run -> list of LoggedRate, in the order of its log, attempts that failed included."""
    path, rates = FOLDER / "rates.csv.xz", {}
    try:
        with lzma.open(path, "rt", encoding="utf-8") as stream:
            rows = csv.reader(stream)
            assert tuple(next(rows)) == ("run",) + LoggedRate._fields, "rates.csv.xz has the columns of LoggedRate"
            for name, epoch, batch, lr in rows:
                rates.setdefault(name, []).append(LoggedRate(int(epoch), int(batch), lr))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it from the repository or make it with "
                        "data_prep/published_logs.py") from None
    return rates


def schedule_of(script, args, workers=1, formula="head"):
    """num_update -> rate, by this kit's `lr_schedule`, for the arguments in a published log's header.

    Parameters
    ----------
    script : "train_imagenet.py" or "train_horovod.py"
    args : dict
        `batch_size` is per device, or per worker.
    workers : int
        Processes, of train_horovod.py.
    formula : one of FORMULAS
    """
    if script == "train_horovod.py":
        updates = -(-(IMAGES // workers) // args["batch_size"])
        return lr_schedule("cosine", args["lr"] * workers, args["num_epochs"], updates, args["warmup_epochs"],
                           formula=formula)
    updates = IMAGES // (args["batch_size"] * args["num_gpus"])
    steps = [int(epoch) for epoch in str(args["lr_decay_epoch"]).split(",")]
    return lr_schedule(args["lr_mode"], args["lr"], args["num_epochs"], updates, args["warmup_epochs"], args["lr_decay"],
                       steps, formula=formula)


def updates_before(script, args, workers, formula, epoch, batch):
    """How many updates had been done before the one that a batch line is about, by the rule of the table above."""
    if script == "train_horovod.py":
        return epoch * (IMAGES // workers // args["batch_size"]) + batch - 1
    global_batch_size = args["batch_size"] * args["num_gpus"]
    begin = batches_before(epoch, IMAGES, global_batch_size) if formula == "head" else epoch * (IMAGES // global_batch_size)
    return begin + batch


def mismatches(rates, script, args, workers=1, formula="head", schedule=None):
    """The logged rates that differ, in any printed digit, from those of a schedule.

    Parameters
    ----------
    rates : list of LoggedRate
    script, args, workers, formula
        As in `schedule_of`.
    schedule : callable, optional
        num_update -> rate; `schedule_of` the others by default.

    Returns
    -------
    list of (LoggedRate, float)
        With the rate that the schedule gives.
    """
    schedule = schedule or schedule_of(script, args, workers, formula)
    found = []
    for logged in rates:
        rate = schedule(updates_before(script, args, workers, formula, logged.epoch, logged.batch))
        if f"{rate:.6f}" != logged.lr:
            found.append((logged, rate))
    return found


def formula_of(rates, script, args, workers=1):
    """The formula under which every logged rate of a run is as printed; None if there is none."""
    order = ("paper",) if script == "train_horovod.py" else [formula for formula in FORMULAS if formula != "paper"]
    fits = (formula for formula in order if not mismatches(rates, script, args, workers, formula))
    return next(fits, None)
