"""The figures of a recipe in GluonCV's logs and in the runs of this kit."""

from dataclasses import dataclass
from pathlib import Path

from gluon_tricks.judging.runs import OURS, find_log, read_run
from gluon_tricks.judging.verdict import Verdict, judge_logs
from gluon_tricks.log_lines.reading import RunLog
from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.published.recipe import departures, recipe
from gluon_tricks.published.reference import dataset_of
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.recipes.presets import PRESETS
from gluon_tricks.recipes.rows import Figures


@dataclass(frozen=True)
class OurRun:
    """A run under `logs/ours`.

    Attributes
    ----------
    folder : Path
    run : RunLog
    figures : Figures
        Of the last epoch.
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


# --- GluonCV's logs -----------------------------------------------------------------------------------------

def published_log(flags, dataset="imagenet"):
    """The published log of exactly this recipe whose validation is a measurement, or None.

    Parameters
    ----------
    flags : dict
        Of a run's header, or of a row.
    """
    ours = recipe(flags, dataset)
    found = [run for run in catalogue().values()
             if run.dataset == dataset and run.model == ours["model"] and run.val_is_usable
             and not departures(ours, recipe(run.args, dataset))]
    return min(found, key=lambda run: (len(run.flags), run.name), default=None)


def log_figures(end):
    """Accuracies of a published run's `final` or `best`; CIFAR runs have no top-5 error."""
    errors = [end.get(key) for key in ("val_err_top1", "val_err_top5")]
    return Figures(*(f"{100 * (1 - error):.2f}" for error in errors if error is not None))


def paper_rows(flags, dataset="imagenet"):
    """The rows of the paper with these flags: a list of (Table, Row).

    Choices between paper and GluonCV (`--as`) and the file of a teacher's weights are not compared.
    """
    if dataset != "imagenet":
        return []
    ours = _by_the_paper(flags)
    return [(table, row) for table in TABLES.values() for row in table.rows
            if row.flags and _by_the_paper(row.flags) == ours]


def _by_the_paper(flags):
    values = {key: value for key, value in recipe(flags, "imagenet").items() if key not in PRESETS["paper"]}
    return {**values, "teacher": values["teacher"] and values["teacher"].partition(":")[0]}


# --- Runs of this kit ---------------------------------------------------------------------------------------

def our_runs(folder=OURS):
    """The classification runs in a folder that have run.json and one log: list of `OurRun`."""
    folders = [path.parent for path in sorted(Path(folder).glob("*/run.json"))]
    runs = [read_run(run) for run in folders if find_log(run)]
    return [_our_run(run) for run in runs if not run.is_transfer]


def _our_run(run):
    last = run.log.epochs[-1]
    errors = {"val_err_top1": last.val_err_top1, "val_err_top5": last.val_err_top5}
    return OurRun(run.folder, run.log, log_figures(errors), judge_logs([run.log]))


def our_run(flags, dataset, runs):
    """Of `our_runs()`, the one with exactly this recipe and the most epochs, or None."""
    wanted = recipe(flags, dataset)
    found = [ours for ours in runs if dataset_of(ours.run) == dataset
             and recipe(ours.run.args, dataset) == wanted]
    return max(found, key=lambda ours: ours.run.epochs[-1].epoch, default=None)
