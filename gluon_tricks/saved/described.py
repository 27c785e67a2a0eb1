"""What is known about saved parameters: from the record of their run, else from flags, else from defaults.

Flags that contradict the record are refused. Weights of timm have its config.json instead. `evaluate`,
`predict`, `export`, `--teacher` and `load_net` start here.
"""

import json
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.data import augment
from gluon_tricks.data.cifar_sets import DATASETS, Augmentation
from gluon_tricks.data.imagenet_augment import ImagenetTestTransform
from gluon_tricks.errors import UserError
from gluon_tricks.models.keywords import net_keywords
from gluon_tricks.models.sizes import natural_size
from gluon_tricks.recipes.data_paths import RGB_MEAN, RGB_STD
from gluon_tricks.recipes.flags import per_channel
from gluon_tricks.saved.names import known_names, published_names
from gluon_tricks.saved.record import CLASSIFICATION, NO_RECORD, NetFacts, TrainedRun, find_run
from gluon_tricks.saved.timm_config import config_of

GIVEN = ("model", "use_gn", "classes", "dataset", "augment", "input_size", "crop_ratio", "rgb_mean",
         "rgb_std")
GREY_LEVELS = 1              # GluonCV's means of record files and of folders differ by half of it


class SavedNet(NamedTuple):
    """A net to open, and the images it takes.

    Attributes
    ----------
    params_file : path or None
        None: GluonCV's published weights.
    facts : NetFacts
        Without a record, `classes` is None where the flags do not state it.
    run : TrainedRun or None
        None without a record.
    """
    params_file: object
    facts: NetFacts
    run: TrainedRun = None

    def names(self, classes):
        """Class names in label order for a net of that many classes; those of ImageNet for 1000. Or None."""
        names = self.facts.class_names or (published_names() if classes == 1000 else None)
        return names if names and len(names) == classes else None

    def certain_names(self, classes):
        """The same without names that are only likely: those of a record, or of the published weights."""
        return self.names(classes) if not self.params_file else (self.facts.class_names if self.run else None)

    @property
    def source(self):
        """The owner of the class names, for messages."""
        return self.params_file or f"--model {self.facts.model}"


def saved_net(params_file, given, run_json=None, dataset="", normalisation=(RGB_MEAN, RGB_STD)):
    """The `SavedNet` for some parameters.

    Parameters
    ----------
    params_file : path or None
    given : dict
        Flags by their attribute: `model`, `model_kwargs` (dict), `use_gn`, `classes`, `dataset`, `augment`,
        `input_size`, `crop_ratio`, `rgb_mean`, `rgb_std`; None: not given.
    run_json : path, optional
        See `find_run`.
    dataset : str
        Data set of the net if neither record nor flag states it; "": CIFAR-10 for cifar_*, else ImageNet.
    normalisation : (mean, deviation)
        Default without a record, for images of no data set of train_cifar.py.

    Raises
    ------
    UserError
        If a flag contradicts the record, or the net is unknown.
    """
    given = {name: value for name, value in given.items()
             if value is not None and value is not False and value != {}}
    unknown = {*given} - {*GIVEN, "model_kwargs"}
    if unknown:
        raise UserError(f"{', '.join(sorted(unknown))}: is no such flag; there are {', '.join(GIVEN)}, "
                        "model_kwargs")
    params_file = Path(params_file).expanduser() if params_file else None
    run = find_run(params_file, run_json) if params_file else None
    if run is None:
        config, prepared, names = {}, None, None
        if params_file and run_json != NO_RECORD:
            config, prepared, names = config_of(params_file, given.get("model"))
        given = {**config, **given}
        if "model" not in given:
            raise _no_model(params_file)
        natural = "cifar10" if given["model"].lower().startswith("cifar_") else "imagenet"
        given.setdefault("dataset", dataset or natural)
        facts = _facts_of_flags(given, prepared or normalisation)
        return SavedNet(params_file, facts._replace(class_names=names) if names else facts)
    if run.net.task != CLASSIFICATION:
        raise UserError(f"--params-file {params_file}: is a net for {run.net.task}, as {run.path} says; this "
                        "needs a classifier")
    _refuse_contradictions(params_file, run, given)
    return SavedNet(params_file, run.net, run)


def _no_model(params_file):
    """The error for an unknown net."""
    missing = ""
    if params_file:
        missing = (f"{params_file} has no record of its training next to it, "
                   f"{Path(params_file).with_suffix('.json').name}; copy that with it, or ")
    return UserError(f"--model: {missing}give the name of the net; python -m gluon_tricks models lists this "
                     "kit's")


def _facts_of_flags(given, normalisation):
    """`NetFacts` without a record."""
    model, dataset, kwargs = given["model"], given["dataset"], dict(given.get("model_kwargs", {}))
    known, drop_rate = DATASETS.get(dataset), kwargs.pop("drop_rate", 0.0)
    channels = known.channels if known else 3
    if known:
        colors = given.get("augment") == "follow-up"
        normalisation = ([255 * value for value in values]
                         for values in Augmentation(colors).normalisation(dataset))
    elif "augment" in given:
        raise _only_cifar(given)
    mean, std = (_chosen(name, given, default, channels)
                 for name, default in zip(("rgb_mean", "rgb_std"), normalisation))
    switches = net_keywords(model, channels, kwargs, drop_rate)
    if given.get("use_gn"):
        switches["use_gn"] = True
    size = given.get("input_size", known.side if known else natural_size(model.lower()))
    ratio = given.get("crop_ratio", 1.0 if known else 0.875)
    return NetFacts(model, switches, given.get("classes"), known_names(dataset) if known else None, dataset,
                    size, channels, "center", ratio, mean, std)


def _chosen(name, given, default, channels):
    """A channel mean or deviation; a flag that repeats the default to four digits keeps its other digits."""
    if name not in given:
        return tuple(default)
    value = per_channel(f"--{name.replace('_', '-')}", given[name], channels)
    return tuple(default) if rounded(value) == rounded(default) else value


def _only_cifar(given):
    return UserError(f"--augment {given['augment']}: is for the data sets of train_cifar.py; use --rgb-mean "
                     "and --rgb-std")


def _refuse_contradictions(params_file, run, given):
    """Raise UserError for flags whose value differs from the record."""
    net, is_cifar = run.net, run.net.dataset in DATASETS
    if "augment" in given and not is_cifar:
        raise _only_cifar(given)
    switches = {name: value for name, value in net.switches.items() if name not in ("in_channels", "use_gn")
                and (name, value) != ("drop_rate", 0)}
    dataset = given.get("dataset", "").removesuffix("-excerpt")
    channels = {name: per_channel(f"--{name.replace('_', '-')}", given[name], net.channels)
                for name in ("rgb_mean", "rgb_std") if name in given}
    for flag, value, recorded in (
            ("--model", given.get("model", "").lower(), net.model.lower()),
            ("--dataset", dataset if dataset in DATASETS else "", net.dataset.removesuffix("-excerpt")),
            ("--augment", given.get("augment"), run.flag("augment", str, "gluoncv")),
            ("--model-kwargs", _words(given.get("model_kwargs", {})), _words(switches) or "none"),
            ("--use-gn", "GroupNorm" if given.get("use_gn") else "",
             "GroupNorm" if net.switches.get("use_gn") else "BatchNorm"),
            ("--classes", given.get("classes"), net.classes),
            ("--input-size", given.get("input_size"), net.input_size),
            ("--crop-ratio", given.get("crop_ratio"), net.crop_ratio),
            *((f"--{name.replace('_', '-')}", rounded(value), rounded(getattr(net, name)))
              for name, value in channels.items())):
        if value not in (None, "") and value != recorded:
            raise UserError(f"{flag} {value}: the run that left {params_file} had {recorded}, as {run.path} "
                            f"says; leave the flag out")


def _words(values):
    """The text of keywords for --model-kwargs; the same for tuples and lists."""
    return " ".join(f"{name}={json.dumps(value)}" for name, value in sorted(values.items()))


def rounded(values):
    """The text of channel means or deviations: 255 x 0.4914 is 125.30699999999999."""
    return ",".join(f"{round(value, 4)}".removesuffix(".0") for value in values)


def same_normalisation(net, mean, std):
    """Whether a net's mean and deviation are these, up to the differences between GluonCV's own values."""
    return len(net.rgb_mean) == len(mean) and all(
        abs(one - other) <= GREY_LEVELS for one, other in zip((*net.rgb_mean, *net.rgb_std), (*mean, *std)))


class SmallTransform(ImagenetTestTransform):
    """An `ImagenetTestTransform` that rounds as the validation of train_cifar.py does."""

    def normalize(self, image, out):
        mean, std = ([value / 255 for value in values] for values in (self.mean, self.std))
        out[:] = augment.normalize(image[None], mean, std)[0]


def transform_of(facts, all_crops=False):
    """The preparation of photographs for a net, the same as in its run's validation; or its five crops."""
    mean, std = (tuple(values) * (3 // facts.channels) for values in (facts.rgb_mean, facts.rgb_std))
    kind = SmallTransform if facts.dataset in DATASETS else ImagenetTestTransform
    return kind(facts.input_size, facts.crop_ratio, mean, std,
                "efficientnet" if facts.crop == "efficientnet" else "rec", all_crops)
