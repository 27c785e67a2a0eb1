"""GluonCV's log lines, written and read here alone, so that `parse_line(str(line)) == line`.

Each kind of line is a small class with a template. The text that it writes and the pattern that reads the
text are both made from that template. Numbers have the decimals of GluonCV's `%f`, so a value is read back
rounded to six decimals, and a line that ends within its last number is not read.

    [Epoch 0] train=0.467608 val=0.558900 loss=1.452417 time: 16.450441

GluonCV's scripts speak four dialects, which share most kinds:

    train_imagenet.py   A  2018-06 to 2018-08, `INFO:root:` before each line, errors: `top1-err`, `err-top1`
                        B  to 2021-04, bare lines, `accuracy` or `rmse`; `Batch [49]` is an index
                        C  since then, as B, but `Batch [50]` is a count; `time cost` leaves validation out
    CIFAR scripts          `INFO:root:` before each line; `train=` is the RMSE in the mixup script
    train_horovod.py       also mpirun's `[1,0]<stderr>:`; accuracies instead of errors

A prefix belongs to the logger. The reader skips it (`text.without_prefix`); it is no part of a line's text.
"""

import ast
import re
import string
import warnings
from dataclasses import dataclass, fields
from typing import ClassVar

from gluon_tricks.log_lines.text import without_prefix

LONGEST_HEADER = 50_000       # characters

# Format of a template's placeholder -> how its value looks in a log, and how that text becomes the value.
PLACEHOLDERS = {
    "d": (r"\d{1,18}", int),
    "f": (r"-?(?:\d+\.\d{6}|inf|nan)", float),
    ".3f": (r"-?(?:\d+\.\d{3}|inf|nan)", float),
    ".2f": (r"-?(?:\d+\.\d{2}|inf|nan)", float),
    "": (r"accuracy|rmse|top1-err|err-top1", str),        # the name of a metric
}


def _complement(fraction):
    """1 - accuracy, with the six decimals of the log."""
    return round(1 - fraction, 6)


# --- The kinds of lines -------------------------------------------------------------------------------------

class Line:
    """A line of a log: written with `str(line)`, read with `parse_line(text)`."""

    kind: ClassVar[str]
    template: ClassVar[str]
    placeholders: ClassVar[dict] = PLACEHOLDERS
    pattern: ClassVar[re.Pattern]
    converters: ClassVar[dict]

    def __init_subclass__(cls):
        if "template" not in vars(cls):        # the header has no template
            return
        pattern, cls.converters = "", {}
        for text, name, spec, _ in string.Formatter().parse(cls.template):
            pattern += re.escape(text)
            if name:
                expression, cls.converters[name] = cls.placeholders[spec]
                pattern += f"(?P<{name}>{expression})"
        cls.pattern = re.compile(pattern)

    def __str__(self):
        return self.template.format(**{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def parse(cls, text):
        """The line in `text` (without a prefix), or None."""
        match = cls.pattern.fullmatch(text)
        if match is None:
            return None
        return cls(**{name: cls.converters[name](value) for name, value in match.groupdict().items()})

    def facts(self):
        """The line's figures on its epoch, as fields of `EpochRecord`."""
        return {}


@dataclass(frozen=True)
class Namespace(Line):
    """The run's arguments, first in the log: `Namespace(batch_size=128, lr=0.1, ...)`, keys in order.

    A value that is no Python literal (a path object, for example) is read back as its text.
    """

    kind: ClassVar[str] = "namespace"
    args: dict

    def __str__(self):
        assert all(key.isidentifier() for key in self.args), "argparse's names are identifiers"
        return f"Namespace({', '.join(f'{key}={self.args[key]!r}' for key in sorted(self.args))})"

    @classmethod
    def parse(cls, text):
        if not (text.startswith("Namespace(") and text.endswith(")") and len(text) <= LONGEST_HEADER):
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")            # of odd escapes in a text
                call = ast.parse(text, mode="eval").body
            keywords_only = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args
            if not keywords_only or any(keyword.arg is None for keyword in call.keywords):
                return None
            return cls({keyword.arg: _literal(keyword.value) for keyword in call.keywords})
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):  # cut short, or no Python
            return None


def _literal(node):
    """The value of a Python literal (also `nan` and `inf`); the text of any other expression."""
    try:
        return ast.literal_eval(_FloatNames().visit(node))
    except ValueError:
        return ast.unparse(node)


class _FloatNames(ast.NodeTransformer):
    def visit_Name(self, node):
        return ast.Constant(float(node.id)) if node.id in ("nan", "inf") else node


@dataclass(frozen=True)
class CifarEpoch(Line):
    """One epoch of both CIFAR scripts. `train` is an accuracy, with mixup an RMSE; `val` is an accuracy."""

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
    """Every `--log-interval` batches: the metric since the epoch's start, the speed since the last line."""

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
    """Training speed of an epoch. `time_s` includes validation in dialects A and B."""

    kind: ClassVar[str] = "imagenet_speed"
    template: ClassVar[str] = "[Epoch {epoch:d}] speed: {samples_per_s:d} samples/sec\ttime cost: {time_s:f}"
    epoch: int
    samples_per_s: int
    time_s: float

    def facts(self):
        return {"samples_per_sec": self.samples_per_s, "time_s": self.time_s}


@dataclass(frozen=True)
class ImagenetValidation(Line):
    """Errors of one validation pass, as fractions."""

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
    """The running metric over all workers, and the learning rate."""

    kind: ClassVar[str] = "hvd_batch"
    template: ClassVar[str] = ("Epoch[{epoch:d}] Rank[{rank:d}] Batch[{batch:d}]"
                               "\t{metric}={value:f}\tlr={lr:f}")
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
    """Accuracies, not errors; every `--eval-frequency` epochs, and twice for the last."""

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

# Other lines of the logs. A `note` is free text of the program that wrote the log.
NOISE = {
    "mxnet_native": re.compile(r"(?:\[\d+,\d+\]<std(?:err|out)>:)?\[\d\d:\d\d:\d\d\] \S+: .*"),
    "command_echo": re.compile(r"python3? \S+\.py .*"),
    "autoaugment_print": re.compile(r"\[\d+,\d+\]<stdout>:Using AutoAugment"),
    "network_repr": re.compile(r"\[\d+,\d+\]<stderr>:(?:INFO:root:\w+\(| *\(\w+\): .*| *\))"),
    "mpi_banner": re.compile(r"-{40,}|WARNING: Linux kernel CMA .*|btl_vader\S* .*|not available due .*"
                             r"|The vader shared .*|mechanism if one .*|  Local host: .*|\[ip-[\d-]+:\d+\] .*"
                             r"|\[\d+,\d+\]<stderr>:\[ip-[\d-]+\].*"),
    "note": re.compile(r"(?:(?:INFO|WARNING):root:)(?!Namespace\(|\[Epoch|Epoch\[).*"
                       r"|(?:note|warning|resumed at|global batch|both validation protocols)\b.*"),
    "blank": re.compile(r"\s*"),
}


def parse_line(text, kinds=KINDS):
    """The line in `text`, with or without a prefix, or None if it is of none of the kinds."""
    bare = without_prefix(text)
    for kind in kinds:
        line = kind.parse(bare)
        if line is not None:
            return line
    return None


def noise_kind(text):
    """The key in `NOISE` of the pattern that `text` matches, or None."""
    return next((name for name, pattern in NOISE.items() if pattern.fullmatch(text)), None)


def namespace_line(flags):
    """The header of a run: `Namespace(batch_size=128, ..., wd=0.0001)`.

    Parameters
    ----------
    flags : dict
        Names and values, as in `vars(parser.parse_args())`.
    """
    return str(Namespace(dict(flags)))
