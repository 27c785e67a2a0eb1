"""The net of a run of train_cifar.py: made from its flags, or, once it is trained, from the record that the run left.

A run's facts lie in `run.json`, wherever the log is, and in the resume file beside the parameters. `evaluate`, `export` and
`--teacher` take from them what a `.params` file does not say: the net's switches, the images' channels, how they were
normalised.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.errors import UserError
from gluon_tricks.models.from_flags import net_keywords
from gluon_tricks.training import checkpoint

# --- Names of files -------------------------------------------------------------------------------------------------

def run_name(dataset, model, mix=None):
    """`cifar10-cifar_resnet20_v1_mixup`: how the parameters and the resume file of a run are called.

    GluonCV's names; what is mixed otherwise than by mixup has its own.
    """
    return f"{dataset.removesuffix('-excerpt')}-{model}" + (f"_{mix.replace('+', '_')}" if mix else "")


def run_name_of(params_file):
    """The same, read from a parameter file's name; None if it is not one of the two that a run gives.

    GluonCV calls the best parameters of a run on CIFAR-10 `0.9123-cifar-...`.
    """
    match = re.fullmatch(r"(?:(?P<val>\d\.\d{4})-)?(?P<run>.+)-\d+(?P<best>-best)?\.params", Path(params_file).name)
    if not match or bool(match["val"]) != bool(match["best"]):
        return None
    return re.sub("^cifar-", "cifar10-", match["run"])


# --- Records --------------------------------------------------------------------------------------------------------

class TrainedRun(NamedTuple):
    """What is known of the run that left some parameters."""
    path: Path               # of the record
    name: str                # of its files: see `run_name`
    model: str
    dataset: str
    model_kwargs: dict
    drop_rate: float
    augment: str             # "gluoncv" or "follow-up", which decides the normalisation
    dtype: str
    use_amx: bool
    batch_size: int          # per device
    data_dir: str            # None: the default place
    root_hash: str

    @property
    def keywords(self):
        """What `get_model` was given besides the name and the number of classes."""
        return net_keywords(self.model, DATASETS[self.dataset].channels, self.model_kwargs, self.drop_rate)


def find_run(params_file, record=None):
    """The run that left a parameter file.

    Parameters
    ----------
    params_file : path
    record : path, optional
        Its run.json or resume file. Default: the resume file of its name or run.json, in the same folder.

    Returns
    -------
    TrainedRun or None
        None if there is no record, or none of train_cifar.py, and `record` was not given.

    Raises
    ------
    UserError
        If the record cannot be read; if `record` is none of train_cifar.py, or of another run by the file's name.
    """
    params_file, name = Path(params_file).expanduser(), run_name_of(params_file)
    if record:
        run = read_run(Path(record).expanduser())
        if run is None:
            raise UserError(f"--run-json {record}: is no record of train_cifar.py")
        if name not in (None, run.name):
            raise UserError(f"--run-json {record}: is of the run {run.name}, and {params_file.name} is none of its files")
        return run
    for path in ([params_file.with_name(f"{name}.resume.npz")] if name else []) + [params_file.with_name("run.json")]:
        try:
            run = read_run(path) if path.is_file() else None
        except UserError as error:
            raise UserError(f"{params_file}: the record beside it, which says how it was trained, is damaged ({error}); put "
                            f"a whole one there, or remove it") from error
        if run and name in (None, run.name):
            return run
    return None


def read_run(path):
    """The `TrainedRun` in a record; None if another script wrote it.

    Raises
    ------
    UserError
        If it is missing or damaged.
    """
    try:
        facts = checkpoint.read_meta(path)[0] if path.suffix == ".npz" else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"--run-json {path}: cannot be read ({error})") from error
    if not isinstance(facts, dict) or facts.get("dataset") not in DATASETS or "drop_rate" not in facts.get("args", {}):
        return None
    args = facts["args"]
    mix = facts.get("mix") or ("mixup" if facts["mixup"] else None)
    return TrainedRun(path, run_name(facts["dataset"], facts["model"], mix), facts["model"], facts["dataset"],
                      facts.get("model_kwargs", {}), args["drop_rate"], args.get("augment", "gluoncv"), facts["dtype"],
                      args.get("use_amx", True), args["batch_size"], args.get("data_dir"), facts["data_root_hash"])
