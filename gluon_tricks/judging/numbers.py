"""The figures of a recipe in GluonCV's logs and in the runs of this kit."""

import json
from dataclasses import dataclass
from pathlib import Path

from gluon_tricks.errors import UserError
from gluon_tricks.files import LOGS
from gluon_tricks.judging.verdict import Verdict, judge
from gluon_tricks.log_lines.headers import checked_flags, safe
from gluon_tricks.log_lines.reading import RunLog, read_log
from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.published.recipe import departures, recipe
from gluon_tricks.published.reference import dataset_of
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.recipes.presets import PRESETS
from gluon_tricks.recipes.rows import Figures

OURS = LOGS / "ours"
FACTS = {"command": str, "model": str, "commit": str, "processor": str, "data_root_hash": str, "gpus": list,
         "versions": dict, "args": dict, "seed": int, "classes": int, "global_batch_size": int}


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
    runs = []
    for run_json in sorted(Path(folder).glob("*/run.json")):
        log = find_log(run_json.parent)
        if log and "score" not in read_run_json(run_json.parent):        # detection and segmentation have one
            runs.append(read_run(run_json.parent, log))
    return runs


def find_log(folder):
    """The log in a run's folder; None if there is none or more than one."""
    logs = sorted(Path(folder).glob("*.log"))
    return logs[0] if len(logs) == 1 else None


def read_run(folder, log):
    """The `OurRun` of a folder and its log."""
    run = read_log(log)
    last = run.epochs[-1]
    errors = {"val_err_top1": last.val_err_top1, "val_err_top5": last.val_err_top5}
    return OurRun(Path(folder), run, log_figures(errors), judge(log))


def our_run(flags, dataset, runs):
    """Of `our_runs()`, the one with exactly this recipe and the most epochs, or None."""
    wanted = recipe(flags, dataset)
    found = [ours for ours in runs if dataset_of(ours.run) == dataset
             and recipe(ours.run.args, dataset) == wanted]
    return max(found, key=lambda ours: ours.run.epochs[-1].epoch, default=None)


def read_run_json(folder):
    """A run's `run.json`: dict, with texts that are safe to print and checked flags in `args`.

    Raises
    ------
    UserError
        If the folder has none, it cannot be read, or a fact has another type than in runs of this kit.
    """
    path = Path(folder) / "run.json"
    try:
        facts = safe(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the folder of a run of "
                        f"train_imagenet.py or train_cifar.py, where metrics.jsonl lies") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: is no JSON; give the folder of a run of this kit") from None
    if not isinstance(facts, dict):
        raise UserError(f"{path}: is no JSON object; give the folder of a run of this kit")
    for name, kind in FACTS.items():
        value = facts.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise UserError(f"{path}: {name} {json.dumps(value)[:100]} is of another type than in runs of "
                            "this kit; the file is damaged or of another program")
    if facts.get("args"):
        facts["args"] = checked_flags(facts["args"], f"{path}: args")
    return facts
