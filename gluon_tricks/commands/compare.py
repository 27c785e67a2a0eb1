"""Is my run the published run? Judge a log against the log that GluonCV published.

    python -m gluon_tricks compare logs/train_cifar10_cifar_resnet20_v1.log
    python -m gluon_tricks compare train_imagenet.log --plot compare.png
    python -m gluon_tricks compare my.log --ref cifar_resnet20_v1

Reads the logs of this kit and of GluonCV's own scripts, also of a run that is not finished. The run's own
arguments (model, mixup, data set) select the published log; differences between the two recipes are listed.
Each epoch is compared with a band around the published curve (see gluon_tricks/judging/bands.py), and the
last line is the verdict. Known mistakes that show in the log (gluon_tricks/judging/diagnosis.py) are printed
before it.

A log of train_faster_rcnn.py is printed next to one of the two that GluonCV published on VOC, epoch by epoch,
without a verdict. A log of train_fcn.py is only listed.

Exit code: 0 inside the band, 1 outside, 2 no verdict (the file is unusable, or no such run was published), 3
internal error.
"""

import argparse
from pathlib import Path

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.judging.diagnosis import diagnose
from gluon_tricks.judging.gaps import missing_between
from gluon_tricks.judging.pictures import UNITS, plot_verdict
from gluon_tricks.judging.verdict import EXIT_CODES, judge
from gluon_tricks.log_lines.transfer import read_transfer_log
from gluon_tricks.published.transfer import side_by_side


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
    """Print a log of detection or segmentation next to the published one; returns the exit code."""
    if args.plot:
        raise UserError(f"--plot {args.plot}: draws bands, and none is known of detection and segmentation; "
                        "leave it out")
    lines, verdict = side_by_side(log, args.ref)
    print("\n".join([*lines, "", verdict]))
    return EXIT_CODES["none"]


def opening(verdict):
    """Lines that name the run, the published run and the differences of their recipes."""
    run, reference = verdict.run, verdict.match.reference
    epochs = [record.epoch for record in run.epochs]
    yield f"run        {run.path}, epochs {epochs[0]}-{epochs[-1]}{missing_between(epochs)}"
    yield f"published  {reference.name}: {reference.command}"
    for sentence in reference.flags.values():
        yield f"           {sentence}"
    for departure in verdict.match.departures:
        yield f"departs    {departure}"


def table(comparisons):
    """Lines of a table: every epoch with the figures of both runs, their difference and the band."""
    epochs = sorted({epoch for comparison in comparisons for epoch in comparison.epochs})
    rows_of = [dict(zip(comparison.epochs, _cells(comparison))) for comparison in comparisons]
    yield "       " + "".join(f"{c.witness + ' ' + UNITS[c.metric]:^43}" for c in comparisons)
    yield "epoch  " + "".join(
        f"{'here':>9}{'published':>11}{'diff':>8}{'band':>8}{'':7}" for _ in comparisons)
    for epoch in epochs:
        yield f"{epoch:5d}  " + "".join(rows.get(epoch, " " * 43) for rows in rows_of).rstrip()


def _cells(comparison):
    digits = 3 if comparison.metric == "rmse" else 2
    for ours, published, difference, limit, inside in zip(
            comparison.ours, comparison.published, comparison.difference, comparison.limits[1],
            comparison.inside):
        yield (
            f"{ours:9.{digits}f}{published:11.{digits}f}{difference:+8.{digits}f}{f'±{limit:.{digits}f}':>8}"
               f"{'' if inside else ' OUT':7}")


def plot(verdict, path):
    """Write the verdict's picture for --plot."""
    if not verdict.comparisons:
        raise UserError(f"--plot {path}: nothing to draw; {verdict.line}")
    try:
        plot_verdict(verdict, path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"--plot {path}: cannot be written ({error}); give a .png in a folder that exists") from None


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="log of a run of this kit or of GluonCV's scripts")
    parser.add_argument("--ref", metavar="NAME",
                        help="published log to compare with (default: found from the run's arguments)")
    parser.add_argument("--plot", metavar="OUT.png", type=Path,
                        help="write a picture of both curves and the band")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main, prog="compare")
