"""What the records of a training say about a net: how to make it, its classes, how to prepare images.

A `.params` file has only arrays. The facts of a run are in `run.json` in the folder of the log, in the
resume file, and next to each NAME.params in NAME.json, which also has the SHA-256 of the parameters. Copied
together, NAME.params and NAME.json can be used anywhere: `evaluate`, `predict`, `export` and `--teacher` read
the record.
"""

import math
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.data.cifar_sets import DATASETS, Augmentation
from gluon_tricks.errors import UserError
from gluon_tricks.files import parse_json, sha256_of
from gluon_tricks.log_lines.run_files import check_facts_types
from gluon_tricks.models.keywords import net_keywords
from gluon_tricks.saved.names import known_names, run_name, run_name_of
from gluon_tricks.training.archive import read_text
from gluon_tricks.training.resume_meta import parse_meta

CLASSIFICATION = "classification"
CROPS = ("center", "efficientnet")
NO_RECORD = "none"                           # value of --run-json
DTYPES = ("float32", "float16", "bfloat16")


class NetFacts(NamedTuple):
    """A net, and the images that it was validated on. The fields of the same name are flags."""
    model: str
    switches: dict           # arguments of `get_model` other than the number of classes; `use_gn`: GroupNorm
    classes: int
    class_names: list        # in label order; None where the data have no names
    dataset: str
    input_size: int          # side in pixels
    channels: int
    crop: str                # "center": resize, then cut; "efficientnet": cut, then resize
    crop_ratio: float
    rgb_mean: tuple          # one per channel, 0..255
    rgb_std: tuple
    data_root_hash: str = ""
    task: str = CLASSIFICATION


class TrainedRun(NamedTuple):
    """The recorded facts of the run that wrote some parameters."""
    path: Path               # of the record
    name: str                # of its files: see `run_name`
    net: NetFacts
    dtype: str
    flags: dict              # all flags of the run

    def flag(self, name, kind, default=None):
        """A flag of the run; the default if it had none of that type."""
        value = self.flags.get(name)
        return value if isinstance(value, kind) else default

    def place(self, name):
        """A file or folder of the run; None if it had none."""
        try:
            return Path(self.flags[name]).expanduser()
        except (KeyError, TypeError, RuntimeError):            # RuntimeError: the folder of an unknown user
            return None


def find_run(params_file, record=None):
    """The run that wrote a parameter file.

    Parameters
    ----------
    params_file : path
    record : path or "none", optional
        Its record. Default: NAME.json, the resume file of its name or run.json, in the same folder.

    Returns
    -------
    TrainedRun or None
        None if there is no record of a training script, and `record` was not given.

    Raises
    ------
    UserError
        If the record cannot be read, or is of other parameters by hash or name.
    """
    params_file, name = Path(params_file).expanduser(), run_name_of(params_file)
    if record == NO_RECORD:
        return None
    if record:
        run = _read(Path(record).expanduser(), params_file, f"--run-json {record}:")
        if run is None:
            raise UserError(f"--run-json {record}: is no record of a training script")
        if name not in (None, run.name):
            raise UserError(f"--run-json {record}: is of the run {run.name}, and {params_file.name} is none "
                            "of its files")
        return run
    own, resume = params_file.with_suffix(".json"), params_file.with_name(f"{name}.resume.npz")
    for path in (own, *([resume] if name else []), params_file.with_name("run.json")):
        where = f"{params_file}: the record next to it, {path.name},"
        run = _read(path, params_file, where) if path.is_file() else None
        if run and (path == own or name in (None, run.name)):
            return run
    return None


def _read(path, params_file, where):
    """The `TrainedRun` in a record that belongs to these parameters; None if no training script wrote it.

    Raises
    ------
    UserError
        If it is missing, damaged or of other parameters; the message starts with `where`.
    """
    try:
        facts = (parse_meta(read_text("", path)).facts if path.suffix == ".npz"
                 else parse_json(path.read_bytes()))
        run = run_of(facts, path)
    except (OSError, ValueError) as error:
        raise UserError(f"{where} cannot be read ({error}); put a whole one there, or give --run-json "
                        f"{NO_RECORD} and --model") from error
    digest = facts.get("params_sha256") if run else None
    if digest and params_file.is_file() and digest != sha256_of(params_file):
        raise UserError(f"{where} is of other parameters: their SHA-256 differs; put the two files of one "
                        f"net together, or give --run-json {NO_RECORD} and --model")
    return run


def run_of(facts, path):
    """The `TrainedRun` in the content of a record; None if no training script wrote it.

    Raises
    ------
    ValueError
        If its description of the net has values that no training script writes.
    """
    if not isinstance(facts, dict) or not isinstance(facts.get("args"), dict):
        return None
    check_facts_types(facts)
    if "net" in facts:
        net = checked(facts["net"])
    elif facts.get("dataset") in DATASETS and "drop_rate" in facts["args"]:
        net = _net_of_earlier_record(facts)
    else:
        return None
    mix = facts.get("mix") or ("mixup" if facts.get("mixup") else None)
    name = run_name(net.dataset, net.model, mix if net.dataset in DATASETS else None)
    dtype = facts.get("dtype")
    return TrainedRun(path, name, net, dtype if dtype in DTYPES else "float32", facts["args"])


def checked(content):
    """`NetFacts` from JSON. Raises ValueError for a missing, unknown or impossible value."""
    try:
        net = NetFacts(**content)
    except TypeError as error:
        raise ValueError(f"net: {error}") from error
    names = net.class_names
    words = net.model, net.dataset, net.data_root_hash, net.task
    for name, is_right in (
            ("model, dataset, data_root_hash, task",
             all(isinstance(word, str) and word.isprintable() for word in words)),
            ("switches", isinstance(net.switches, dict)),
            ("classes, input_size, channels", all(type(one) is int and 0 < one <= most for one, most in (
                (net.classes, 1 << 20), (net.input_size, 1 << 12), (net.channels, 3)))),
            ("class_names", names is None or isinstance(names, list) and len(names) == net.classes
             and all(isinstance(word, str) for word in names)),
            ("crop", net.crop in CROPS),
            ("crop_ratio", _are_numbers([net.crop_ratio], 1, above=0)),
            ("rgb_mean", _are_numbers(net.rgb_mean, net.channels)),
            ("rgb_std", _are_numbers(net.rgb_std, net.channels, above=0))):
        if not is_right:
            raise ValueError(f"net: {name} has a value that no training script writes")
    return net._replace(rgb_mean=tuple(net.rgb_mean), rgb_std=tuple(net.rgb_std))


def _are_numbers(values, count, above=-math.inf):
    """Whether JSON has a list of so many finite numbers above a limit."""
    return isinstance(values, (list, tuple)) and len(values) == count and all(
        type(value) in (int, float) and math.isfinite(value) and value > above for value in values)


def _net_of_earlier_record(facts):
    """`NetFacts` from the flags of a run of train_cifar.py whose record does not have them."""
    dataset, flags = facts["dataset"], facts["args"]
    for name in ("model", "data_root_hash"):
        if not isinstance(facts.get(name), str):
            raise ValueError(f"it names no {name}")
    mean, std = Augmentation(colors=flags.get("augment") == "follow-up").normalisation(dataset)
    return cifar_net(dataset, facts["model"], facts.get("model_kwargs", {}), flags["drop_rate"], mean, std,
                     known_names(dataset), facts["data_root_hash"])


def cifar_net(dataset, model, model_kwargs, drop_rate, mean, std, class_names, root_hash):
    """`NetFacts` of a run of train_cifar.py; mean and deviation on the 0..1 scale."""
    known = DATASETS[dataset]
    return NetFacts(model, net_keywords(model, known.channels, model_kwargs, drop_rate), known.classes,
                    class_names, dataset, known.side, known.channels, "center", 1.0,
                    tuple(255 * value for value in mean), tuple(255 * value for value in std), root_hash)
