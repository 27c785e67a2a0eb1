"""One epoch of a run, as logs of all scripts have it."""

from typing import NamedTuple, Optional


class EpochRecord(NamedTuple):
    """One epoch of a run. None stands for a figure that the script does not print; errors are fractions.

    `train_metric` is the printed figure: an 'accuracy', an 'err-top1' (dialect A) or, with mixup, an 'rmse'.
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


def cifar_is_mixup(flags):
    """Whether a CIFAR header belongs to a run with mixup.

    This kit's header has the flag. Of GluonCV's two scripts only the mixup one has `--logging-dir`.
    """
    return bool(flags["mixup"]) if "mixup" in flags else "logging_dir" in flags


def cifar_train_metric(flags):
    """The metric after `train=` in a CIFAR log: rmse with mixup, else accuracy on the unchanged labels."""
    return "rmse" if cifar_is_mixup(flags) else "accuracy"
