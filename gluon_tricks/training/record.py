"""The records of a run: GluonCV's log, metrics.jsonl, run.json, TensorBoard scalars, and NAME.json next to
each NAME.params."""

import json
import logging
import math
from pathlib import Path

from gluon_tricks.errors import UserError
from gluon_tricks.files import LineFile, atomic_write, keep_aside, sha256_of
from gluon_tricks.log_lines.run_files import metrics_lines
from gluon_tricks.machine import command, environment
from gluon_tricks.training.log_handlers import ConsoleLines, FileLines


def open_log(path, prefix="%(levelname)s:%(name)s:", overwrite=False):
    """Send the root logger to stderr and to a file, as GluonCV's scripts do, with `prefix` before each line.

    Appends to the file. If a killed run left an incomplete last line, a newline is added first.
    """
    path = Path(path)
    if path.exists() and not overwrite and path.read_bytes()[-1:] not in (b"", b"\n"):
        with open(path, "ab") as stream:
            stream.write(b"\n")
    logger = logging.getLogger()
    logger.setLevel(logging.INFO)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    for handler in (ConsoleLines(), FileLines(path, overwrite)):
        handler.setFormatter(logging.Formatter(f"{prefix}%(message)s"))
        logger.addHandler(handler)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)      # keeps its notes on fonts out of the log
    return logger


def quiet_log():
    """The root logger of a process that does not write: only warnings and errors, on stderr."""
    logger = logging.getLogger()
    logger.setLevel(logging.WARNING)
    return logger


class NoMetrics:
    """Replaces `Metrics` in a process that does not write."""

    def write(self, kind, num_update, **numbers):
        pass

    def close(self):
        pass


class Metrics:
    """`metrics.jsonl`: one JSON object per log interval ("kind": "interval") and per epoch ("kind": "epoch").

    Parameters
    ----------
    path : path
    resume_from : Progress, optional
        Records after this point are removed from the file: the run writes them again.
    overwrite : bool
    tensorboard_dir : path, optional
        The same numbers as TensorBoard scalars.
    """

    def __init__(self, path, resume_from=None, overwrite=False, tensorboard_dir=None):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and not self.path.is_file():
            raise UserError(f"{self.path}: is no file, and the run's metrics go there; move it away, or give "
                            f"another --json-log")
        if overwrite:
            atomic_write(self.path, "")
        elif resume_from is not None and self.path.exists():
            self._shorten(resume_from)
        self._lines = LineFile(self.path)
        self._board = None
        if tensorboard_dir:
            from tensorboardX import SummaryWriter

            done = None if resume_from is None else resume_from.num_update
            # the name of a file has the second only: a run resumed in the same one would replace it
            self._board = SummaryWriter(str(tensorboard_dir), purge_step=None if done is None else done + 1,
                                        filename_suffix=f".after-{done or 0}-updates")

    def _shorten(self, progress):
        """Keep the complete lines that a resumed run does not write again; put a damaged file aside."""
        kept, damaged, first = [], 0, ""
        for number, line, record, reason in metrics_lines(self.path):
            if reason or "num_update" not in record:
                damaged, first = damaged + 1, first or f"line {number} {reason or 'has no update'}"
            elif record["num_update"] <= progress.num_update and not (record["kind"] == "epoch"
                                                                      and record["epoch"] >= progress.epoch):
                kept.append(line.rstrip(b"\n") + b"\n")
        if damaged:
            aside = keep_aside(self.path)
            logging.getLogger().info(f"warning: {self.path}: {first} (damaged lines: {damaged}); the file is "
                                     f"kept as {aside}, and its whole lines are used")
        atomic_write(self.path, kept)

    def write(self, kind, num_update, **numbers):
        """Add a record. The names of numbers contain their units."""
        record = {"kind": kind, "num_update": num_update, **numbers}
        self._lines.add(json.dumps(_json(record), allow_nan=False))
        if kind == "epoch":
            self._lines.sync()
        if self._board:
            for name, value in _scalars(numbers):
                self._board.add_scalar(f"{kind}/{name}", value, num_update)

    def close(self):
        self._lines.close()
        if self._board:
            self._board.close()


def _scalars(numbers):
    """Yield the names and values of a record's finite numbers; those of each class, in a dict, as
    `classes/NAME`. TensorBoard cannot draw others, and tensorboardX would write a warning to the log."""
    for name, value in numbers.items():
        parts = {f"{name}/{inner}": one for inner, one in value.items()} if isinstance(value, dict) else {
            name: value}
        yield from ((part, one) for part, one in parts.items() if one is not None and math.isfinite(one))


def _json(value):
    """The value with null for numbers that JSON lacks, such as the accuracy (nan) over no image."""
    if isinstance(value, dict):
        return {name: _json(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_record(facts):
    """The content of `run.json`: command, facts and environment, enough to repeat the run."""
    return {"command": command(), **facts, **environment()}


def write_record(path, record):
    """Write `run.json`, or a record with the same content."""
    atomic_write(path, json.dumps(record, indent=1) + "\n")


def write_params_record(params_file, record):
    """Write the record of a `.params` file next to it, NAME.json: that of the run, and the file's SHA-256."""
    params_file = Path(params_file)
    write_record(params_file.with_suffix(".json"), {**record, "params_sha256": sha256_of(params_file)})
