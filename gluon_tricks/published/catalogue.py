"""The 73 logs that GluonCV published, as curves and a catalogue, and which of them can be a reference.

`logs/published/` holds what `data_prep/published_logs.py` read from the original files: `curves.csv.gz`, one
row per run and epoch, and `catalogue.json`, one entry per run with its command, arguments, results and
quality flags. A flag is a sentence on a defect of the file; `resnet152_v1d.log`, say, has a
straight line for its validation errors.
"""

import csv
import gzip
import json
from dataclasses import dataclass
from functools import cache

from gluon_tricks.errors import UserError
from gluon_tricks.files import LOGS
from gluon_tricks.log_lines.epochs import EpochRecord
from gluon_tricks.program import there_are

FOLDER = LOGS / "published"
TRAIN_IMAGES = {"cifar10": 50_000, "imagenet": 1_281_167}
CLASSES = {"cifar10": 10, "imagenet": 1000}
VAL_IMAGES = {"cifar10": 10_000, "imagenet": 50_000}

# Flags that forbid the use of a log's training metric, or of its validation errors, as a reference.
NO_TRAIN_METRIC = ("copy", "meaningless-train-metric")
NO_VALIDATION = ("copy", "synthetic-validation")


# --- Catalogue and curves -----------------------------------------------------------------------------------

@dataclass(frozen=True)
class PublishedRun:
    """One published log. Errors are fractions; `flags` maps a short name to a sentence."""

    name: str
    log: str
    sha1: str
    dataset: str
    script: str
    style: str
    model: str
    command: str
    args: dict
    tricks: dict
    global_batch_size: int
    epochs: int
    train_metric: str
    final: dict
    best: dict
    flags: dict
    title: str = ""          # of several runs: what a sentence calls them

    @property
    def label(self):
        """What a sentence calls it."""
        return self.title or self.name

    @property
    def train_is_usable(self):
        return not any(flag in self.flags for flag in NO_TRAIN_METRIC)

    @property
    def val_is_usable(self):
        return not any(flag in self.flags for flag in NO_VALIDATION)

    @property
    def is_usable(self):
        return self.train_is_usable or self.val_is_usable

    @property
    def why_not(self):
        """Sentences on why the log is no reference for its name."""
        return " ".join(sentence for flag, sentence in self.flags.items()
                        if flag in {*NO_TRAIN_METRIC, *NO_VALIDATION, "other-model"})


@cache
def catalogue():
    """All published runs: name -> `PublishedRun`, in alphabetical order."""
    with _open("catalogue.json") as stream:
        return {entry["name"]: PublishedRun(**entry) for entry in json.load(stream)["runs"]}


def curve(name):
    """The epochs of a published run.

    Returns
    -------
    list of EpochRecord
    """
    return list(_curves()[published_run(name).name])


def published_run(name):
    """The catalogue's entry of that name; a `UserError` names the nearest ones."""
    runs = catalogue()
    if name not in runs:
        raise UserError(f"no published log is called {name!r}; "
                        + there_are(name, runs, "python -m gluon_tricks published lists them"))
    return runs[name]


@cache
def _curves():
    curves = {}
    with _open("curves.csv.gz") as stream:
        rows = csv.reader(stream)
        assert tuple(next(rows)) == (
            "run",) + EpochRecord._fields, "curves.csv.gz has the columns of EpochRecord"
        for name, *row in rows:
            curves.setdefault(name, []).append(EpochRecord(*map(_value, EpochRecord._fields, row)))
    return curves


def _value(field, text):
    if field == "train_metric_name":
        return text
    if not text:
        return None
    return int(text) if field in ("epoch", "last_batch_logged") else float(text)


def _open(name):
    path = FOLDER / name
    try:
        return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path,
                                                                                         encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it from the repository or make "
                        f"it with data_prep/published_logs.py") from None
