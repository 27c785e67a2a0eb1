"""GluonCV's log lines: the one place that writes and reads them, so that `parse_line(str(line)) == line`.

Each kind of line is a small class with a template; the text it writes and the pattern that reads it back both come
from that template. Numbers have the decimals of GluonCV's `%f`, so a value comes back rounded to six of them, and
a line cut short in the middle of its last number is no line at all.

    [Epoch 0] train=0.467608 val=0.558900 loss=1.452417 time: 16.450441

GluonCV's scripts speak four dialects, which share most kinds:

    train_imagenet.py   A  2018-06 to 2018-08, `INFO:root:` before each line, errors: `top1-err`, `err-top1`
                        B  to 2021-04, bare lines, `accuracy` or `rmse`; `Batch [49]` is an index
                        C  since then, as B, but `Batch [50]` is a count; `time cost` leaves validation out
    CIFAR scripts          `INFO:root:` before each line; `train=` is the RMSE in the mixup script
    train_horovod.py       also mpirun's `[1,0]<stderr>:`; accuracies instead of errors

Prefixes belong to the logger: they are skipped in reading and not part of a line's text.
"""

import ast
import re
import string
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, NamedTuple, Optional

from gluon_tricks.errors import UserError

PREFIX = re.compile(r"(?:\[\d+,\d+\]<std(?:err|out)>:)?(?:INFO:root:)?")
UNMATCHED_KEPT = 1000          # lines of a log that are shown, not only counted, when nothing knows them

# What a template's placeholder looks like in a log, and how its text becomes a value.
_PLACEHOLDERS = {
    "d": (r"\d{1,18}", int),
    "f": (r"-?(?:\d+\.\d{6}|inf|nan)", float),
    ".3f": (r"-?(?:\d+\.\d{3}|inf|nan)", float),
    ".2f": (r"-?(?:\d+\.\d{2}|inf|nan)", float),
    "": (r"accuracy|rmse|top1-err|err-top1", str),        # the name of a metric
}


# --- The kinds of lines ---------------------------------------------------------------------------------------------

class Line:
    """A line of a log: written with `str(line)`, read with `parse_line(text)`."""

    kind: ClassVar[str]
    template: ClassVar[str]
    pattern: ClassVar[re.Pattern]
    converters: ClassVar[dict]

    def __init_subclass__(cls):
        if "template" not in vars(cls):        # the header has no template
            return
        pattern, cls.converters = "", {}
        for text, name, spec, _ in string.Formatter().parse(cls.template):
            pattern += re.escape(text)
            if name:
                expression, cls.converters[name] = _PLACEHOLDERS[spec]
                pattern += f"(?P<{name}>{expression})"
        cls.pattern = re.compile(pattern)

    def __str__(self):
        return self.template.format(**{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def parse(cls, text):
        """The line that `text` (without a prefix) holds, or None."""
        match = cls.pattern.fullmatch(text)
        return match and cls(**{name: cls.converters[name](value) for name, value in match.groupdict().items()})

    def facts(self):
        """What the line says about its epoch, as fields of `EpochRecord`."""
        return {}


@dataclass(frozen=True)
class Namespace(Line):
    """The run's arguments, first in the log: `Namespace(batch_size=128, lr=0.1, ...)`, keys in alphabetical order.

    Values that are no Python literals (a path object, say) come back as their text.
    """

    kind: ClassVar[str] = "namespace"
    args: dict

    def __str__(self):
        assert all(key.isidentifier() for key in self.args), "argparse gives identifiers"
        return f"Namespace({', '.join(f'{key}={self.args[key]!r}' for key in sorted(self.args))})"

    @classmethod
    def parse(cls, text):
        if not (text.startswith("Namespace(") and text.endswith(")")):
            return None
        try:
            call = ast.parse(text, mode="eval").body
            keywords_only = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args
            if not keywords_only or any(keyword.arg is None for keyword in call.keywords):
                return None
            return cls({keyword.arg: _literal(keyword.value) for keyword in call.keywords})
        except (SyntaxError, ValueError, RecursionError, MemoryError):      # cut short, or not Python at all
            return None


def _literal(node):
    """The value of a Python literal, in which `nan` and `inf` are floats; anything else stays text."""
    try:
        return ast.literal_eval(_FloatNames().visit(node))
    except ValueError:
        return ast.unparse(node)


class _FloatNames(ast.NodeTransformer):
    def visit_Name(self, node):
        return ast.Constant(float(node.id)) if node.id in ("nan", "inf") else node


@dataclass(frozen=True)
class CifarEpoch(Line):
    """One epoch of both CIFAR scripts. `train` is the accuracy, or the RMSE with mixup; `val` is the accuracy."""

    kind: ClassVar[str] = "cifar_epoch"
    template: ClassVar[str] = "[Epoch {epoch:d}] train={train:f} val={val:f} loss={loss:f} time: {time_s:f}"
    epoch: int
    train: float
    val: float
    loss: float
    time_s: float

    def facts(self):
        return {"train_metric": self.train, "train_loss": self.loss, "val_err_top1": _complement(self.val),
                "time_s": self.time_s}


@dataclass(frozen=True)
class ImagenetBatch(Line):
    """Every `--log-interval` batches. `value` averages from the epoch's start, the speed only since the last line."""

    kind: ClassVar[str] = "imagenet_batch"
    template: ClassVar[str] = ("Epoch[{epoch:d}] Batch [{batch:d}]\tSpeed: {samples_per_s:f} samples/sec"
                               "\t{metric}={value:f}\tlr={lr:f}")
    epoch: int
    batch: int
    samples_per_s: float
    metric: str
    value: float
    lr: float

    def facts(self):
        return {"train_metric_name": self.metric, "lr_last_logged": self.lr, "last_batch_logged": self.batch}


@dataclass(frozen=True)
class ImagenetTrain(Line):
    """The training metric of a whole epoch."""

    kind: ClassVar[str] = "imagenet_train"
    template: ClassVar[str] = "[Epoch {epoch:d}] training: {metric}={value:f}"
    epoch: int
    metric: str
    value: float

    def facts(self):
        return {"train_metric_name": self.metric, "train_metric": self.value}


@dataclass(frozen=True)
class ImagenetSpeed(Line):
    """Training speed of an epoch; `time_s` holds validation too in dialects A and B."""

    kind: ClassVar[str] = "imagenet_speed"
    template: ClassVar[str] = "[Epoch {epoch:d}] speed: {samples_per_s:d} samples/sec\ttime cost: {time_s:f}"
    epoch: int
    samples_per_s: int
    time_s: float

    def facts(self):
        return {"samples_per_sec": self.samples_per_s, "time_s": self.time_s}


@dataclass(frozen=True)
class ImagenetValidation(Line):
    """Errors, as fractions, over the samples of that validation pass."""

    kind: ClassVar[str] = "imagenet_val"
    template: ClassVar[str] = "[Epoch {epoch:d}] validation: err-top1={err_top1:f} err-top5={err_top5:f}"
    epoch: int
    err_top1: float
    err_top5: float

    def facts(self):
        return {"val_err_top1": self.err_top1, "val_err_top5": self.err_top5}


@dataclass(frozen=True)
class TotalTime(Line):
    """Last line of dialect C."""

    kind: ClassVar[str] = "imagenet_total"
    template: ClassVar[str] = "Training time for {epochs:d} epochs: {time_s:f} sec."
    epochs: int
    time_s: float


@dataclass(frozen=True)
class HorovodLoss(Line):
    """The running loss; batches count from 1 in this script."""

    kind: ClassVar[str] = "hvd_loss"
    template: ClassVar[str] = "Epoch[{epoch:d}] Batch[{batch:d}] Loss[{loss:.3f}]"
    epoch: int
    batch: int
    loss: float


@dataclass(frozen=True)
class HorovodBatch(Line):
    """The running metric and the rate, over all workers."""

    kind: ClassVar[str] = "hvd_batch"
    template: ClassVar[str] = "Epoch[{epoch:d}] Rank[{rank:d}] Batch[{batch:d}]\t{metric}={value:f}\tlr={lr:f}"
    epoch: int
    rank: int
    batch: int
    metric: str
    value: float
    lr: float

    def facts(self):
        return {"train_metric_name": self.metric, "lr_last_logged": self.lr, "last_batch_logged": self.batch}


@dataclass(frozen=True)
class HorovodTrain(Line):
    """The training metric of a whole epoch and the time it took, without validation."""

    kind: ClassVar[str] = "hvd_epoch"
    template: ClassVar[str] = ("Epoch[{epoch:d}] Rank[{rank:d}] Batch[{batch:d}]"
                               "\tTime cost={time_s:.2f}\tTrain-metric={value:f}")
    epoch: int
    rank: int
    batch: int
    time_s: float
    value: float

    def facts(self):
        return {"train_metric": self.value, "time_s": self.time_s}


@dataclass(frozen=True)
class HorovodSpeed(Line):
    """Training speed of an epoch, all workers together."""

    kind: ClassVar[str] = "hvd_speed"
    template: ClassVar[str] = "Epoch[{epoch:d}]\tSpeed: {samples_per_s:.2f} samples/sec"
    epoch: int
    samples_per_s: float

    def facts(self):
        return {"samples_per_sec": self.samples_per_s}


@dataclass(frozen=True)
class HorovodValidation(Line):
    """Accuracies, not errors; only every `--eval-frequency` epochs, and twice for the last."""

    kind: ClassVar[str] = "hvd_val"
    template: ClassVar[str] = ("Epoch[{epoch:d}] Rank[{rank:d}]\tValidation-accuracy={top1:f}"
                               "\tValidation-top_k_accuracy_5={top5:f}")
    epoch: int
    rank: int
    top1: float
    top5: float

    def facts(self):
        return {"val_err_top1": _complement(self.top1), "val_err_top5": _complement(self.top5)}


KINDS = (ImagenetBatch, ImagenetTrain, ImagenetSpeed, ImagenetValidation, CifarEpoch, Namespace, TotalTime,
         HorovodLoss, HorovodBatch, HorovodTrain, HorovodSpeed, HorovodValidation)

# What stands in logs beside GluonCV's lines. A `note` is free text of the program that wrote the log.
NOISE = {
    "mxnet_native": re.compile(r"(?:\[\d+,\d+\]<std(?:err|out)>:)?\[\d\d:\d\d:\d\d\] \S+: .*"),
    "command_echo": re.compile(r"python3? \S+\.py .*"),
    "autoaugment_print": re.compile(r"\[\d+,\d+\]<stdout>:Using AutoAugment"),
    "network_repr": re.compile(r"\[\d+,\d+\]<stderr>:(?:INFO:root:\w+\(| *\(\w+\): .*| *\))"),
    "mpi_banner": re.compile(r"-{40,}|WARNING: Linux kernel CMA .*|btl_vader\S* .*|not available due .*"
                             r"|The vader shared .*|mechanism if one .*|  Local host: .*|\[ip-[\d-]+:\d+\] .*"
                             r"|\[\d+,\d+\]<stderr>:\[ip-[\d-]+\].*"),
    "note": re.compile(r"(?:(?:INFO|WARNING):root:)(?!Namespace\(|\[Epoch|Epoch\[).*"
                       r"|(?:note|warning|resumed at|global batch)\b.*"),
    "blank": re.compile(r"\s*"),
}


def parse_line(text):
    """The line that `text` holds, with or without a logger's prefix, or None if it is none of GluonCV's."""
    bare = text[PREFIX.match(text).end():]
    for kind in KINDS:
        line = kind.parse(bare)
        if line is not None:
            return line
    return None


def noise_kind(text):
    """The name of the noise that `text` is, or None."""
    return next((name for name, pattern in NOISE.items() if pattern.fullmatch(text)), None)


def namespace_line(args):
    """The header of a run: `Namespace(batch_size=128, ..., wd=0.0001)`.

    Parameters
    ----------
    args : dict
        Names and values, as `vars(parser.parse_args())` gives them.
    """
    return str(Namespace(dict(args)))


def cifar_epoch_line(epoch, train, val, loss, time_s):
    """An epoch as the CIFAR scripts print it; the logger adds `INFO:root:`."""
    return str(CifarEpoch(epoch, train, val, loss, time_s))


# --- Whole logs -----------------------------------------------------------------------------------------------------

class EpochRecord(NamedTuple):
    """One epoch of a run. None stands for what the script does not print; errors are fractions.

    `train_metric` is what the log printed: an 'accuracy', an 'err-top1' (dialect A) or, with mixup, an 'rmse'.
    """

    epoch: int
    train_metric_name: str
    train_metric: Optional[float] = None
    train_loss: Optional[float] = None
    val_err_top1: Optional[float] = None
    val_err_top5: Optional[float] = None
    samples_per_sec: Optional[float] = None
    time_s: Optional[float] = None
    lr_last_logged: Optional[float] = None
    last_batch_logged: Optional[int] = None


@dataclass
class RunLog:
    """A log as far as it is written.

    Attributes
    ----------
    path : Path
    style : 'cifar', 'imagenet-A', 'imagenet-B', 'imagenet-C' or 'horovod'
    args : dict
        The last header that epoch data follow; empty if there is none.
    headers : int
        More than one if the run was resumed or started anew.
    epochs : list of EpochRecord
        Those that count, in order.
    counts : dict
        Lines of each kind, of noise, 'unmatched' and 'half' (the end of a log that is still being written).
    unmatched : list of (line number, text)
        The first lines that nothing knows.
    resumed_at : list of int
        Epochs that were begun, or gone on with, under a later header than the epoch before.
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
    """Read a log of any of GluonCV's classification scripts or of this kit, finished or still being written.

    A line about epoch e counts instead of everything said earlier about epochs from e on, so a log into which
    several attempts were appended, or a run with all its resumptions, reads as the one run it ended up to be.

    Returns
    -------
    RunLog

    Raises
    ------
    UserError
        If the file cannot be read, is not text, or holds no finished epoch.
    """
    path = Path(path)
    counts, unmatched, epochs = Counter(), [], _Epochs()
    args, newest_header, style = {}, {}, None
    for number, text, ended in _lines(path):
        line = parse_line(text)
        if line is None:
            kind = noise_kind(text) if ended else "half"
            counts[kind or "unmatched"] += 1
            if kind is None and len(unmatched) < UNMATCHED_KEPT:
                unmatched.append((number, text))
            continue
        counts[line.kind] += 1
        if isinstance(line, Namespace):
            newest_header = line.args
            epochs.attempt += 1
        elif not isinstance(line, TotalTime):
            args = newest_header
            style = style or _style(line, args)
            epochs.add(line, args)
    records = epochs.records()
    if not records:
        raise UserError(f"{path}: no finished epoch in this file ({sum(counts.values())} lines); give the log of a run "
                        "of train_cifar.py or train_imagenet.py that has ended its first epoch")
    return RunLog(path, style, args, counts["namespace"], records, dict(counts), unmatched, epochs.resumed_at())


def _lines(path):
    """(line number, text, whether it ends with a newline) of a text file."""
    try:
        with open(path, "rb") as stream:
            if b"\0" in stream.read(4096):
                raise UserError(f"{path}: not a text file; give the .log file of a run")
        with open(path, encoding="utf-8", errors="replace") as stream:
            for number, text in enumerate(stream, start=1):
                yield number, text.rstrip("\n"), text.endswith("\n")
    except IsADirectoryError:
        raise UserError(f"{path}: a directory; give the .log file in it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the .log file of a run") from None


def _style(line, args):
    """Which script, and which dialect of it, a log's first line about an epoch comes from."""
    if isinstance(line, CifarEpoch):
        return "cifar"
    if line.kind.startswith("hvd"):
        return "horovod"
    if getattr(line, "metric", "") in ("top1-err", "err-top1"):
        return "imagenet-A"
    counts_from_1 = isinstance(line, ImagenetBatch) and line.batch == args.get("log_interval", 50)
    return "imagenet-C" if counts_from_1 else "imagenet-B"


class _Epochs:
    """Epoch records in the making; knows which lines replace which."""

    def __init__(self):
        self.attempt = 0               # grows with each header
        self._records = {}             # epoch -> (attempt, EpochRecord)

    def add(self, line, args):
        """Note what `line` says of its epoch, after dropping what an earlier attempt said of it and of later ones."""
        attempt, record = self._records.get(line.epoch, (None, None))
        same_epoch_goes_on = attempt == self.attempt and line.epoch == max(self._records)
        if isinstance(line, CifarEpoch) or not same_epoch_goes_on:
            self._records = {epoch: known for epoch, known in self._records.items() if epoch < line.epoch}
            record = EpochRecord(line.epoch, cifar_train_metric(args))
        self._records[line.epoch] = self.attempt, record._replace(**line.facts())

    def resumed_at(self):
        """Epochs whose attempt is not that of the epoch before."""
        attempts = [(epoch, attempt) for epoch, (attempt, _) in sorted(self._records.items())]
        return [epoch for (_, before), (epoch, attempt) in zip(attempts, attempts[1:]) if attempt != before]

    def records(self):
        """The finished epochs, in order."""
        return [record for _, (_, record) in sorted(self._records.items()) if record.train_metric is not None]


def _complement(fraction):
    """1 - accuracy, with the six decimals that the log has."""
    return round(1 - fraction, 6)


def cifar_is_mixup(args):
    """Whether a CIFAR header belongs to a run with mixup.

    This kit's header says so; of GluonCV's two scripts only the mixup one has `--logging-dir`.
    """
    return bool(args["mixup"]) if "mixup" in args else "logging_dir" in args


def cifar_train_metric(args):
    """What a CIFAR log calls `train=`: the RMSE with mixup, else accuracy against the labels as they were."""
    return "rmse" if cifar_is_mixup(args) else "accuracy"
