"""The 73 logs that GluonCV published, as curves and a catalogue, and which of them a run should be held against.

`logs/published/` holds what `data_prep/published_logs.py` read from the original files: `curves.csv.gz`, one row per
run and epoch, and `catalogue.json`, one entry per run with its command, arguments, results and quality flags. A flag
is a sentence on why a file is not what it seems; `resnet152_v1d.log`, say, has a straight line for its validation
errors.
"""

import csv
import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Optional

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines import EpochRecord, cifar_is_mixup

FOLDER = Path(__file__).resolve().parent.parent / "logs" / "published"
TRAIN_IMAGES = {"cifar10": 50_000, "imagenet": 1_281_167}
CLASSES = {"cifar10": 10, "imagenet": 1000}
VAL_IMAGES = {"cifar10": 10_000, "imagenet": 50_000}

# Flags that forbid the use of a log's training metric, or of its validation errors, as a reference.
NO_TRAIN_METRIC = ("copy", "meaningless-train-metric")
NO_VALIDATION = ("copy", "synthetic-validation")

WITHOUT_REFERENCE = {
    "cifar10-excerpt": "cifar10-excerpt is a 2,500-image excerpt; no published log to compare with",
    "cifar100": "GluonCV published no log on CIFAR-100",
    "places365": "GluonCV published no log on Places365; the paper's figures are in tables 7",
}


# --- Catalogue and curves -------------------------------------------------------------------------------------------

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
        """What speaks against the log as a reference for its name, in sentences."""
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
        near = [known for known in runs if name.lower() in known.lower() or known.lower() in name.lower()]
        raise UserError(f"no published log is called {name!r}; " + (f"there are {', '.join(near)}" if near else
                        "logs/published/catalogue.json lists all 73"))
    return runs[name]


@cache
def _curves():
    curves = {}
    with _open("curves.csv.gz") as stream:
        rows = csv.reader(stream)
        assert tuple(next(rows)) == ("run",) + EpochRecord._fields, "curves.csv.gz has the columns of EpochRecord"
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
        return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it from the repository or make it with "
                        "data_prep/published_logs.py") from None


# --- What of a run's arguments makes it that run --------------------------------------------------------------------

# Flags that change what is computed, with the value they have where a header does not name them. Devices, workers,
# paths, intervals and seeds are not among them.
DEFAULTS = {
    "lr": None, "lr_mode": "step", "lr_decay": 0.1, "lr_decay_period": 0, "lr_decay_epoch": "40,60",
    "warmup_epochs": 0, "momentum": 0.9, "wd": 0.0001, "num_epochs": None, "dtype": "float32",
    "label_smoothing": False, "no_wd": False, "last_gamma": False, "use_se": False, "batch_norm": False,
    "use_gn": False, "drop_rate": 0.0, "teacher": None, "temperature": 20.0, "hard_weight": 0.5,
    "mixup": False, "mixup_alpha": 0.2, "mixup_off_epoch": 0, "input_size": 224, "crop_ratio": 0.875,
    "use_pretrained": False, "resume_from": None, "auto_aug": False, "dropblock_prob": 0.0, "use_sk": False,
    "use_avd": False, "fix_last_gamma": False, "label_smoothing_eps": 0.1, "clip_gradient": 0.0,
    "init": "gluoncv", "colors": "gluoncv", "label_smoothing_rule": "gluoncv", "mixup_partners": "reversed",
    "soft_weight": None,
    "num_training_samples": TRAIN_IMAGES["imagenet"],
}
CIFAR_DEFAULTS = {**DEFAULTS, "mixup_alpha": 1.0, "mixup_off_epoch": 20, "input_size": 32,
                  "num_training_samples": TRAIN_IMAGES["cifar10"], "mix": "mixup", "mixup_off_first": 0,
                  "cutmix_label": "area", "optimizer": "nag", "warmup": "linear", "cycle_epochs": 10, "cycle_factor": 1,
                  "accumulate": 1, "model_kwargs": [], "augment": "gluoncv", "random_crop": True, "random_flip": True,
                  "cutout": 0, "dual_cutout": False, "dual_cutout_alpha": 0.1, "random_erasing": None,
                  "lars_coefficient": 1.0, "final_lr": 0.1}


def recipe(args, dataset):
    """The arguments that decide what is computed, defaults filled in; those without effect are left out.

    `global_batch_size` is `batch_size` times devices: 4 x 256 and 8 x 128 are the same recipe.
    """
    cifar = dataset.startswith("cifar")
    values = {key: args.get(key, default) for key, default in (CIFAR_DEFAULTS if cifar else DEFAULTS).items()}
    values = {"model": args.get("model"), "dataset": dataset, "global_batch_size": global_batch_size(args), **values}
    values["mixup"] = cifar_is_mixup(args) if cifar else bool(args.get("mixup"))
    values["lr_decay_epoch"] = _decay_epochs(values, cifar)
    without_effect = {"lr_decay_period"}                                 # it is in lr_decay_epoch now
    if values["lr_mode"] != "step":
        without_effect |= {"lr_decay", "lr_decay_epoch"}
    if not values["mixup"]:
        without_effect |= {"mixup_alpha", "mixup_off_epoch", "mixup_partners", "mix", "mixup_off_first", "cutmix_label"}
    if values.get("mix") != "cutmix":
        without_effect |= {"cutmix_label"}
    if values["lr_mode"] != "sgdr":
        without_effect |= {"cycle_epochs", "cycle_factor"}
    for name, used_by in (("lars_coefficient", "lars"), ("final_lr", "adabound")):
        if values.get("optimizer") != used_by:
            without_effect |= {name}
    if not values.get("dual_cutout"):
        without_effect |= {"dual_cutout_alpha"}
    if not values["label_smoothing"]:
        without_effect |= {"label_smoothing_eps", "label_smoothing_rule"}
    if not values["teacher"]:
        without_effect |= {"temperature", "hard_weight", "soft_weight"}
    return {key: value for key, value in values.items() if key not in without_effect}


def global_batch_size(args):
    """Images per update, over all devices, real or emulated, of all processes; None if the header does not tell."""
    if "batch_size" not in args:
        return None
    devices = max(1, args.get("num_gpus", 1), args.get("num_cpus", 1)) * max(1, args.get("emulate_gpus", 0))
    return args["batch_size"] * devices * args.get("accumulate", 1) * args.get("world_size", 1)


def _decay_epochs(values, cifar):
    """Epochs at which the rate steps. The CIFAR scripts ignore `--lr-decay-period`."""
    period, epochs = values["lr_decay_period"], values["num_epochs"]
    if period and epochs and not cifar:
        return tuple(range(period, epochs, period))
    return tuple(int(epoch) for epoch in str(values["lr_decay_epoch"]).split(",") if epoch.strip().isdigit())


def departures(run_recipe, reference_recipe):
    """What a run does otherwise than its reference, as `lr 0.8 (published 0.1)`.

    Fewer epochs alone are no departure where the rate does not depend on their number: the curve is the same as far
    as it goes.
    """
    found = []
    for key, published in reference_recipe.items():
        here = run_recipe.get(key, published)
        if here == published or (key == "num_epochs" and not _depends_on_length(reference_recipe)):
            continue
        found.append(f"{key} {_show(here)} (published {_show(published)})")
    return found


def _depends_on_length(values):
    return values["lr_mode"] != "step" or bool(values["mixup"] and values["mixup_off_epoch"])


def _show(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


# --- Which published run a run should be held against ---------------------------------------------------------------

@dataclass(frozen=True)
class Match:
    """The reference of a run and how the run departs from it, or the reason why there is none."""

    reference: Optional[PublishedRun]
    departures: tuple = ()
    reason: str = ""


def dataset_of(run):
    """The data set of a `RunLog`: as its header says, else by its script."""
    if "dataset" in run.args:
        return str(run.args["dataset"])
    return "cifar10" if run.style == "cifar" else "imagenet"


def find_reference(run, name=None):
    """The published run that a `RunLog` should be held against.

    Of the usable logs with the same data set, model and mixup setting, the one that the run departs from least.

    Parameters
    ----------
    run : RunLog
    name : str, optional
        Take this one whatever the run's own arguments say.

    Returns
    -------
    Match
    """
    return reference_of(run.args, dataset_of(run), name)


def reference_of(args, dataset, name=None):
    """`find_reference` for the arguments of a run that has no log yet."""
    ours = recipe(args, dataset)
    if name is not None:
        chosen = published_run(name)
        if not chosen.is_usable:
            raise UserError(f"{name} is no reference: {chosen.why_not}")
        return _match(ours, chosen)
    if dataset not in VAL_IMAGES:
        return Match(None, reason=WITHOUT_REFERENCE.get(dataset, f"GluonCV published no log on {dataset}"))
    if not ours["model"]:
        return Match(None, reason="the log names no model: it has no Namespace line before its epochs; name the "
                                  "reference with --ref")
    images = ours["num_training_samples"]
    if images not in (None, TRAIN_IMAGES[dataset]):
        return Match(None, reason=f"{images} training images are not all {TRAIN_IMAGES[dataset]} of {dataset}; no "
                                  "published log to compare with")
    candidates = [_match(ours, other) for other in catalogue().values()
                  if other.is_usable and (other.dataset, other.model) == (dataset, ours["model"])
                  and other.tricks["mixup"] == ours["mixup"]]
    if not candidates:
        return Match(None, reason=_why_none(ours))
    return min(candidates, key=lambda match: (len(match.departures), len(match.reference.flags), match.reference.name))


def _match(ours, reference):
    return Match(reference, tuple(departures(ours, recipe(reference.args, reference.dataset))))


def _why_none(ours):
    """Why no log of this model, with its mixup setting, can be a reference."""
    setting = f"{ours['model']} {'with' if ours['mixup'] else 'without'} mixup"
    runs = catalogue()
    names = [str(ours["model"]) + suffix for suffix in (("-mixup", "_mixup") if ours["mixup"] else ("",))]
    for name in names:
        if name in runs and runs[name].why_not:
            return f"no usable log of {setting} is published: {runs[name].why_not}"
    others = [run.name for run in runs.values() if run.model == ours["model"] and run.is_usable]
    if others:
        return f"no log of {setting} is published, only {', '.join(others)}"
    return f"no published log is of the model {ours['model']}"
