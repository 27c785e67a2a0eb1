"""A run on the disk: its log, and the facts and metrics that this kit writes next to it.

The scripts of this kit write LOG.log, and run.json with metrics.jsonl into the folder LOG/ (or, as in
`logs/ours` and by train_faster_rcnn.py, into the folder of the log). A log of GluonCV's scripts stands alone.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Optional, Union

from gluon_tricks.errors import UserError
from gluon_tricks.files import LOGS
from gluon_tricks.log_lines.facts import read_facts
from gluon_tricks.log_lines.reading import RunLog, read_log
from gluon_tricks.log_lines.run_files import read_metrics
from gluon_tricks.log_lines.transfer import TransferLog, read_transfer_log

OURS = LOGS / "ours"
SAME = ("model", "seed", "lr", "batch_size")     # flags in which run.json agrees with the header
SHOWN = 5                                        # names of logs in a message; more are counted


@dataclass(frozen=True)
class RecordedRun:
    """A run, finished or not.

    `facts` and `metrics` are read when they are first asked for, so a damaged file is an error only for
    readers who need it.

    Attributes
    ----------
    name : str
        That of the folder with its one log; else that of the log, without its suffix.
    folder : Path or None
        Where the log lies; None for a bare log.
    log : RunLog or TransferLog
    run_json : Path or None
    """

    name: str
    folder: Optional[Path]
    log: Union[RunLog, TransferLog]
    run_json: Optional[Path]

    @property
    def is_transfer(self):
        """Whether the run is one of detection or segmentation."""
        return isinstance(self.log, TransferLog)

    @property
    def planned_epochs(self):
        """The number of epochs that the log's header names, or None."""
        return self.log.args.get("epochs" if self.is_transfer else "num_epochs")

    @property
    def is_complete(self):
        """Whether the log holds the last of the planned epochs."""
        return bool(self.log.epochs) and self.log.epochs[-1].epoch + 1 == self.planned_epochs

    @cached_property
    def facts(self):
        """The content of run.json: dict, or None for a bare log.

        Raises
        ------
        UserError
            If the file is damaged or of another run than the log.
        """
        if self.run_json is None:
            return None
        facts = read_facts(self.run_json)
        for key in SAME:
            here, logged = (facts.get("args") or {}).get(key), self.log.args.get(key)
            if logged is not None and here != logged:
                raise UserError(f"{self.log.path}: its header says {key} {logged}, {self.run_json} {here}: "
                                "they are not of one run; move one of them away")
        return facts

    @cached_property
    def metrics_file(self):
        """Path of metrics.jsonl, or None."""
        path = self.run_json and self.run_json.with_name("metrics.jsonl")
        return path if path and path.exists() else None

    @cached_property
    def metrics(self):
        """The records of metrics.jsonl: list of dict, or None if there is no such file.

        Raises
        ------
        UserError
            If the file is damaged or of another run than the log.
        """
        if not self.metrics_file:
            return None
        records = read_metrics(self.metrics_file)
        last = max((record["epoch"] for record in records), default=None)
        if last is not None and self.log.epochs and last < self.log.epochs[-1].epoch:
            raise UserError(f"{self.metrics_file}: ends in epoch {last}, {self.log.path} in epoch "
                            f"{self.log.epochs[-1].epoch}: they are not of one run; move one of them away")
        return records


def read_run(path, log=None):
    """Read a run.

    Parameters
    ----------
    path : path
        A folder with one log, the folder LOG/ next to LOG.log, a log of this kit, or a bare log of GluonCV.
    log : path, optional
        The log, if it is not in the folder `path`.

    Returns
    -------
    RecordedRun

    Raises
    ------
    UserError
        If there is no log, more than one, or one that is unusable.
    """
    path = Path(path).expanduser()
    if log is not None and not path.is_dir():
        raise UserError(f"--log {log}: goes with a folder, and {path} is none; give one of the two logs")
    found = Path(log).expanduser() if log else _log_in(path) if path.is_dir() else path
    run_json = _run_json_of(found, path if path.is_dir() else None)
    folder = found.parent if run_json or path.is_dir() else None
    # resolved: the folder "." has no name; several logs in a folder cannot share its name
    name = (folder.resolve().name if folder and find_log(found.parent) else "") or found.stem
    return RecordedRun(name, folder, read_transfer_log(found) or read_log(found), run_json)


def find_log(folder):
    """The log in a run's folder; None if there is none or more than one."""
    logs = sorted(Path(folder).glob("*.log"))
    return logs[0] if len(logs) == 1 else None


def _log_in(folder):
    """The one log of a folder."""
    logs = sorted(folder.glob("*.log"))
    beside = folder.resolve().with_name(f"{folder.resolve().name}.log")
    if not logs and beside.is_file():
        logs = [folder.with_name(beside.name) if folder.name else beside]
    if not logs:
        raise UserError(f"{folder}: has no log (a file *.log); give the folder of a run, or its log")
    if len(logs) > 1:
        names = ", ".join(log.name for log in logs[:SHOWN])
        more = f" and {len(logs) - SHOWN} more" if len(logs) > SHOWN else ""
        raise UserError(f"{folder}: has {len(logs)} logs ({names}{more}); give one of them, as {logs[0]}")
    return logs[0]


def _run_json_of(log, folder):
    """The run.json of a log; that of the log's folder only if no other log lies there."""
    only = find_log(log.parent)
    places = [log.with_suffix(""), *([folder] if folder else []), *([log.parent] if only else [])]
    return next((place / "run.json" for place in places if (place / "run.json").exists()), None)
