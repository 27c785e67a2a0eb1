"""The record of a run of train_cifar.py, found by its parameters.

The facts of a run are in `run.json`, in the folder of the log, and in the resume file next to the parameters.
`evaluate`, `export` and `--teacher` read from them what a `.params` file does not have: the net's switches,
the images' channels and normalisation.
"""

import json
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.errors import UserError
from gluon_tricks.models.from_flags import net_keywords
from gluon_tricks.saved.names import run_name, run_name_of
from gluon_tricks.training import checkpoint

# --- Records ------------------------------------------------------------------------------------------------

class TrainedRun(NamedTuple):
    """The recorded facts of the run that wrote some parameters."""
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
        """Arguments of `get_model` other than the name and the number of classes."""
        return net_keywords(self.model, DATASETS[self.dataset].channels, self.model_kwargs, self.drop_rate)


def find_run(params_file, record=None):
    """The run that wrote a parameter file.

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
        If the record cannot be read; if `record` is not from train_cifar.py, or of another run by the file's
        name.
    """
    params_file, name = Path(params_file).expanduser(), run_name_of(params_file)
    if record:
        run = read_run(Path(record).expanduser())
        if run is None:
            raise UserError(f"--run-json {record}: is no record of train_cifar.py")
        if name not in (None, run.name):
            raise UserError(f"--run-json {record}: is of the run {run.name}, and {params_file.name} is none "
                            "of its files")
        return run
    for path in ([params_file.with_name(f"{name}.resume.npz")] if name
                 else []) + [params_file.with_name("run.json")]:
        try:
            run = read_run(path) if path.is_file() else None
        except UserError as error:
            raise UserError(f"{params_file}: the record next to it, which names its net and data, is damaged "
                            f"({error}); put a whole one there, or remove it") from error
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
        facts = checkpoint.read_meta(path)[0] if path.suffix == ".npz" else json.loads(
            path.read_text(encoding="utf-8"))
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"--run-json {path}: cannot be read ({error})") from error
    if not isinstance(facts,
                      dict) or facts.get("dataset") not in DATASETS or "drop_rate" not in facts.get("args",
                                                                                                    {}):
        return None
    flags = facts["args"]
    mix = facts.get("mix") or ("mixup" if facts["mixup"] else None)
    return TrainedRun(path, run_name(facts["dataset"], facts["model"], mix), facts["model"], facts["dataset"],
                      facts.get("model_kwargs", {}), flags["drop_rate"], flags.get("augment", "gluoncv"),
                      facts["dtype"], flags.get("use_amx", True), flags["batch_size"], flags.get("data_dir"),
                      facts["data_root_hash"])
