"""Limits on the distance of a repeat from its published curve.

Two runs of one recipe differ by noise from epoch to epoch and by a slow offset from run to run. Both shrink
with the learning rate, so the limits come from the published curve itself, epoch by epoch, in *points*
(hundredths: percent of accuracy or error; RMSE times 100). Between drops of the rate,

    scatter   is how far an epoch lies off the mean of its two neighbours: the median over the 10 epochs
              before and after, scaled to the standard deviation of one epoch's noise,
    counting  is the standard error that a figure has for being measured on N images: sqrt(p (1 - p) / N)
              for a share p,
    slope     is the change per epoch, the median over the 4 nearest steps.

The running median of the difference over the last m epochs must stay within

    m = 1      6 scatter  +  3 counting  +  slope / 2
    m = 9      3 scatter  +  3 counting  +  slope / 2
    m = 36     1 scatter  +  3 counting  +  slope / 2

and of CIFAR's training metric 5 counting for 3: of so few images, what a run starts from shows for long. The
first line is the band that tables and plots show. Half a slope is a run half an epoch ahead or behind. A run
is OUTSIDE if an epoch's training metric leaves the band, if more than one validation and one in 50 leave
theirs (published curves have such single wild epochs themselves), or if a running median leaves its limit.

Where there are several runs of GluonCV's script instead of one published curve, the band is that of their
spread, and the mean of several runs gets narrower limits; `repeats.py` has both formulas.

`docs/verdict.md` tells where the numbers come from; `python -m gluon_tricks.judging.calibration` measures
them again.
"""

import functools
from dataclasses import dataclass, replace

import numpy as np

from gluon_tricks.judging.repeats import band_limits, shrinkage
from gluon_tricks.published.catalogue import CLASSES, TRAIN_IMAGES, VAL_IMAGES, curve, published_run
from gluon_tricks.published.recipe import recipe
from gluon_tricks.published.repeats import repeats

WITNESSES = ("train", "val")
PUBLISHED = "the published"
SCATTERS = {1: 6, 9: 3, 36: 1}                 # epochs in the running median -> limit in scatters
COUNTING_ERRORS, COUNTING_ERRORS_CIFAR_TRAIN = 3, 5
SLOPES = 0.5
NEARBY = 10                      # epochs before and after whose scatter is pooled
FINEST_ACCURACY = 0.02           # points; the scatter of an accuracy is taken no finer (10 images of 50,000)
WILD_VALIDATIONS = 1, 50         # this many, and one in so many, may leave the band


# --- Bands --------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Band:
    """A published curve with its limits in points, all arrays over the epochs that have the figure.

    Of several reference runs, `published` is their mean and `runs` holds each, shape (runs, epochs).
    """

    witness: str
    metric: str
    epochs: np.ndarray
    published: np.ndarray
    limits: dict                     # m -> limit on the running median over m epochs
    scatter: np.ndarray
    counting: np.ndarray
    lag: np.ndarray                  # the part of the limits that allows for a lead or lag in time
    runs: np.ndarray
    wild: tuple = (0, 0)             # so many epochs, and one in so many, may leave the band

    @property
    def source(self):
        """What `published` is, for a sentence."""
        return f"the mean of {len(self.runs)} runs" if len(self.runs) > 1 else PUBLISHED

    def of_mean(self, runs):
        """The band for the mean of so many runs: noise is averaged, a lead or lag is not."""
        factor = shrinkage(runs, len(self.runs))
        limits = {window: (limit - self.lag) * factor + self.lag for window, limit in self.limits.items()}
        return replace(self, limits=limits)


@dataclass(frozen=True)
class Comparison:
    """A run's curve, or the mean curve of several, and a band: all arrays over the epochs that both have.

    `runs` holds each curve, shape (runs, epochs).
    """

    witness: str
    metric: str
    epochs: np.ndarray
    ours: np.ndarray
    published: np.ndarray
    limits: dict
    runs: np.ndarray
    wild: tuple = (0, 0)
    source: str = PUBLISHED

    @property
    def origin(self):
        """What `published` is, for the head of a column."""
        return "published" if self.source == PUBLISHED else "reference"

    @functools.cached_property
    def difference(self):
        """Points above the published curve; infinite where the run has no number (it diverged)."""
        return np.nan_to_num(self.ours - self.published, nan=np.inf)

    @property
    def inside(self):
        """Per epoch: whether the difference is inside the band."""
        return np.abs(self.difference) <= self.limits[1]

    def used(self, window):
        """Per epoch: the share of its limit that the running median over `window` epochs uses; NaN before so
        many."""
        return np.abs(running_median(self.difference / self.limits[window], window))

    @property
    def because(self):
        """Why the run is outside; empty if it is inside."""
        out = np.flatnonzero(~self.inside)
        if len(out) > wild_allowed(self.wild, len(self.epochs)):
            i = out[np.argmax(np.abs(self.difference[out]) / self.limits[1][out])]
            return (f"{self.witness} {self.metric} {_side(self.difference[i], self.source)} at epoch "
                    f"{self.epochs[i]}, where the band is {self.limits[1][i]:.2f}")
        for window in [window for window in self.limits if 1 < window <= len(self.epochs)]:
            used = self.used(window)
            last = int(np.nanargmax(used))
            if used[last] > 1:
                these = slice(last - window + 1, last + 1)
                median, limit = np.median(self.difference[these]), np.median(self.limits[window][these])
                return (f"{self.witness} {self.metric} {_side(median, self.source)} in the median of epochs "
                        f"{self.epochs[these][0]}-{self.epochs[last]}, where the limit is {limit:.2f}")
        return ""


def wild_allowed(wild, epochs):
    """How many of so many epochs may leave a band, whose `wild` this is."""
    some, one_in = wild
    return some + (epochs // one_in if one_in else 0)


def running_median(values, window):
    """Median of the last `window` values; NaN before there are so many."""
    medians = np.full(len(values), np.nan)
    if len(values) >= window:
        medians[window - 1:] = np.median(np.lib.stride_tricks.sliding_window_view(values, window), axis=1)
    return medians


def _side(difference, source):
    if np.isinf(difference):
        return "not a number"
    return f"{abs(difference):.2f} points {'above' if difference > 0 else 'below'} {source}"


# --- From records to bands and comparisons ------------------------------------------------------------------

def metric_of(record, witness, dataset):
    """Name of the figure that a witness is judged by."""
    if witness == "val":
        return "accuracy" if dataset.startswith("cifar") else "error"
    return "rmse" if record.train_metric_name == "rmse" else "accuracy"


def points(record, witness, dataset):
    """A record's figure in points, or None. Logs that print a training error are read as accuracies."""
    value = record.train_metric if witness == "train" else record.val_err_top1
    if value is None:
        return None
    is_error = record.train_metric_name == "err-top1" if witness == "train" else dataset.startswith("cifar")
    return round(100 * (1 - value if is_error else value), 4)


def series(records, witness, dataset):
    """(epochs, points) of the records that have the figure."""
    found = [(record.epoch, points(record, witness, dataset)) for record in records]
    found = [(epoch, value) for epoch, value in found if value is not None]
    epochs, values = zip(*found) if found else ((), ())
    return np.array(epochs, dtype=int), np.array(values, dtype=float)


def band_of(name, witness):
    """The band of a published run.

    Parameters
    ----------
    name : str
        In the catalogue.
    witness : 'train' or 'val'

    Returns
    -------
    Band or None
        None if that curve of the log is no measurement.
    """
    if name in repeats():
        return band_of_repeats(repeats()[name], witness)
    run = published_run(name)
    if not (run.train_is_usable if witness == "train" else run.val_is_usable):
        return None
    metric = metric_of(curve(name)[0], witness, run.dataset)
    epochs, values, off_curve, slopes = _shape_of(name, witness)
    images = (TRAIN_IMAGES if witness == "train" else VAL_IMAGES)[run.dataset]
    noise = np.maximum(off_curve, 0 if metric == "rmse" else FINEST_ACCURACY)
    counting = counting_error(values, metric, images, CLASSES[run.dataset])
    is_cifar_train = witness == "train" and run.dataset.startswith("cifar")
    errors = COUNTING_ERRORS_CIFAR_TRAIN if is_cifar_train else COUNTING_ERRORS
    allowance = errors * counting + SLOPES * np.abs(slopes)
    limits = {window: scatters * noise + allowance for window, scatters in SCATTERS.items()}
    return Band(witness, metric, epochs, values, limits, noise, counting, SLOPES * np.abs(slopes),
                values[None], WILD_VALIDATIONS if witness == "val" else (0, 0))


def band_of_repeats(repeats, witness):
    """The band of several reference runs: their mean, with limits from their spread.

    Parameters
    ----------
    repeats : Repeats
    witness : 'train' or 'val'

    Returns
    -------
    Band
    """
    epochs, dataset = repeats.epochs, repeats.reference.dataset
    values = together([curve.values() for curve in repeats.curves], epochs, witness, dataset)
    limits = {1: band_limits(values, len(WITNESSES) * len(epochs))}
    spread, nothing = values.std(axis=0, ddof=1), np.zeros(len(epochs))
    metric = metric_of(repeats.records[0], witness, dataset)
    return Band(witness, metric, np.array(epochs), values.mean(axis=0), limits, spread, nothing, nothing,
                values)


def together(runs, epochs, witness, dataset):
    """The figures of several runs in the epochs given: array (runs, epochs), or None if one is missing."""
    curves = [dict(zip(*series(records, witness, dataset))) for records in runs]
    if not epochs or not all(set(epochs) <= set(curve) for curve in curves):
        return None
    return np.array([[curve[epoch] for epoch in epochs] for curve in curves])


@functools.cache
def _shape_of(name, witness):
    """(epochs, points, scatter, slope) of a published curve; several runs are often compared with the same
    one."""
    run = published_run(name)
    epochs, values = series(curve(name), witness, run.dataset)
    phase = np.searchsorted(breaks_of(recipe(run.args, run.dataset), run.epochs), epochs, side="right")
    return epochs, values, scatter(values, phase), slope(epochs, values, phase)


def counting_error(values, metric, images, classes):
    """Standard error, in points, that a figure has because it is measured on so many images.

    For a share p it is sqrt(p (1 - p) / N). An RMSE r over K classes is that of a share q = K r^2 / 2 of
    images that are all wrong (two entries of K off by one), and an error dq of it is dq / (K r) of r.
    """
    figure = values / 100
    share = classes * figure ** 2 / 2 if metric == "rmse" else figure
    error = np.sqrt(np.maximum(share * (1 - share), 1 / images) / images)
    return 100 * (error / (classes * figure) if metric == "rmse" else error)


def breaks_of(values, epochs):
    """Epochs at which a recipe's rate drops or its mixup ends: the curve may jump there."""
    breaks = set(values.get("lr_decay_epoch", ()))
    if values["mixup"]:
        breaks.add(epochs - values["mixup_off_epoch"])
    return sorted(epoch for epoch in breaks if 0 < epoch < epochs)


def scatter(values, phase):
    """Standard deviation of one epoch's noise around the curve, robustly, from the epochs nearby in the same
    phase."""
    middle = np.flatnonzero(phase[:-2] == phase[2:]) + 1
    off = np.abs(values[middle] - (values[middle - 1] + values[middle + 1]) / 2) / np.sqrt(1.5)
    noise = np.empty(len(values))
    for i in range(len(values)):
        nearby = (np.abs(middle - i) <= NEARBY) & (phase[middle] == phase[i])
        # else: a phase of two epochs
        noise[i] = 1.4826 * np.median(off[nearby] if nearby.any() else off)
    return noise


def slope(epochs, values, phase):
    """Points per epoch: the median over the two steps before and the two after, within the phase."""
    steps = np.diff(values) / np.diff(epochs)
    within = phase[:-1] == phase[1:]
    result = np.zeros(len(values))
    for i in range(len(values)):
        near = slice(max(0, i - 2), i + 2)
        if within[near].any():
            result[i] = np.median(steps[near][within[near]])
    return result


def compare_with(band, epochs, values):
    """Compare a run's curve, or the mean curve of several, with a band.

    Parameters
    ----------
    band : Band
        For the mean of so many runs (`Band.of_mean`).
    epochs : ndarray
        As `series` gives them.
    values : ndarray, shape (epochs,) or (runs, epochs)

    Returns
    -------
    Comparison or None
        None if there is no epoch in common.
    """
    common, theirs, ours = np.intersect1d(band.epochs, epochs, return_indices=True)
    if not len(common):
        return None
    limits = {window: limit[theirs] for window, limit in band.limits.items()}
    runs = np.atleast_2d(values)[:, ours]
    return Comparison(band.witness, band.metric, common, runs.mean(axis=0), band.published[theirs], limits,
                      runs, band.wild, band.source)
