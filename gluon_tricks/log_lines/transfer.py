"""Log lines of GluonCV's detection and segmentation scripts: written and read here, as `gluon_tricks.log_lines.lines` does.

    [Epoch 19][Batch 4099], Speed: 12.513 samples/sec, RPN_Conf=0.045,RPN_SmoothL1=0.030,...,RCNNL1Loss=0.921
    [Epoch 19] Training cost: 1326.142, RPN_Conf=0.045,RPN_SmoothL1=0.030,RCNN_CrossEntropy=0.101,RCNN_SmoothL1=0.122
    [Epoch 14] Set learning rate to 0.0001
    [Epoch 19] Validation:
    aeroplane=0.7941293299700947
    mAP=0.7765967923775811

    Epoch 47 iteration 0660/0661: training loss 0.395
    Epoch 47 validation pixAcc: 0.856, mIoU: 0.646
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.lines import PREFIX, Namespace

LOSSES = ("RPN_Conf", "RPN_SmoothL1", "RCNN_CrossEntropy", "RCNN_SmoothL1")
METRICS = (*LOSSES, "RPNAcc", "RPNL1Loss", "RCNNAcc", "RCNNL1Loss")
NUMBER = r"-?(?:\d+\.\d+(?:e[-+]?\d+)?|inf|nan)"

BATCH = re.compile(rf"\[Epoch (?P<epoch>\d+)\]\[Batch (?P<batch>\d+)\], Speed: (?P<speed>{NUMBER}) samples/sec, "
                   rf"(?P<figures>\w+={NUMBER}(?:,\w+={NUMBER})*)")
COST = re.compile(rf"\[Epoch (?P<epoch>\d+)\] Training cost: (?P<cost>{NUMBER}), "
                  rf"(?P<figures>\w+={NUMBER}(?:,\w+={NUMBER})*)")
RATE = re.compile(rf"\[Epoch (?P<epoch>\d+)\] Set learning rate to (?P<lr>{NUMBER}|\d+e-\d+)")
VALIDATION = re.compile(r"\[Epoch (?P<epoch>\d+)\] Validation:\s*")
SCORE = re.compile(rf"(?P<name>[^=\s][^=]*)=(?P<value>{NUMBER})")
SEG_TRAIN = re.compile(rf"Epoch (?P<epoch>\d+) iteration (?P<batch>\d+)/\d+: training loss (?P<loss>{NUMBER})")
SEG_VAL = re.compile(rf"Epoch (?P<epoch>\d+) validation pixAcc: (?P<pix_acc>{NUMBER}), mIoU: (?P<miou>{NUMBER})")


# --- Written --------------------------------------------------------------------------------------------------------

class DetectionDialect:
    """train_faster_rcnn.py: bare lines, batches counted from 0."""

    prefix = ""

    @staticmethod
    def rate_line(epoch, lr):
        """Before an epoch at whose start the rate steps."""
        return f"[Epoch {epoch}] Set learning rate to {lr:g}"

    @staticmethod
    def interval_lines(numbers, metric):
        yield (f"[Epoch {numbers['epoch']}][Batch {numbers['batch'] - 1}], Speed: {numbers['samples_per_s']:.3f} "
               f"samples/sec, " + figures_text(numbers))

    @staticmethod
    def epoch_lines(numbers, metric):
        yield (f"[Epoch {numbers['epoch']}] Training cost: {numbers['train_s']:.3f}, "
               + figures_text({name: numbers[name] for name in LOSSES}))
        if "classes" in numbers:
            scores = "\n".join(f"{name}={value}" for name, value in numbers["classes"].items())
            yield f"[Epoch {numbers['epoch']}] Validation: \n{scores}\nmAP={numbers['map_voc07']}"


class SegmentationDialect:
    """GluonCV's segmentation/train.py, with the batches of the epoch."""

    prefix = ""

    def __init__(self, batches):
        self.batches = batches

    def interval_lines(self, numbers, metric):
        yield (f"Epoch {numbers['epoch']} iteration {numbers['batch'] - 1:04d}/{self.batches:04d}: "
               f"training loss {numbers['training_loss']:.3f}")

    @staticmethod
    def epoch_lines(numbers, metric):
        if "pix_acc" in numbers:
            yield f"Epoch {numbers['epoch']} validation pixAcc: {numbers['pix_acc']:.3f}, mIoU: {numbers['miou']:.3f}"


def figures_text(numbers):
    """`RPN_Conf=0.045,RPN_SmoothL1=0.030,...`: the figures among `numbers`, in GluonCV's order."""
    return ",".join(f"{name}={numbers[name]:.3f}" for name in METRICS if name in numbers)


# --- Read -----------------------------------------------------------------------------------------------------------

@dataclass
class TransferEpoch:
    """One epoch of a log. Figures are those at its end; fractions, not percent."""

    epoch: int
    figures: dict = field(default_factory=dict)      # losses and accuracies of training
    scores: dict = field(default_factory=dict)       # of the validation: mAP and classes, or pixAcc and mIoU
    cost_s: float = None
    set_lr: float = None                             # the rate that a line before it sets
    last_batch: int = None                           # of the last line on a batch, counted from 0


@dataclass
class TransferLog:
    """A log of detection or segmentation, as far as it is written.

    Attributes
    ----------
    task : "detection" or "segmentation"
    main : str
        The score that decides: mAP, or mIoU.
    args : dict
        Of the last header.
    epochs : list of TransferEpoch
        Those with a validation.
    """

    path: Path
    task: str
    args: dict
    epochs: list

    @property
    def main(self):
        return "mAP" if self.task == "detection" else "mIoU"


def read_transfer_log(path):
    """Read a log of detection or segmentation, GluonCV's or of this kit; what was done again replaces what it repeats.

    Returns
    -------
    TransferLog or None
        None if the log is of another kind.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    epochs, args, task, scores = {}, {}, None, None
    for line in text.split("\n")[:-1]:                     # the last one is not finished
        bare = line[PREFIX.match(line).end():]
        header = Namespace.parse(bare.strip())
        if header:
            args = header.args
            continue
        if scores is not None and (match := SCORE.fullmatch(bare.strip())):
            scores[match["name"]] = float(match["value"])
            continue
        scores = None
        pattern, match = _first_match(bare)
        if match is None:
            continue
        task = task or ("segmentation" if pattern in (SEG_TRAIN, SEG_VAL) else "detection")
        found, number = match.groupdict(), int(match["epoch"])
        for later in [known for known in epochs if known > number]:
            del epochs[later]
        epoch = epochs.setdefault(number, TransferEpoch(number))
        if "figures" in found:
            epoch.figures |= _pairs(found["figures"])
        if pattern is BATCH:
            epoch.last_batch = int(found["batch"])
        elif pattern is RATE:
            epoch.set_lr = float(found["lr"])
        elif pattern is COST:
            epoch.cost_s = float(found["cost"])
        elif pattern is VALIDATION:
            scores = epoch.scores
        elif pattern is SEG_TRAIN:
            epoch.figures["training_loss"] = float(found["loss"])
        elif pattern is SEG_VAL:
            epoch.scores = {"pixAcc": float(found["pix_acc"]), "mIoU": float(found["miou"])}
    if task is None:
        return None
    log = TransferLog(Path(path), task, args, [])
    log.epochs = [epoch for _, epoch in sorted(epochs.items()) if log.main in epoch.scores]
    return log


def _first_match(text):
    for pattern in (BATCH, COST, RATE, VALIDATION, SEG_TRAIN, SEG_VAL):
        if match := pattern.fullmatch(text.strip()):
            return pattern, match
    return None, None


def _pairs(text):
    return {name: float(value) for name, value in (pair.split("=") for pair in text.split(","))}
