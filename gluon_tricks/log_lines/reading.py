"""Read a whole log, of this kit or of GluonCV's scripts, into epochs."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.epochs import EpochRecord, cifar_train_metric
from gluon_tricks.log_lines.headers import checked_flags
from gluon_tricks.log_lines.lines import (
    CifarEpoch,
    ImagenetBatch,
    Namespace,
    TotalTime,
    noise_kind,
    parse_line,
)
from gluon_tricks.log_lines.text import lines_of

UNMATCHED_KEPT = 1000          # lines of no known kind that `RunLog.unmatched` holds; more are only counted


class NoEpoch(UserError):
    """A log has no finished epoch, perhaps not yet."""


@dataclass
class RunLog:
    """A log, finished or not.

    Attributes
    ----------
    path : Path
    style : 'cifar', 'imagenet-A', 'imagenet-B', 'imagenet-C' or 'horovod'
    args : dict
        The last header with epochs after it; empty if there is none.
    headers : int
        More than one if the run was resumed or started again.
    epochs : list of EpochRecord
        Finished epochs in order, without those that a later attempt replaced.
    counts : dict
        Number of lines of each kind, of noise, 'unmatched' and 'half' (a last line without its end).
    unmatched : list of (line number, text)
        The first lines of no known kind.
    resumed_at : list of int
        Epochs that were begun or continued under a later header than the epoch before.
    """

    path: Path
    style: str
    args: dict
    headers: int
    epochs: list
    counts: dict
    unmatched: list = field(default_factory=list)
    resumed_at: list = field(default_factory=list)


def read_log(path):
    """Read a log of any of GluonCV's classification scripts or of this kit, finished or not.

    A line about epoch e replaces all lines of earlier attempts about epoch e and later ones. A log of several
    attempts, or of a run that was resumed, is therefore read as one run.

    Returns
    -------
    RunLog

    Raises
    ------
    UserError
        If the file cannot be read, is not text, or holds no finished epoch (`NoEpoch`); or if its header has
        a number or text that no run can have had.
    """
    path = Path(path)
    counts, unmatched, epochs = Counter(), [], _Epochs()
    flags, newest_header, style = {}, {}, None
    for number, text, ended in lines_of(path):
        line = parse_line(text)
        if line is None:
            kind = noise_kind(text) if ended else "half"
            counts[kind or "unmatched"] += 1
            if kind is None and len(unmatched) < UNMATCHED_KEPT:
                unmatched.append((number, text))
            continue
        counts[line.kind] += 1
        if isinstance(line, Namespace):
            newest_header = checked_flags(line.args, f"{path}: line {number}, Namespace")
            epochs.attempt += 1
        elif not isinstance(line, TotalTime):
            flags = newest_header
            style = style or _style(line, flags)
            epochs.add(line, flags)
    records = epochs.records()
    if not records:
        raise NoEpoch(f"{path}: no finished epoch in this file ({sum(counts.values())} lines); give the log "
                      f"of a run of train_cifar.py or train_imagenet.py that has finished its first epoch")
    return RunLog(path, style, flags, counts["namespace"], records, dict(counts), unmatched,
                  epochs.resumed_at())


def _style(line, flags):
    """The script, and its dialect, that wrote a log's first line about an epoch."""
    if isinstance(line, CifarEpoch):
        return "cifar"
    if line.kind.startswith("hvd"):
        return "horovod"
    if getattr(line, "metric", "") in ("top1-err", "err-top1"):
        return "imagenet-A"
    counts_from_1 = isinstance(line, ImagenetBatch) and line.batch == flags.get("log_interval", 50)
    return "imagenet-C" if counts_from_1 else "imagenet-B"


class _Epochs:
    """Collects lines into epoch records; those of a new attempt replace those of earlier ones."""

    def __init__(self):
        self.attempt = 0               # grows with each header
        self._records = {}             # epoch -> (attempt, EpochRecord), in ascending order

    def add(self, line, flags):
        """Add the figures of `line` to its epoch; drop what an earlier attempt wrote of it and later ones."""
        attempt, record = self._records.get(line.epoch, (None, None))
        newest = next(reversed(self._records), None)
        if isinstance(line, CifarEpoch) or attempt != self.attempt or line.epoch != newest:
            while self._records and next(reversed(self._records)) >= line.epoch:
                self._records.popitem()
            record = EpochRecord(line.epoch, cifar_train_metric(flags))
        self._records[line.epoch] = self.attempt, record._replace(**line.facts())

    def resumed_at(self):
        """Epochs of another attempt than the epoch before."""
        attempts = [(epoch, attempt) for epoch, (attempt, _) in self._records.items()]
        return [epoch for (_, before), (epoch, attempt) in zip(attempts, attempts[1:]) if attempt != before]

    def records(self):
        """The finished epochs, in order."""
        return [record for _, record in self._records.values() if record.train_metric is not None]
