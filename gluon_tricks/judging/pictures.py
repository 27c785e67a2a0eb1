"""The picture of a verdict: the run's curves over the published ones and their bands."""

from pathlib import Path

import numpy as np

from gluon_tricks import pictures
from gluon_tricks.judging.bands import band_of
from gluon_tricks.judging.repeats import mean_interval

UNITS = {"accuracy": "accuracy, %", "error": "error, %", "rmse": "RMSE x 100"}


def plot_verdict(verdict, path):
    """Write one panel per compared curve.

    Parameters
    ----------
    verdict : Verdict
        With at least one comparison.
    path : path
        The ending names the format.

    Raises
    ------
    OSError, ValueError
        If the file cannot be written, or the format is unknown.
    """
    reference, count = verdict.match.reference, len(verdict.runs)
    who = Path(verdict.run.path).name if count == 1 else f"mean of {count} runs"
    figure, panels = pictures.panels((11, 4.6), columns=len(verdict.comparisons),
                                     title=f"{who}: {verdict.held[0].outcome} the band of {reference.label}")
    for axes, comparison in zip(panels, verdict.comparisons):
        draw_comparison(axes, comparison, band_of(reference.name, comparison.witness).of_mean(count))
    pictures.save(figure, path, dpi=120)


def draw_comparison(axes, comparison, band):
    """Draw the published curve, its band and the run's curve; epochs outside the band are crosses."""
    outside, count = ~comparison.inside, len(comparison.runs)
    values = pictures.draw_band(axes, band, comparison.epochs[-1])
    if count > 1:
        axes.plot(comparison.epochs, comparison.runs.T, color=pictures.RUN, linewidth=0.6, alpha=0.6)
    if count > 2:                      # the interval of two runs is 13 standard errors wide and hides all
        half = mean_interval(comparison.runs)
        axes.fill_between(comparison.epochs, comparison.ours - half, comparison.ours + half,
                          color=pictures.RUN, alpha=0.25, linewidth=0, label="its 95 % interval")
    axes.plot(comparison.epochs, comparison.ours, color=pictures.RUN, linewidth=1.4,
              label="this run" if count == 1 else f"mean of these {count} runs",
              **pictures.marker(len(comparison.epochs)))
    axes.plot(comparison.epochs[outside], comparison.ours[outside], "x", color="black", markersize=6,
              zorder=3, label="outside" if outside.any() else None)
    seen = np.concatenate([values, comparison.ours[np.isfinite(comparison.ours)]])
    if band.metric == "rmse":
        axes.set_ylim(0.9 * seen.min(), 1.05 * seen.max())
    else:
        axes.set_ylim(max(0, seen.min() - 3), min(seen.max() + 3, 101))
    kind = "training" if band.witness == "train" else "validation"
    pictures.label(axes, "epoch", f"{kind} {UNITS[band.metric]}")
    pictures.legend(axes, 4)
