"""Choose among the published runs: by name, data set, tricks and quality; and their order.

A run has a trick if its result has it: `--last-gamma` counts only where the net's gammas started at 0, and a
rate is scaled where the batch is larger than 256 images and the rate is 0.1 at 256.
"""

import math
from dataclasses import dataclass
from typing import Callable

from gluon_tricks.errors import UserError
from gluon_tricks.program import matching, there_are
from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.tricks.linear_scaling import REFERENCE_BATCH_SIZE, linear_scaled_lr

NO_ZERO_GAMMA = {"last-gamma-without-effect", "last-gamma-inverted"}


# --- Tricks -------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Trick:
    """A trick of the paper, or of GluonCV's scripts.

    `name` is that of its file in gluon_tricks/tricks/, `short` a column's head, `flag` GluonCV's flag.
    """

    name: str
    short: str
    flag: str
    has: Callable      # PublishedRun -> bool


def _is_scaled(run):
    workers = run.global_batch_size // run.args["batch_size"] if run.script == "train_horovod.py" else 1
    peak_lr = run.args["lr"] * workers             # train_horovod.py multiplies --lr by its workers
    return (run.dataset == "imagenet" and run.global_batch_size > REFERENCE_BATCH_SIZE
            and math.isclose(peak_lr, linear_scaled_lr(run.global_batch_size)))


TRICKS = (
    Trick("linear-scaling", "scale", "--lr", _is_scaled),
    Trick("lr-warmup", "warm", "--warmup-epochs", lambda run: run.tricks["warmup_epochs"] > 0),
    Trick("zero-gamma", "gamma", "--last-gamma",
          lambda run: run.tricks["last_gamma"] and not NO_ZERO_GAMMA & set(run.flags)),
    Trick("no-bias-decay", "bias", "--no-wd", lambda run: run.tricks["no_wd"]),
    Trick("low-precision", "fp16", "--dtype float16", lambda run: run.tricks["dtype"] == "float16"),
    Trick("cosine-decay", "cos", "--lr-mode cosine", lambda run: run.tricks["lr_mode"] == "cosine"),
    Trick("label-smoothing", "smooth", "--label-smoothing", lambda run: run.tricks["label_smoothing"]),
    Trick("distillation", "distil", "--teacher", lambda run: run.tricks["teacher"] is not None),
    Trick("mixup", "mixup", "--mixup", lambda run: run.tricks["mixup"]),
    Trick("group-norm", "gn", "--use-gn", lambda run: run.tricks["use_gn"]),
    Trick("auto-augment", "auto", "--auto-aug", lambda run: run.tricks["auto_aug"]),
)


def tricks_of(run):
    """The tricks of a published run, in the paper's order."""
    return [trick for trick in TRICKS if trick.has(run)]


def trick_called(word, what="--trick"):
    """The trick of that name, also in the words of its flag: `zero-gamma`, `last_gamma`, `cosine`.

    Raises
    ------
    UserError
        If none or several tricks have the word.
    """
    wanted = word.lower().replace("_", "-").lstrip("-")
    names = {trick.name: trick for trick in TRICKS}
    found = [trick for trick in TRICKS if wanted and wanted in f"{trick.name} {trick.flag} {trick.short}"]
    if wanted in names or len(found) == 1:
        return names.get(wanted) or found[0]
    if found:
        raise UserError(f"{what} {word}: may be {' or '.join(trick.name for trick in found)}; give one")
    raise UserError(f"{what} {word}: is no trick; "
                    + there_are(wanted, names, f"there are {', '.join(names)}"))


# --- Selection ----------------------------------------------------------------------------------------------

def select(patterns=(), dataset=None, tricks=(), without=(), usable=False):
    """The published runs with these properties, in alphabetical order.

    Parameters
    ----------
    patterns : sequence of str
        Names, or patterns as `resnet50*`; without any, all runs.
    dataset : str or None
        "cifar10" or "imagenet".
    tricks, without : sequence of Trick
        What each run has, and what none of them has.
    usable : bool
        Only logs that can be a reference: of which at least one curve is a measurement.

    Returns
    -------
    list of PublishedRun

    Raises
    ------
    UserError
        If a pattern fits no run.
    """
    runs = catalogue()
    names = matching(patterns, runs, "published run", "python -m gluon_tricks published lists them")
    return [run for run in map(runs.get, names)
            if dataset in (None, run.dataset) and (run.is_usable or not usable)
            and all(trick.has(run) for trick in tricks) and not any(trick.has(run) for trick in without)]


def top1(run, which="final"):
    """Validation accuracy of a run's "final" or "best" epoch in percent; None if it is no measurement."""
    return 100 * (1 - getattr(run, which)["val_err_top1"]) if run.val_is_usable else None


def top5(run, which="final"):
    """The same, top-5; also None for CIFAR, whose scripts do not print it."""
    error = getattr(run, which)["val_err_top5"]
    return None if error is None or not run.val_is_usable else 100 * (1 - error)


# Word of --sort -> key; numbers from the highest
ORDERS = {
    "name": lambda run: run.name,
    "model": lambda run: (run.model, run.name),
    "dataset": lambda run: (run.dataset, run.name),
    "epochs": lambda run: (-run.epochs, run.name),
    "top1": lambda run: (-(top1(run) or 0), run.name),
    "best": lambda run: (-(top1(run, "best") or 0), run.name),
    "tricks": lambda run: (-len(tricks_of(run)), run.name),
}


# --- Quality ------------------------------------------------------------------------------------------------

def measured(run):
    """Which curves of a log are measurements: "both", "validation", "training" or "nothing"."""
    if run.val_is_usable and run.train_is_usable:
        return "both"
    return "validation" if run.val_is_usable else "training" if run.train_is_usable else "nothing"


QUALITY = {
    "both": "Training and validation figures are measurements.",
    "validation": "Only the validation figures are measurements.",
    "training": "Only the training figures are measurements.",
    "nothing": "No reference.",
}


def quality(run):
    """Sentences on what a log is worth: whether its figures are measurements, and its defects."""
    return " ".join([QUALITY[measured(run)], *run.flags.values()])
