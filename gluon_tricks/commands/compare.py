"""Is my run the published run? Judge a log against the log that GluonCV published.

    python -m gluon_tricks compare logs/train_cifar10_cifar_resnet20_v1.log
    python -m gluon_tricks compare train_imagenet.log --plot compare.png
    python -m gluon_tricks compare my.log --ref cifar_resnet20_v1

Reads the logs of this kit and of GluonCV's own scripts, also of a run that is still going. The reference is found from
the run's own arguments (model, mixup, data set); where the run departs from its recipe, that is said. Each epoch is
held against a band around the published curve (see gluon_tricks/judging/bands.py), and the last line is the verdict. Known
mistakes that the log shows the signs of (gluon_tricks/judging/diagnosis.py) are named before it.

Logs of train_faster_rcnn.py are put beside the two that GluonCV published on VOC, epoch by epoch, without a verdict; those
of train_fcn.py are only listed.

Exit code: 0 inside the band, 1 outside, 2 no answer (the file is unusable, or there is no published log of such a run).
"""

import argparse
from pathlib import Path

from gluon_tricks import pictures
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.judging.bands import band_of
from gluon_tricks.judging.diagnosis import diagnose
from gluon_tricks.judging.verdict import EXIT_CODES, judge
from gluon_tricks.log_lines.transfer import read_transfer_log
from gluon_tricks.published.transfer import side_by_side

UNITS = {"accuracy": "accuracy, %", "error": "error, %", "rmse": "RMSE x 100"}


def main(argv=None):
    args = parse_args(argv)
    transfer = read_transfer_log(args.log)
    if transfer:
        return show_transfer(transfer, args)
    verdict = judge(args.log, args.ref)
    if verdict.comparisons:
        print("\n".join([*opening(verdict), "", *table(verdict.comparisons), ""]))
    for finding in diagnose(verdict):
        print(f"diagnosis: {finding.name}: {finding.says}\n           {finding.remedy}")
    if args.plot:
        plot(verdict, args.plot)
        print(f"plot: {args.plot}")
    print(verdict.line)
    return verdict.exit_code


def show_transfer(log, args):
    """A log of detection or segmentation beside the published one; the exit code."""
    if args.plot:
        raise UserError(f"--plot {args.plot}: draws bands, and none is known of detection and segmentation; leave it out")
    lines, verdict = side_by_side(log, args.ref)
    print("\n".join([*lines, "", verdict]))
    return EXIT_CODES["none"]


# --- The verdict ----------------------------------------------------------------------------------------------------


# --- Words and pictures ---------------------------------------------------------------------------------------------

def opening(verdict):
    """What is compared with what."""
    run, reference = verdict.run, verdict.match.reference
    yield f"run        {run.path}, epochs {run.epochs[0].epoch}-{run.epochs[-1].epoch}"
    yield f"published  {reference.name}: {reference.command}"
    for sentence in reference.flags.values():
        yield f"           {sentence}"
    for departure in verdict.match.departures:
        yield f"departs    {departure}"


def table(comparisons):
    """Rows of text: every epoch with the figures of both runs, their difference and the band."""
    epochs = sorted({epoch for comparison in comparisons for epoch in comparison.epochs})
    rows_of = [dict(zip(comparison.epochs, _cells(comparison))) for comparison in comparisons]
    yield "       " + "".join(f"{c.witness + ' ' + UNITS[c.metric]:^43}" for c in comparisons)
    yield "epoch  " + "".join(f"{'here':>9}{'published':>11}{'diff':>8}{'band':>8}{'':7}" for _ in comparisons)
    for epoch in epochs:
        yield f"{epoch:5d}  " + "".join(rows.get(epoch, " " * 43) for rows in rows_of).rstrip()


def _cells(comparison):
    digits = 3 if comparison.metric == "rmse" else 2
    for ours, published, difference, limit, inside in zip(
            comparison.ours, comparison.published, comparison.difference, comparison.limits[1], comparison.inside):
        yield (f"{ours:9.{digits}f}{published:11.{digits}f}{difference:+8.{digits}f}{f'±{limit:.{digits}f}':>8}"
               f"{'' if inside else ' OUT':7}")


def plot(verdict, path):
    """Write a picture of the run over the published curves and their bands."""
    if not verdict.comparisons:
        raise UserError(f"--plot {path}: nothing to draw; {verdict.line}")
    name = verdict.match.reference.name
    figure, panels = pictures.panels((11, 4.6), columns=len(verdict.comparisons))
    for axes, comparison in zip(panels, verdict.comparisons):
        _draw(axes, comparison, band_of(name, comparison.witness))
    figure.suptitle(f"{Path(verdict.run.path).name}: {verdict.outcome} the band of {name}", fontsize=12)
    try:
        pictures.save(figure, path, dpi=120)
    except (OSError, ValueError) as error:
        raise UserError(f"--plot {path}: cannot be written ({error}); give a .png in a folder that exists") from None


def _draw(axes, comparison, band):
    """One curve: published, band, ours; epochs outside as crosses."""
    import numpy as np

    published, ours, outside = "#4c6a92", "#d1495b", ~comparison.inside
    last = comparison.epochs[-1]
    shown = band.epochs <= max(last + max(2, last // 10), 9)             # a little of what lies ahead
    epochs, values, limit = band.epochs[shown], band.published[shown], band.limits[1][shown]
    axes.fill_between(epochs, values - limit, values + limit, color=published, alpha=0.18, linewidth=0, label="band")
    axes.plot(epochs, values, color=published, linewidth=1.2, label="published")
    axes.plot(comparison.epochs, comparison.ours, color=ours, linewidth=1.4, label="this run",
              marker="o" if len(comparison.epochs) < 30 else None, markersize=3.5)
    axes.plot(comparison.epochs[outside], comparison.ours[outside], "x", color="black", markersize=6, zorder=3,
              label="outside" if outside.any() else None)
    seen = np.concatenate([values, comparison.ours[np.isfinite(comparison.ours)]])
    low, high = seen.min() - 3, seen.max() + 3
    if band.metric == "rmse":
        low, high = 0.9 * seen.min(), 1.05 * seen.max()
    axes.set_ylim(max(0, low), min(high, 101) if band.metric != "rmse" else high)
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{'training' if band.witness == 'train' else 'validation'} {UNITS[band.metric]}")
    axes.legend(frameon=False, loc="best")


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m gluon_tricks compare", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="log of a run of this kit or of GluonCV's scripts")
    parser.add_argument("--ref", metavar="NAME",
                        help="published log to compare with (default: found from the run's arguments)")
    parser.add_argument("--plot", metavar="OUT.png", type=Path, help="write a picture of both curves and the band")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main, prog="compare")
