"""A report of runs: one page that opens offline in any browser, and can be sent or printed.

    python -m gluon_tricks report logs/ours/cifar_resnet20_v1
    python -m gluon_tricks report seed0.log seed1.log seed2.log --out seeds.html
    python -m gluon_tricks report train_cifar10.log --watch

RUN is the folder of a run, a log of this kit, or a bare log of GluonCV's scripts; several are drawn over each
other. On the page: the verdict, curves of training and validation with the band of the published run, the
differences, learning rate and speed, the recipe next to the published one, diagnosis, all epochs, the run's
origin, and what its files do not tell.

--watch writes the page again as lines arrive, until the runs are complete or Ctrl-C is pressed; the page
loads itself again.

Exit code: 0 written, 2 refused.
"""

import argparse
from pathlib import Path

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write
from gluon_tricks.log_lines.following import follow
from gluon_tricks.pages.report import read_shown, report


def main(argv=None):
    args = parse_args(argv)
    if args.watch:
        follow(args.runs, lambda: write(args, is_watching=True))
    write(args)                            # after watching: the page that does not load itself again
    return 0


def write(args, is_watching=False):
    """Write the page; returns whether all runs are complete."""
    runs, together = read_shown(args.runs, args.ref)
    atomic_write(args.out, report(runs, together, is_watching))
    for run in runs:
        print(f"{run.name}: verdict: {run.verdict}")
    for names, verdict in together.items():
        print(f"{names}: verdict: {verdict}")
    print(f"written: {args.out}", flush=True)
    return all(run.is_complete for run in runs)


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, metavar="RUN", nargs="+",
                        help="folder of a run, or a log of this kit or of GluonCV's scripts")
    parser.add_argument("--out", type=Path, metavar="OUT.html", default=Path("report.html"),
                        help="the page to write (default: %(default)s)")
    parser.add_argument("--ref", metavar="NAME",
                        help="published log to compare with (default: found from the run's arguments)")
    parser.add_argument("--watch", action="store_true", help="write the page again as lines arrive")
    args = parser.parse_args(argv)
    if args.out.is_dir() or not args.out.parent.is_dir():
        reason = "is a folder" if args.out.is_dir() else "its folder does not exist"
        raise UserError(f"--out {args.out}: {reason}; name a file such as report.html in a folder that "
                        "exists")
    return args


if __name__ == "__main__":
    run_main(main, prog="report")
