"""Is my run the published run? Judge a log against the log that GluonCV published.

    python -m gluon_tricks compare logs/train_cifar10_cifar_resnet20_v1.log
    python -m gluon_tricks compare train_imagenet.log --plot compare.png
    python -m gluon_tricks compare my.log --ref cifar_resnet20_v1
    python -m gluon_tricks compare seed0.log seed1.log seed2.log
    python -m gluon_tricks compare train_imagenet.log --watch

Reads the logs of this kit and of GluonCV's own scripts, also of a run that is not finished; RUN is a log or
the folder of a run. The run's own arguments (model, mixup, data set) select the published log; differences
between the two recipes are listed. Each epoch is compared with a band around the published curve (see
gluon_tricks/judging/bands.py), and the last line is the verdict. Known mistakes that show in the log
(gluon_tricks/judging/diagnosis.py) are printed before it.

Several runs must be seeds of one recipe. They get one verdict: their mean curve with its 95 % interval is
compared with the band for a mean of so many runs, and a test compares the means of the later epochs (see
gluon_tricks/judging/repeats.py). Runs of a recipe of which GluonCV's own script was run here with several
seeds (logs/reference) are compared with those runs as well.

A log of train_faster_rcnn.py is printed next to one of the two that GluonCV published on VOC, epoch by epoch,
without a verdict. A log of train_fcn.py is only listed.

Exit code: 0 inside the band, 1 outside, 2 no verdict (the file is unusable, or no such run was published), 3
internal error.
"""

import argparse
from pathlib import Path

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.judging.bands import band_of
from gluon_tricks.judging.diagnosis import diagnose
from gluon_tricks.judging.gaps import missing_between
from gluon_tricks.judging.pictures import UNITS, plot_verdict
from gluon_tricks.judging.repeats import mean_interval, shrinkage
from gluon_tricks.judging.runs import read_run
from gluon_tricks.judging.verdict import EXIT_CODES, judge_logs
from gluon_tricks.log_lines.following import follow
from gluon_tricks.log_lines.transfer import TransferLog
from gluon_tricks.published.transfer import side_by_side


def main(argv=None):
    args = parse_args(argv)
    if args.watch:
        return watch(args)
    lines, code, _ = compared(args)
    print("\n".join(lines))
    return code


def watch(args):
    """Print what is new whenever lines arrive, until the runs are complete; returns the last exit code."""
    printed, code = set(), EXIT_CODES["none"]

    def update():
        nonlocal code
        lines, code, are_complete = compared(args)
        print("\n".join(line for line in lines if line not in printed), flush=True)
        printed.update(lines)
        return are_complete

    follow(args.run, update)
    return code


def compared(args):
    """The lines to print, the exit code, and whether the runs are complete."""
    recorded = [read_run(path) for path in args.run]
    are_complete = all(run.is_complete for run in recorded)
    runs = [run.log for run in recorded]
    transfer = next((run for run in runs if isinstance(run, TransferLog)), None)
    if transfer:
        return transfer_lines(transfer, args), EXIT_CODES["none"], are_complete
    verdict = judge_logs(runs, args.ref)
    lines = [*opening(verdict), ""] if verdict.comparisons else []
    for held in verdict.held:
        lines += [*heading(held, verdict), *table(held.comparisons), *tests(held), ""]
    for finding in diagnose(verdict):
        lines += [f"diagnosis: {finding.name}: {finding.says}", f"           {finding.remedy}"]
    if args.plot:
        plot(verdict, args.plot)
        lines.append(f"plot: {args.plot}")
    return [*lines, verdict.line], verdict.exit_code, are_complete


def transfer_lines(log, args):
    """Lines on a log of detection or segmentation next to the published one."""
    if len(args.run) > 1:
        raise UserError(f"{log.path}: is a log of {log.task}, of which no band is known; give it alone")
    if args.plot:
        raise UserError(f"--plot {args.plot}: draws bands, and none is known of detection and segmentation; "
                        "leave it out")
    lines, verdict = side_by_side(log, args.ref)
    return [*lines, "", verdict]


def opening(verdict):
    """Lines that name the runs, the published run and the differences of their recipes."""
    reference = verdict.match.reference
    for run in verdict.runs:
        epochs = [record.epoch for record in run.epochs]
        yield f"run        {run.path}, epochs {epochs[0]}-{epochs[-1]}{missing_between(epochs)}"
    source = f"{reference.label}, {reference.log}" if reference.title else reference.name
    yield f"{'reference' if reference.title else 'published'}  {source}: {reference.command}"
    for sentence in reference.flags.values():
        yield f"           {sentence}"
    for departure in verdict.match.departures:
        yield f"departs    {departure}"


def heading(held, verdict):
    """Lines above the table of a reference: its name if there are two, and how sharp a mean is."""
    if held is not verdict.held[0]:
        yield f"the same against {held.reference.label}, {held.reference.log}:"
    count = len(verdict.runs)
    if count > 1:
        there = len(band_of(held.reference.name, held.comparisons[0].witness).runs)
        factor = shrinkage(count, there)
        yield (f"mean       of {count} runs against {there}: the noise that limits allow for is {factor:.2f} "
               "of one run's")


def tests(held):
    """Lines on the tests of the means."""
    for found in held.comparisons:
        test = held.tests.get(found.witness)
        if test:
            low, high = test.difference - test.half_width, test.difference + test.half_width
            yield (f"test       {found.witness} {UNITS[found.metric]}: {test.says}, 95 % interval {low:+.2f} "
                   f"to {high:+.2f}; deviation between runs {test.deviation:.2f}; p = {test.p:.2g}")


def table(comparisons):
    """Lines of a table: every epoch with the figures of both runs, their difference and the band."""
    epochs = sorted({epoch for comparison in comparisons for epoch in comparison.epochs})
    rows_of = [dict(zip(comparison.epochs, _cells(comparison))) for comparison in comparisons]
    several = any(len(comparison.runs) > 1 for comparison in comparisons)
    here = f"{'mean':>9}{'95 %':>8}" if several else f"{'here':>9}"
    width = 51 if several else 43
    yield "       " + "".join(f"{c.witness + ' ' + UNITS[c.metric]:^{width}}" for c in comparisons)
    yield "epoch  " + "".join(f"{here}{c.origin:>11}{'diff':>8}{'band':>8}{'':7}" for c in comparisons)
    for epoch in epochs:
        yield f"{epoch:5d}  " + "".join(rows.get(epoch, " " * width) for rows in rows_of).rstrip()


def _cells(comparison):
    digits = 3 if comparison.metric == "rmse" else 2
    halves = mean_interval(comparison.runs) if len(comparison.runs) > 1 else [None] * len(comparison.epochs)
    for ours, half, published, difference, limit, inside in zip(
            comparison.ours, halves, comparison.published, comparison.difference, comparison.limits[1],
            comparison.inside):
        interval = "" if half is None else f"{f'±{half:.{digits}f}':>8}"
        yield (f"{ours:9.{digits}f}{interval}{published:11.{digits}f}{difference:+8.{digits}f}"
               f"{f'±{limit:.{digits}f}':>8}{'' if inside else ' OUT':7}")


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
    parser.add_argument("run", type=Path, nargs="+", metavar="RUN",
                        help="log or folder of a run of this kit, or log of GluonCV's scripts; several: "
                             "seeds of one recipe")
    parser.add_argument("--ref", metavar="NAME",
                        help="published log to compare with (default: found from the run's arguments)")
    parser.add_argument("--plot", metavar="OUT.png", type=Path,
                        help="write a picture of both curves and the band")
    parser.add_argument("--watch", action="store_true",
                        help="print what is new as lines arrive, until the runs are complete or Ctrl-C")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main, prog="compare")
