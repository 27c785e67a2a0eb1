"""Runs of GluonCV's own scripts that were made for this kit: several seeds of one recipe.

    gluoncv_excerpt       8 runs on the excerpt of CIFAR-10 in this kit      benchmarks/excerpt.py
    gluoncv_first_epochs  the first 8 epochs of the published command of     benchmarks/convergence.py
                          cifar_resnet20_v1, complete CIFAR-10

Their logs are in `logs/reference/`. A set is used once it has LEAST finished runs: the spread of fewer says
too little.
"""

from dataclasses import dataclass
from functools import cache
from statistics import mean

from gluon_tricks.files import LOGS
from gluon_tricks.log_lines.epochs import EpochRecord
from gluon_tricks.log_lines.lines import CifarEpoch, Namespace, parse_line
from gluon_tricks.published.catalogue import PublishedRun, curve, published_run
from gluon_tricks.recipes.rows import words

FOLDER = LOGS / "reference"
LEAST = 3
SHOWN = ("model", "mode", "batch_size", "lr", "num_epochs", "lr_decay_epoch")      # flags of the command


@dataclass(frozen=True)
class Repeats:
    """Several finished runs of one recipe.

    Attributes
    ----------
    reference : PublishedRun
        Its figures are means.
    curves : tuple of dict
        Of each run, epoch -> EpochRecord.
    """

    reference: PublishedRun
    curves: tuple

    @property
    def epochs(self):
        """The epochs that all runs have: list of int."""
        return sorted(set.intersection(*map(set, self.curves)))

    @property
    def records(self):
        """The mean curve: list of EpochRecord without times."""
        return _mean_records(self.curves)


def repeats():
    """name -> `Repeats` of the sets that have enough runs."""
    return _sets(FOLDER)


def reference_run(name):
    """The set of repeats, or else the published run, of that name, as a `PublishedRun`."""
    return repeats()[name].reference if name in repeats() else published_run(name)


def reference_curve(name):
    """The epochs of a `reference_run`: list of EpochRecord."""
    return repeats()[name].records if name in repeats() else curve(name)


@cache
def _sets(folder):
    sets = (_repeats("gluoncv_excerpt", "GluonCV's own runs on this excerpt", "cifar10-excerpt", 2_000,
                     folder.glob("excerpt/gluoncv_seed*.log")),
            _repeats("gluoncv_first_epochs", "GluonCV's own runs of the first epochs", "cifar10", 50_000,
                     folder.glob("convergence/gluoncv_seed*/*.log")))
    return {one.reference.name: one for one in sets if one}


def _repeats(name, title, dataset, images, logs):
    """The `Repeats` in some logs of train_cifar10.py; None if too few of them are finished."""
    runs = [run for run in map(_read, sorted(logs)) if run]
    if len(runs) < LEAST:
        return None
    args, curves = {**runs[0][0], "num_training_samples": images}, tuple(curve for _, curve in runs)
    records = _mean_records(curves)
    command = " ".join(["python train_cifar10.py", *words({flag: args[flag] for flag in SHOWN})])
    ends = ({"epoch": record.epoch, "val_err_top1": record.val_err_top1}
            for record in (records[-1], min(records, key=lambda record: record.val_err_top1)))
    return Repeats(PublishedRun(
        name, f"{len(runs)} logs in logs/reference", "", dataset, "train_cifar10.py", "cifar", args["model"],
        command, args, {"mixup": False}, args["batch_size"], len(records), "accuracy", *ends, {}, title),
        curves)


def _read(path):
    """The flags and `{epoch: EpochRecord}` of a finished run; else None."""
    lines = [parse_line(text) for text in path.read_text(encoding="utf-8").splitlines()]
    args = next((line.args for line in lines if isinstance(line, Namespace)), {})
    found = {line.epoch: EpochRecord(line.epoch, "accuracy")._replace(**line.facts())
             for line in lines if isinstance(line, CifarEpoch)}
    return (args, found) if found and max(found) + 1 == args.get("num_epochs") else None


def _mean_records(curves):
    epochs = sorted(set.intersection(*map(set, curves)))
    return [EpochRecord(epoch, "accuracy", *(mean(getattr(each[epoch], name) for each in curves)
                                             for name in ("train_metric", "train_loss", "val_err_top1")))
            for epoch in epochs]
