"""The Faster R-CNN logs on VOC that GluonCV published, and the comparison of a run with them.

`logs/published/transfer.json` holds their curves; `data_prep/published_transfer.py` made it from the original
files.
"""

import json
from functools import cache

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.reading import NoEpoch
from gluon_tricks.published.catalogue import FOLDER

PUBLISHED_SPLITS = "2007_trainval,2012_trainval"
# Flags that change what is computed
DECISIVE = ("network", "batch_size", "lr", "lr_decay", "lr_decay_epoch", "lr_warmup", "momentum", "wd",
            "epochs")


@cache
def published_transfer():
    """name -> dict of a run.

    Its keys are `log`, `sha1`, `args`, `epochs` (dicts with `epoch`, `mAP`, losses, and `set_lr` where the
    rate steps), `last_batch` (the last one printed, counted from 0), `classes` (scores of the last epoch) and
    `flags` (sentences on defects of the log).
    """
    path = FOLDER / "transfer.json"
    try:
        return {run["name"]: run for run in json.loads(path.read_text(encoding="utf-8"))}
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it from the repository or make "
                        f"it with data_prep/published_transfer.py") from None


def reference_for(log, name=None):
    """The published run to compare a `TransferLog` with, or None and the reason."""
    runs = published_transfer()
    if name is not None:
        if name not in runs:
            raise UserError(f"--ref {name}: the published logs on VOC are {', '.join(runs)}")
        return runs[name], ""
    if log.task != "detection":
        return None, "no log of segmentation is in this repository"
    if log.args.get("train_splits", PUBLISHED_SPLITS) != PUBLISHED_SPLITS:
        return None, (f"trained on {log.args['train_splits']}, not on VOC 2007 and 2012; no published log to "
                      "compare with")
    network = log.args.get("network")
    for run in runs.values():
        if run["args"]["network"] == network:
            return run, ""
    published = ", ".join(run["args"]["network"] for run in runs.values())
    net = network or "a net that the log does not name"
    return None, f"no published log on VOC is of {net}, only {published}"


def transfer_departures(flags, reference):
    """The differences between a run's recipe and its reference's, as `lr 0.002 (published 0.001)`."""
    published = reference["args"]
    return [f"{key} {flags[key]} (published {published[key]})" for key in DECISIVE
            if key in flags and key in published and not _same(flags[key], published[key])]


def _same(one, other):
    try:
        return float(one) == float(other) or (float(one) <= 0 and float(other) <= 0)
    except (TypeError, ValueError):
        return (one or "14,20") == (other or "14,20")


def side_by_side(log, name=None):
    """Compare each validated epoch of a run with the published one.

    GluonCV published one run of each recipe, so its noise, and with it a band, is not known: the verdict is
    always none.

    Returns
    -------
    lines : list of str
    verdict : str
    """
    if not log.epochs:
        raise NoEpoch(f"{log.path}: no validated epoch in this file; give the log of a run that has finished "
                      "its first validation")
    best, last = max(log.epochs, key=lambda epoch: epoch.scores[log.main]), log.epochs[-1]
    lines = [f"run        {log.path}, {log.task}, {len(log.epochs)} validated epochs up to {last.epoch}",
             f"           {log.main} last {_percent(last.scores[log.main])} (epoch {last.epoch}), "
             f"best {_percent(best.scores[log.main])} (epoch {best.epoch})"]
    reference, reason = reference_for(log, name)
    if reference is None:
        return [*lines, "", *map(_score_row, log.epochs)], f"verdict: none: {reason}"
    curve = {row["epoch"]: row for row in reference["epochs"]}
    lines.append(f"published  {reference['name']}: {reference['log']}, {len(curve)} epochs")
    lines += [f"departs    {departure}" for departure in transfer_departures(log.args, reference)]
    lines += ["", "epoch      mAP  published  difference    losses (RPN, RCNN)  published"]
    lines += [_row(epoch, curve.get(epoch.epoch)) for epoch in log.epochs]
    common = [epoch for epoch in log.epochs if epoch.epoch in curve]
    if not common:
        return lines, f"verdict: none: no epoch in common with {reference['name']}"
    epoch = common[-1]
    difference = _points(epoch, curve[epoch.epoch])
    return lines, (f"verdict: none: {difference:+.2f} points mAP at epoch {epoch.epoch} compared with "
                   f"{reference['name']}; one published run has no band")


def _score_row(epoch):
    """An epoch without a published one: mAP, or pixAcc and mIoU."""
    shown = {name: epoch.scores[name] for name in ("mAP", "pixAcc", "mIoU") if name in epoch.scores}
    return f"{epoch.epoch:>5}  " + "  ".join(f"{name} {value:.4f}" for name, value in shown.items())


def _row(epoch, published):
    """An epoch next to the published one, if there is one."""
    row = f"{epoch.epoch:>5}  {_percent(epoch.scores['mAP'])}"
    if not published:
        return row
    return (f"{row}    {_percent(published['mAP'])}  {_points(epoch, published):+7.2f} points  "
            f"{_losses(epoch.figures):>22}  {_losses(published)}")


def _points(epoch, published):
    return 100 * (epoch.scores["mAP"] - published["mAP"])


def _percent(value):
    return f"{100 * value:5.2f} %"


def _losses(figures):
    if not all(name in figures for name in ("RPN_Conf", "RCNN_CrossEntropy")):
        return "-"
    return (f"{figures['RPN_Conf'] + figures.get('RPN_SmoothL1', 0):.3f}, "
            f"{figures['RCNN_CrossEntropy'] + figures.get('RCNN_SmoothL1', 0):.3f}")
