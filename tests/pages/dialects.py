"""Logs in every dialect of GluonCV's scripts, written from the published curves."""

from gluon_tricks.log_lines import lines
from gluon_tricks.log_lines.transfer import (
    LOSSES,
    DetectionBatch,
    DetectionCost,
    DetectionScore,
    DetectionValidation,
    Pairs,
)
from gluon_tricks.published.catalogue import curve, published_run
from gluon_tricks.published.transfer import published_transfer
from tests.epoch_lines import cifar_epoch_line

DIALECTS = {"cifar": "cifar_resnet20_v1", "cifar-mixup": "cifar_resnet20_v1_mixup", "imagenet-A": "resnet50_v2",
            "imagenet-B": "resnet50_v1d", "imagenet-C": "resnet50_v1d", "horovod": "resnest14",
            "faster-rcnn": "faster_rcnn_resnet50_v1b_voc"}
PREFIXES = {"cifar": "INFO:root:", "cifar-mixup": "INFO:root:", "imagenet-A": "INFO:root:",
            "horovod": "[1,0]<stderr>:INFO:root:"}


def write_log(path, dialect, epochs=None, name=None, **flags):
    """Write the first epochs of a published run in a dialect; returns the path.

    Parameters
    ----------
    name : str, optional
        A published run; by default that of `DIALECTS`.
    flags
        Replace the arguments of its header.
    """
    name = name or DIALECTS[dialect]
    if dialect == "faster-rcnn":
        run = published_transfer()[name]
        args, rows = run["args"], [line for row in run["epochs"][:epochs] for line in detection_lines(row)]
    else:
        args = published_run(name).args
        rows = [line for record in curve(name)[:epochs] for line in WRITERS[dialect](record)]
    text = [lines.namespace_line({**args, **flags}), *map(str, rows)]
    path.write_text("".join(f"{PREFIXES.get(dialect, '')}{line}\n" for line in text))
    return path


def cifar_lines(record):
    yield cifar_epoch_line(record.epoch, record.train_metric, 1 - record.val_err_top1, record.train_loss, record.time_s)


def imagenet_lines(record, first_batch=0):
    metric = "top1-err" if record.train_metric_name == "err-top1" else record.train_metric_name
    for batch in first_batch + 49, first_batch + 99:
        yield lines.ImagenetBatch(record.epoch, batch, record.samples_per_sec, metric, record.train_metric,
                                  record.lr_last_logged)
    yield lines.ImagenetTrain(record.epoch, record.train_metric_name, record.train_metric)
    yield lines.ImagenetSpeed(record.epoch, int(record.samples_per_sec), record.time_s)
    yield lines.ImagenetValidation(record.epoch, record.val_err_top1, record.val_err_top5)


def counted_imagenet_lines(record):
    return imagenet_lines(record, first_batch=1)


def horovod_lines(record):
    epoch, batch = record.epoch, record.last_batch_logged or 50
    yield lines.HorovodLoss(epoch, batch, 2.0)
    yield lines.HorovodBatch(epoch, 0, batch, record.train_metric_name, record.train_metric, record.lr_last_logged)
    yield lines.HorovodTrain(epoch, 0, batch, record.time_s, record.train_metric)
    yield lines.HorovodSpeed(epoch, record.samples_per_sec)
    if record.val_err_top1 is not None:
        yield lines.HorovodValidation(epoch, 0, 1 - record.val_err_top1, 1 - record.val_err_top5)


def detection_lines(row):
    losses = Pairs((name, row[name]) for name in LOSSES)
    yield DetectionBatch(row["epoch"], 99, 12.0, losses)
    yield DetectionCost(row["epoch"], row["cost_s"], losses)
    yield DetectionValidation(row["epoch"])
    yield DetectionScore("mAP", row["mAP"])


WRITERS = {"cifar": cifar_lines, "cifar-mixup": cifar_lines, "imagenet-A": imagenet_lines, "imagenet-B": imagenet_lines,
           "imagenet-C": counted_imagenet_lines, "horovod": horovod_lines}
