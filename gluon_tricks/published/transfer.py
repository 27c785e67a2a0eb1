"""The Faster R-CNN logs on VOC that GluonCV published, and a run beside them.

`logs/published/transfer.json` holds their curves; `data_prep/published_transfer.py` made it from the original files.
"""

import json
from functools import cache

from gluon_tricks.errors import UserError
from gluon_tricks.published.catalogue import FOLDER

# Flags that change what is computed
DECISIVE = ("network", "batch_size", "lr", "lr_decay", "lr_decay_epoch", "lr_warmup", "momentum", "wd", "epochs")


@cache
def published_transfer():
    """name -> dict of a run.

    It has `log`, `sha1`, `args`, `epochs` (dicts with `epoch`, `mAP` and losses, and `set_lr` where the rate steps),
    `last_batch` (of the last line on one, from 0), `classes` of the last epoch, and `flags`, sentences on what is odd.
    """
    path = FOLDER / "transfer.json"
    try:
        return {run["name"]: run for run in json.loads(path.read_text(encoding="utf-8"))}
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it from the repository or make it with "
                        "data_prep/published_transfer.py") from None


def reference_for(log, name=None):
    """The published run to put a `TransferLog` beside, or None and the reason."""
    runs = published_transfer()
    if name is not None:
        if name not in runs:
            raise UserError(f"--ref {name}: the published logs on VOC are {', '.join(runs)}")
        return runs[name], ""
    if log.task != "detection":
        return None, "no log of segmentation is in this repository"
    if log.args.get("train_splits", PUBLISHED_SPLITS) != PUBLISHED_SPLITS:
        return None, f"trained on {log.args['train_splits']}, not on VOC 2007 and 2012; no published log to compare with"
    network = log.args.get("network")
    for run in runs.values():
        if run["args"]["network"] == network:
            return run, ""
    return None, f"no published log on VOC is of {network or 'a net that the log does not name'}, only " + ", ".join(
        run["args"]["network"] for run in runs.values())


PUBLISHED_SPLITS = "2007_trainval,2012_trainval"


def departures(args, reference):
    """What a run does otherwise than its reference, as `lr 0.002 (published 0.001)`."""
    published = reference["args"]
    return [f"{key} {args[key]} (published {published[key]})" for key in DECISIVE
            if key in args and key in published and not _same(args[key], published[key])]


def _same(one, other):
    try:
        return float(one) == float(other) or (float(one) <= 0 and float(other) <= 0)
    except (TypeError, ValueError):
        return (one or "14,20") == (other or "14,20")


def side_by_side(log, name=None):
    """Lines that put each validated epoch of a run beside the published one, and the last line's verdict.

    There is one published run of each recipe, so its noise, and with it a band, is not known: the verdict is always none.

    Returns
    -------
    (lines, verdict) : list of str, str
    """
    if not log.epochs:
        raise UserError(f"{log.path}: no validated epoch in this file yet")
    best, last = max(log.epochs, key=lambda epoch: epoch.scores[log.main]), log.epochs[-1]
    lines = [f"run        {log.path}, {log.task}, {len(log.epochs)} validated epochs up to {last.epoch}",
             f"           {log.main} last {_percent(last.scores[log.main])} (epoch {last.epoch}), "
             f"best {_percent(best.scores[log.main])} (epoch {best.epoch})"]
    reference, reason = reference_for(log, name)
    if reference is None:
        lines += ["", *(f"{epoch.epoch:>5}  " + "  ".join(f"{key} {value:.4f}" for key, value in epoch.scores.items()
                                                           if log.task == "segmentation" or key == "mAP")
                        for epoch in log.epochs)]
        return lines, f"verdict: none: {reason}"
    curve = {row["epoch"]: row for row in reference["epochs"]}
    lines.append(f"published  {reference['name']}: {reference['log']}, {len(curve)} epochs")
    lines += [f"departs    {departure}" for departure in departures(log.args, reference)]
    lines += ["", "epoch      mAP  published  difference    losses (RPN, RCNN)  published"]
    for epoch in log.epochs:
        other = curve.get(epoch.epoch)
        row = f"{epoch.epoch:>5}  {_percent(epoch.scores['mAP'])}"
        if other:
            row += (f"    {_percent(other['mAP'])}  {100 * (epoch.scores['mAP'] - other['mAP']):+7.2f} points  "
                    f"{_losses(epoch.figures):>22}  {_losses(other)}")
        lines.append(row)
    common = [epoch for epoch in log.epochs if epoch.epoch in curve]
    if not common:
        return lines, f"verdict: none: no epoch in common with {reference['name']}"
    epoch = common[-1]
    apart = 100 * (epoch.scores["mAP"] - curve[epoch.epoch]["mAP"])
    return lines, (f"verdict: none: {apart:+.2f} points mAP at epoch {epoch.epoch} beside {reference['name']}; one "
                   f"published run has no band")


def _percent(value):
    return f"{100 * value:5.2f} %"


def _losses(figures):
    if not all(name in figures for name in ("RPN_Conf", "RCNN_CrossEntropy")):
        return "-"
    return (f"{figures['RPN_Conf'] + figures.get('RPN_SmoothL1', 0):.3f}, "
            f"{figures['RCNN_CrossEntropy'] + figures.get('RCNN_SmoothL1', 0):.3f}")
