"""Log lines of GluonCV's detection and segmentation scripts, written and read by the same templates.

    [Epoch 19][Batch 4099], Speed: 12.513 samples/sec, RPN_Conf=0.045,RPN_SmoothL1=0.030,...,RCNNL1Loss=0.921
    [Epoch 19] Training cost: 1326.142, RPN_Conf=0.045,...,RCNN_SmoothL1=0.122
    [Epoch 14] Set learning rate to 0.0001
    [Epoch 19] Validation:
    aeroplane=0.7941293299700947
    mAP=0.7765967923775811

    Epoch 47 iteration 0660/0661: training loss 0.395
    Epoch 47 validation pixAcc: 0.856, mIoU: 0.646
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from gluon_tricks.log_lines.headers import safe
from gluon_tricks.log_lines.lines import PLACEHOLDERS, Line, Namespace, parse_line
from gluon_tricks.log_lines.text import lines_of

LOSSES = ("RPN_Conf", "RPN_SmoothL1", "RCNN_CrossEntropy", "RCNN_SmoothL1")
METRICS = (*LOSSES, "RPNAcc", "RPNL1Loss", "RCNNAcc", "RCNNL1Loss")
NUMBER = r"-?(?:\d+\.\d+(?:e[-+]?\d+)?|\d+e[-+]?\d+|inf|nan)"


# --- The kinds of lines -------------------------------------------------------------------------------------

class Pairs(dict):
    """Figures that are written as `RPN_Conf=0.045,RPN_SmoothL1=0.030`."""

    def __format__(self, spec):
        return ",".join(f"{name}={value:.3f}" for name, value in self.items())

    @classmethod
    def parse(cls, text):
        """The figures in such a text."""
        return cls((name, float(value)) for name, value in (pair.split("=") for pair in text.split(",")))


class TransferLine(Line):
    """A line of these logs. More number formats are read than written; blanks at either end do not count."""

    task: ClassVar[str] = "detection"
    placeholders: ClassVar[dict] = {
        "d": PLACEHOLDERS["d"],
        "04d": PLACEHOLDERS["d"],
        ".3f": (NUMBER, float),
        "g": (rf"{NUMBER}|-?\d{{1,18}}", float),
        "": (NUMBER, float),                                  # all digits
        "s": (r"[^=\s][^=]*", str),                           # the name of a class
        "pairs": (rf"\w+={NUMBER}(?:,\w+={NUMBER})*", Pairs.parse),
    }

    @classmethod
    def parse(cls, text):
        return super().parse(text.strip())

    def facts(self):
        """The line's figures on its epoch, as fields of `TransferEpoch`."""
        return {}


@dataclass(frozen=True)
class DetectionBatch(TransferLine):
    """Every `--log-interval` batches, which count from 0. `figures` are means since the epoch's start."""

    template: ClassVar[str] = ("[Epoch {epoch:d}][Batch {batch:d}], Speed: {samples_per_s:.3f} samples/sec, "
                               "{figures:pairs}")
    epoch: int
    batch: int
    samples_per_s: float
    figures: Pairs

    def facts(self):
        return {"figures": self.figures, "last_batch": self.batch}


@dataclass(frozen=True)
class DetectionCost(TransferLine):
    """Seconds that the training of an epoch took, and its mean losses."""

    template: ClassVar[str] = "[Epoch {epoch:d}] Training cost: {cost_s:.3f}, {figures:pairs}"
    epoch: int
    cost_s: float
    figures: Pairs

    def facts(self):
        return {"figures": self.figures, "cost_s": self.cost_s}


@dataclass(frozen=True)
class DetectionRate(TransferLine):
    """Written before an epoch at whose start the learning rate steps."""

    template: ClassVar[str] = "[Epoch {epoch:d}] Set learning rate to {lr:g}"
    epoch: int
    lr: float

    def facts(self):
        return {"set_lr": self.lr}


@dataclass(frozen=True)
class DetectionValidation(TransferLine):
    """The heading of an epoch's scores. GluonCV writes a blank at its end; the reader does not need it."""

    template: ClassVar[str] = "[Epoch {epoch:d}] Validation:"
    epoch: int

    def __str__(self):
        return super().__str__() + " "


@dataclass(frozen=True)
class DetectionScore(TransferLine):
    """Average precision of a class, or their mean; it belongs to the heading above it."""

    template: ClassVar[str] = "{name:s}={value}"
    name: str
    value: float


@dataclass(frozen=True)
class SegmentationBatch(TransferLine):
    """Every `--log-interval` batches, which count from 0. `loss` is the mean since the epoch's start."""

    task: ClassVar[str] = "segmentation"
    template: ClassVar[str] = "Epoch {epoch:d} iteration {batch:04d}/{batches:04d}: training loss {loss:.3f}"
    epoch: int
    batch: int
    batches: int
    loss: float

    def facts(self):
        return {"figures": {"training_loss": self.loss}}


@dataclass(frozen=True)
class SegmentationValidation(TransferLine):
    """Pixel accuracy and mean intersection over union, as fractions."""

    task: ClassVar[str] = "segmentation"
    template: ClassVar[str] = "Epoch {epoch:d} validation pixAcc: {pix_acc:.3f}, mIoU: {miou:.3f}"
    epoch: int
    pix_acc: float
    miou: float

    def facts(self):
        return {"scores": {"pixAcc": self.pix_acc, "mIoU": self.miou}}


# A score comes last: its pattern takes any `text=number`
KINDS = (Namespace, DetectionBatch, DetectionCost, DetectionRate, DetectionValidation, SegmentationBatch,
         SegmentationValidation, DetectionScore)


# --- Written ------------------------------------------------------------------------------------------------

class DetectionDialect:
    """train_faster_rcnn.py: no prefix, batches counted from 0."""

    prefix = ""

    @staticmethod
    def rate_line(epoch, lr):
        """The line before an epoch at whose start the rate steps."""
        return str(DetectionRate(epoch, lr))

    @staticmethod
    def interval_lines(numbers, metric):
        figures = Pairs((name, numbers[name]) for name in METRICS if name in numbers)
        yield str(DetectionBatch(numbers["epoch"], numbers["batch"] - 1, numbers["samples_per_s"], figures))

    @staticmethod
    def epoch_lines(numbers, metric):
        losses = Pairs((name, numbers[name]) for name in LOSSES)
        yield str(DetectionCost(numbers["epoch"], numbers["train_s"], losses))
        if "classes" in numbers:
            scores = {**numbers["classes"], "mAP": numbers["map_voc07"]}
            yield "\n".join(map(str, [DetectionValidation(numbers["epoch"]),
                                      *(DetectionScore(name, value) for name, value in scores.items())]))


class SegmentationDialect:
    """GluonCV's segmentation/train.py: no prefix; `batches` is the number of batches per epoch."""

    prefix = ""

    def __init__(self, batches):
        self.batches = batches

    def interval_lines(self, numbers, metric):
        yield str(SegmentationBatch(numbers["epoch"], numbers["batch"] - 1, self.batches,
                                    numbers["training_loss"]))

    @staticmethod
    def epoch_lines(numbers, metric):
        if "pix_acc" in numbers:
            yield str(SegmentationValidation(numbers["epoch"], numbers["pix_acc"], numbers["miou"]))


# --- Read ---------------------------------------------------------------------------------------------------

@dataclass
class TransferEpoch:
    """One epoch of a log. Figures are those at its end; fractions, not percent."""

    epoch: int
    figures: dict = field(default_factory=dict)      # losses and accuracies of training
    scores: dict = field(default_factory=dict)       # of the validation: mAP and classes, or pixAcc and mIoU
    cost_s: float = None
    set_lr: float = None                             # the rate that a line before the epoch sets
    last_batch: int = None                           # of the last line about a batch, counted from 0

    def add(self, line):
        """Take the figures of a line."""
        facts = line.facts()
        self.figures |= facts.pop("figures", {})
        for name, value in facts.items():
            setattr(self, name, value)


@dataclass
class TransferLog:
    """A log of detection or segmentation, finished or not.

    Attributes
    ----------
    task : "detection" or "segmentation"
    main : str
        The score that decides: mAP, or mIoU.
    args : dict
        Of the last header.
    epochs : list of TransferEpoch
        Those with a validation.
    rates : dict
        Epoch -> the learning rate that a line before it sets.
    """

    path: Path
    task: str
    args: dict
    epochs: list
    rates: dict = field(default_factory=dict)

    @property
    def main(self):
        return "mAP" if self.task == "detection" else "mIoU"


def read_transfer_log(path):
    """Read a log of detection or segmentation, of GluonCV or of this kit.

    A line about epoch e replaces what earlier attempts wrote about later epochs.

    Returns
    -------
    TransferLog or None
        None if the log is of another kind.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    epochs, flags, task, validated = {}, {}, None, None       # `validated`: the epoch whose scores follow
    for _, text, ended in lines_of(path):
        line = parse_line(text, KINDS) if ended else None
        if isinstance(line, Namespace):
            flags = safe(line.args)
        elif isinstance(line, DetectionScore):
            if validated:
                validated.scores[line.name] = line.value
        elif line is None:
            validated = None
        else:
            task = task or line.task
            while epochs and next(reversed(epochs)) > line.epoch:
                epochs.popitem()
            epoch = epochs.setdefault(line.epoch, TransferEpoch(line.epoch))
            epoch.add(line)
            validated = epoch if isinstance(line, DetectionValidation) else None
    if task is None:
        return None
    log = TransferLog(Path(path), task, flags, [])
    log.epochs = [epoch for epoch in epochs.values() if log.main in epoch.scores]
    log.rates = {epoch.epoch: epoch.set_lr for epoch in epochs.values() if epoch.set_lr is not None}
    return log
