"""The figures that belong to a recipe besides the paper's: GluonCV's log, its zoo, and the runs of this kit."""

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gluon_tricks.compare import Verdict, judge
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines import RunLog, read_log
from gluon_tricks.presets import PRESETS
from gluon_tricks.published import catalogue, dataset_of, departures, recipe
from gluon_tricks.recipes.paper import TABLES, ZOO_WEIGHTS
from gluon_tricks.recipes.rows import Figures

OURS = Path(__file__).resolve().parents[2] / "logs" / "ours"


@dataclass(frozen=True)
class ZooWeights:
    """What GluonCV's documentation says of weights it offers; `log` is the published log they are linked to."""

    model: str
    hashtag: str
    figures: Figures
    log: str


@dataclass(frozen=True)
class OurRun:
    """A run under `logs/ours`.

    Attributes
    ----------
    folder : Path
    run : RunLog
    figures : Figures
        Of the last epoch run.
    verdict : Verdict
        Of the comparison with the published log.
    """

    folder: Path
    run: RunLog
    figures: Figures
    verdict: Verdict

    @property
    def is_finished(self):
        return self.run.epochs[-1].epoch + 1 == self.run.args.get("num_epochs")

    @property
    def epochs(self):
        """`0-14 of 200`."""
        return f"{self.run.epochs[0].epoch}-{self.run.epochs[-1].epoch} of {self.run.args['num_epochs']}"


# --- GluonCV's zoo and logs -----------------------------------------------------------------------------------------

@cache
def zoo():
    """All rows of the zoo's documentation, as `ZooWeights`.

    Two links are mended: GoogLeNet's to a file of another spelling, ResNet152_v1c's to the log of v1b.
    """
    with open(Path(__file__).with_name("zoo.csv"), encoding="utf-8", newline="") as stream:
        return tuple(ZooWeights(row["model"], row["hashtag"], Figures(row["top1_pct"], row["top5_pct"]), row["log"])
                     for row in csv.DictReader(stream))


def zoo_of_row(table, row):
    """The zoo's weights of a row of the paper, or None."""
    hashtag = ZOO_WEIGHTS.get((table.number, row.name, row.column))
    return next((weights for weights in zoo() if hashtag and weights.hashtag == hashtag), None)


def zoo_of_log(name):
    """The zoo's weights that come with a published log, or None."""
    return next((weights for weights in zoo() if weights.log == name), None)


def published_log(args, dataset="imagenet"):
    """The published log of exactly this recipe whose validation is a measurement, or None.

    Parameters
    ----------
    args : dict
        Arguments of a run, or flags of a row.
    """
    ours = recipe(args, dataset)
    found = [run for run in catalogue().values()
             if run.dataset == dataset and run.model == ours["model"] and run.val_is_usable
             and not departures(ours, recipe(run.args, dataset))]
    return min(found, key=lambda run: (len(run.flags), run.name), default=None)


def log_figures(end):
    """Figures of a published run's `final` or `best`; errors of CIFAR runs have no top-5."""
    return Figures(*(f"{100 * (1 - end[key]):.2f}" for key in ("val_err_top1", "val_err_top5") if end.get(key) is not None))


def paper_rows(args, dataset="imagenet"):
    """The rows of the paper that a run of these arguments is: a list of (Table, Row).

    Choices between paper and GluonCV (`--as`) make no difference here, nor does the file of a teacher's weights.
    """
    if dataset != "imagenet":
        return []
    ours = _by_the_paper(args)
    return [(table, row) for table in TABLES.values() for row in table.rows
            if row.flags and _by_the_paper(row.flags) == ours]


def _by_the_paper(args):
    values = {key: value for key, value in recipe(args, "imagenet").items() if key not in PRESETS["paper"]}
    return {**values, "teacher": values["teacher"] and values["teacher"].partition(":")[0]}


# --- Runs of this kit -----------------------------------------------------------------------------------------------

def our_runs(folder=OURS):
    """The classifiers of this kit with evidence: those with run.json and a log, as `OurRun`."""
    runs = []
    for run_json in sorted(Path(folder).glob("*/run.json")):
        log = find_log(run_json.parent)
        if log and "score" not in read_run_json(run_json.parent):        # detection and segmentation have one
            runs.append(read_run(run_json.parent, log))
    return runs


def find_log(folder):
    """The one log of a run's folder, or None."""
    logs = sorted(Path(folder).glob("*.log"))
    return logs[0] if len(logs) == 1 else None


def read_run(folder, log):
    """A run's last figures and its verdict."""
    run = read_log(log)
    last = run.epochs[-1]
    errors = {"val_err_top1": last.val_err_top1, "val_err_top5": last.val_err_top5}
    return OurRun(Path(folder), run, log_figures(errors), judge(log))


def our_run(args, dataset, runs):
    """Of `our_runs()`, the one with exactly this recipe that went furthest, or None."""
    wanted = recipe(args, dataset)
    found = [ours for ours in runs if dataset_of(ours.run) == dataset and recipe(ours.run.args, dataset) == wanted]
    return max(found, key=lambda ours: ours.run.epochs[-1].epoch, default=None)


def read_run_json(folder):
    """A run's `run.json`.

    Raises
    ------
    UserError
        If the folder has none or it cannot be read.
    """
    path = Path(folder) / "run.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the folder of a run of train_imagenet.py or "
                        "train_cifar.py, where metrics.jsonl lies") from None
    except ValueError:
        raise UserError(f"{path}: is no JSON; give the folder of a run of this kit") from None
