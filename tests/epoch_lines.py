"""Lines of logs that tests write."""

from gluon_tricks.log_lines.lines import CifarEpoch


def cifar_epoch_line(epoch, train, val, loss, time_s):
    """An epoch's line as in the CIFAR scripts, without the logger's `INFO:root:`."""
    return str(CifarEpoch(epoch, train, val, loss, time_s))
