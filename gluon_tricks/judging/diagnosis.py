"""Find known mistakes from a log, each with its evidence and remedy.

    chance validation     validation as good as guessing while training improves: labels of another list of
                          classes, or a flat validation folder
    unscaled rate         a rate that differs three times or more from that of the global batch, and a
                          curve that shows it
    lost momentum         the training metric drops where the run was resumed, and nowhere before
    metric on soft labels a training "accuracy" above 0.6 in the first epoch on ImageNet, as in seven of the
                          published logs
    input bound           images per second and GPU below half of the published run's

A rule needs evidence in the log itself; `tests/judging/test_diagnosis.py` holds all of them against every
published log.
"""

import math
from dataclasses import dataclass
from statistics import median

import numpy as np

from gluon_tricks.judging.bands import points, scatter
from gluon_tricks.published.catalogue import CLASSES, VAL_IMAGES
from gluon_tricks.published.recipe import logged_batch_size
from gluon_tricks.published.reference import dataset_of
from gluon_tricks.published.repeats import reference_curve
from gluon_tricks.tricks.linear_scaling import linear_scaled_lr

# mobilenetv3_small's 2.6 at batch 2048 is 3.25 times the rule, vgg's 0.01 a tenth of it
RATE_FACTOR = 3
DROP_SCATTERS, DROP_POINTS = 6, 0.5
SOFT_LABEL_ACCURACY = 60.0       # percent; first epochs of correct published logs have 6 or less
SLOW = 0.5                       # share of the published speed; GPUs of one generation differ by less


@dataclass(frozen=True)
class Finding:
    """A mistake: its name, the evidence in a sentence, the remedy in another."""

    name: str
    says: str
    remedy: str


def diagnose(verdict):
    """The likely mistakes of the run in a `Verdict`.

    Returns
    -------
    list of Finding
        Empty if no rule has evidence.
    """
    run, reference = verdict.run, verdict.match.reference
    curve_there = reference_curve(reference.name) if reference else []
    found = [chance_validation(run), unscaled_rate(run, reference, verdict.comparisons), lost_momentum(run),
             metric_on_soft_labels(run), input_bound(run, reference, curve_there)]
    return [finding for finding in found if finding]


def classes_of(run):
    """Number of classes of a run's data, or None."""
    return run.args.get("classes") or CLASSES.get(dataset_of(run).split("-")[0])


def chance_validation(run):
    """Validation at chance in the newest epochs while training improves: in one epoch of many classes, two of
    few."""
    classes, dataset = classes_of(run), dataset_of(run)
    if not classes or metric_on_soft_labels(run):
        return None
    chance = 100 / classes
    images = VAL_IMAGES.get(dataset, 500)
    # four standard errors of guessing
    limit = chance + 4 * 100 * math.sqrt((1 - 1 / classes) / classes / images)
    newest = run.epochs[-1 if classes >= 100 else -2:]
    accuracies = [100 * (1 - record.val_err_top1) for record in newest if record.val_err_top1 is not None]
    if len(accuracies) < (1 if classes >= 100 else 2) or max(accuracies) > limit:
        return None
    first, last = (points(record, "train", dataset) for record in (run.epochs[0], newest[-1]))
    if run.epochs[0].train_metric_name == "rmse":
        if not last < 0.95 * first:
            return None
        learns = f"training RMSE fell from {first / 100:.4f} to {last / 100:.4f}"
    else:
        if last < max(3 * chance, first if len(run.epochs) > 1 else 0):
            return None
        learns = f"training accuracy is {last:.2f} %"
    epochs = " and ".join(str(record.epoch) for record in newest)
    return Finding("chance validation", f"validation top-1 is {max(accuracies):.2f} % in epoch {epochs}, "
                   f"chance of {classes} classes is {chance:.2f} %, while {learns}",
                   "the labels of validation follow another list of classes than those of training: prepare "
                   "both sets in one run of data_prep/. If all validation images lie in one folder, sort "
                   "them into a folder for each class")


def unscaled_rate(run, reference, comparisons):
    """A rate far from the published run's, scaled to the global batch; without one, from the linear rule's.
    """
    batch, lr = logged_batch_size(run.args), run.args.get("lr")
    if not batch or not lr or run.style == "horovod" or run.args.get("auto_lr"):
        return None
    if reference and reference.args.get("lr") and reference.global_batch_size:
        expected = reference.args["lr"] * batch / reference.global_batch_size
        origin = "reference's" if reference.title else "published"
        why = f"the {origin} rate, {reference.args['lr']:g} at {reference.global_batch_size} images"
    else:
        expected, why = linear_scaled_lr(batch), "the linear rule, 0.1 at 256 images"
    ratio = lr / expected
    if 1 / RATE_FACTOR < ratio < RATE_FACTOR:
        return None
    curves = _below(comparisons)
    if comparisons and not curves:         # the curve shows no harm
        return None
    if not comparisons and not _stuck(run):
        return None
    return Finding("unscaled rate", f"--lr {lr:g} for a global batch of {batch} is {ratio:.3g} times "
                   f"{why}, scaled to this batch; {curves or _stuck(run)}",
                   f"give --lr {expected:g}; --lr is the rate of the whole batch over all devices and is not "
                   "scaled by the script")


def _below(comparisons):
    """The first epoch of a training curve that is worse than its band, in words; "" if none is."""
    for found in comparisons:
        worse = (found.difference > 0) == (found.metric == "rmse")
        if found.witness == "train" and (worse & ~found.inside).any():
            i = (worse & ~found.inside).argmax()
            return (f"train {found.metric} in epoch {found.epochs[i]} is {found.ours[i]:.2f}, {found.origin} "
                    f"{found.published[i]:.2f}")
    return ""


def _stuck(run):
    """A run without a published curve whose training accuracy, after two epochs or more, is still near
    chance."""
    classes, last = classes_of(run), run.epochs[-1]
    if not classes or len(run.epochs) < 2 or last.train_metric_name == "rmse":
        return ""
    accuracy = points(last, "train", dataset_of(run))
    if accuracy >= 150 / classes:
        return ""
    return f"train accuracy is {accuracy:.2f} % after {len(run.epochs)} epochs"


def lost_momentum(run):
    """A drop of the training metric at a resume that no epoch of the ten before has."""
    dataset = dataset_of(run)
    resumed = {*run.resumed_at, *([run.args["resume_epoch"]] if run.args.get("resume_epoch") else [])}
    sign = -1 if run.epochs[-1].train_metric_name == "rmse" else 1
    figures = {record.epoch: sign * points(record, "train", dataset) for record in run.epochs}
    for epoch in sorted(resumed & set(figures)):
        before = np.array([figures[e] for e in range(epoch - 11, epoch) if e in figures])
        if len(before) < 4:
            continue
        gains, noise = np.diff(before), scatter(before, np.zeros(len(before)))[-1]
        limit = max(DROP_SCATTERS * noise, DROP_POINTS * (0.1 if sign < 0 else 1))
        gain, usual = figures[epoch] - before[-1], np.median(gains)
        if gain < min(0, gains.min()) - limit:
            return Finding("lost momentum",
                           f"the run was resumed at epoch {epoch}, and its training metric is "
                           f"{-gain:.2f} points worse than in the epoch before (usual change: {usual:+.2f})",
                           "a run cannot continue from its parameters alone: give --resume auto, or "
                           "--resume-states together with --resume-params and --resume-epoch")
    return None


def metric_on_soft_labels(run):
    """A first epoch that no net of a thousand classes reaches: the metric was computed on smoothed labels."""
    first, classes = run.epochs[0], classes_of(run)
    if first.epoch or first.train_metric_name == "rmse" or not classes or classes < 100:
        return None
    if run.args.get("use_pretrained") or run.args.get("resume_params"):
        return None
    accuracy = points(first, "train", dataset_of(run))
    if accuracy <= SOFT_LABEL_ACCURACY:
        return None
    val = "" if first.val_err_top1 is None else f" (validation: {100 * (1 - first.val_err_top1):.2f} %)"
    return Finding("metric on soft labels",
                   f"training accuracy is {accuracy:.2f} % in epoch 0{val}: an accuracy of "
                   "smoothed labels counts the logits that truncate to 0",
                   "judge by validation alone; GluonCV's script did this from 2018-08-13 to 2018-10-08")


def input_bound(run, reference, published):
    """Images per second and GPU below half of the published run's, at the same type."""
    gpus = run.args.get("num_gpus")
    if not (reference and gpus and reference.args.get("num_gpus")):
        return None
    if run.args.get("dtype", "float32") != reference.args.get("dtype", "float32"):
        return None
    here, there = (_speed(records) for records in (run.epochs, published))
    if not (here and there):
        return None
    here, there = here / gpus, there / reference.args["num_gpus"]
    if here >= SLOW * there:
        return None
    workers, theirs = run.args.get("num_workers"), reference.args.get("num_workers")
    return Finding("input bound", f"{here:.0f} images/s per GPU with {workers} loader threads; the "
                   f"published run has {there:.0f} with {theirs}",
                   "unless the GPUs are slower than V100s, decoding is the bottleneck: raise -j, use "
                   "--use-rec, keep the records on a fast disk; --synthetic shows the speed without data")


def _speed(records):
    speeds = [record.samples_per_sec for record in records if record.samples_per_sec]
    return median(speeds) if speeds else None
