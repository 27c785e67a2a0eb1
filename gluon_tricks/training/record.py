"""What a run leaves behind besides parameters: GluonCV's log, metrics.jsonl, run.json, a plot, TensorBoard scalars."""

import json
import logging
import math
from pathlib import Path

from gluon_tricks.files import atomic_write
from gluon_tricks.machine import command, environment


def open_log(path, prefix="%(levelname)s:%(name)s:", overwrite=False):
    """Send the root logger to stderr and to a file, as GluonCV's scripts do; `prefix` stands before each line.

    The file is appended to; a half line that a killed run left at its end is closed first.
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
    for handler in (logging.StreamHandler(), logging.FileHandler(path, mode="w" if overwrite else "a")):
        handler.setFormatter(logging.Formatter(f"{prefix}%(message)s"))
        logger.addHandler(handler)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)      # its notes on fonts are no part of a run's log
    return logger


def quiet_log():
    """The root logger of a process that does not write: warnings and errors on stderr, nothing else."""
    logger = logging.getLogger()
    logger.setLevel(logging.WARNING)
    return logger


class NoMetrics:
    """What a process that does not write has instead of `Metrics`."""

    def write(self, kind, num_update, **numbers):
        pass

    def close(self):
        pass


class Metrics:
    """`metrics.jsonl`: a JSON object per log interval (`"kind": "interval"`) and per epoch (`"kind": "epoch"`).

    Parameters
    ----------
    path : path
    resume_from : Progress, optional
        Records of what this run will do again are dropped from the file.
    overwrite : bool
    tensorboard_dir : path, optional
        The same numbers as TensorBoard scalars.
    """

    def __init__(self, path, resume_from=None, overwrite=False, tensorboard_dir=None):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if overwrite:
            atomic_write(self.path, "")
        elif resume_from is not None and self.path.exists():
            atomic_write(self.path, "".join(_still_true(self.path, resume_from)))
        self._stream = open(self.path, "a", encoding="utf-8")      # noqa: SIM115  closed by close()
        self._board = None
        if tensorboard_dir:
            from tensorboardX import SummaryWriter

            purge = resume_from.num_update + 1 if resume_from is not None else None
            self._board = SummaryWriter(str(tensorboard_dir), purge_step=purge)

    def write(self, kind, num_update, **numbers):
        """Add a record; numbers carry their unit in their name."""
        self._stream.write(json.dumps(_json({"kind": kind, "num_update": num_update, **numbers}), allow_nan=False) + "\n")
        self._stream.flush()
        if self._board:
            for name, value in numbers.items():
                self._board.add_scalar(f"{kind}/{name}", value, num_update)

    def close(self):
        self._stream.close()
        if self._board:
            self._board.close()


def _json(value):
    """The value without numbers that JSON has not, such as the accuracy of no image: null."""
    if isinstance(value, dict):
        return {name: _json(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _still_true(path, progress):
    """Lines of a metrics file that the resumed run does not write again; a half line at the end is dropped."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["kind"] == "epoch" and record["epoch"] >= progress.epoch:
            continue
        if record["num_update"] <= progress.num_update:
            yield line


def write_run_json(path, facts):
    """`run.json`: the command and what it ran on, enough to repeat it."""
    atomic_write(path, json.dumps({"command": command(), **facts, **environment()}, indent=1) + "\n")
