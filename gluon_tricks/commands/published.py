"""The 73 runs that GluonCV published: listed, filtered, drawn, and as a page to browse.

    python -m gluon_tricks published                                  all
    python -m gluon_tricks published resnet50_v1d                     one, with its command and its defects
    python -m gluon_tricks published 'resnet50*' --trick mixup        patterns in quotes
    python -m gluon_tricks published --dataset imagenet --usable --sort top1
    python -m gluon_tricks published 'resnet50*' --plot resnet50.png --csv resnet50.csv
    python -m gluon_tricks published --atlas atlas.html               a page with all curves, to overlay

top-1, top-5 and best are validation accuracies in percent: of the last epoch, and of the epoch `at`. `-` is
no figure, because the log has none or what it has is no measurement; `measured` names the curves that are.
`compare` judges a run by one of these logs, `replay` runs their commands, and `tables published` prints their
figures next to the paper's and ours.
"""

import argparse
import shlex
from pathlib import Path

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, output_files
from gluon_tricks.pages.atlas import atlas
from gluon_tricks.program import is_pattern
from gluon_tricks.published.catalogue import TRAIN_IMAGES, catalogue
from gluon_tricks.published.commands import command_of, wrapped
from gluon_tricks.published.pictures import plot_runs
from gluon_tricks.published.selection import (
    ORDERS,
    TRICKS,
    measured,
    quality,
    select,
    top1,
    top5,
    trick_called,
    tricks_of,
)
from gluon_tricks.studies.text import csv_text

COLUMNS = ("run", "dataset", "model", "epochs", "global_batch_size", "top1_pct", "top5_pct", "best_top1_pct",
           "best_epoch", "measured", *(trick.name for trick in TRICKS), "quality", "log", "sha1", "command",
           "command_today")


def main(argv=None):
    args = parse_args(argv)
    runs = select(args.patterns, args.dataset, args.trick, args.without, args.usable)
    if not runs:
        raise UserError(f"{given(args)}: no published run is left; leave a filter out (published without any "
                        f"lists all {len(catalogue())})")
    runs = sorted(runs, key=ORDERS[args.sort], reverse=args.reverse)
    is_one = len(args.patterns) == 1 and not is_pattern(args.patterns[0])
    print("\n".join(details(runs[0]) if is_one else table(runs)))
    for flag, path in args.files.items():
        WRITERS[flag](runs, path)
        print(f"written: {path}")
    return 0


# --- Text ---------------------------------------------------------------------------------------------------

def table(runs):
    """Yield a line for each run, with a mark in the column of each trick that some run has."""
    shown = [trick for trick in TRICKS if any(trick.has(run) for run in catalogue().values())]
    width = max(len(run.name) for run in runs)
    yield (f"{'run':<{width}}  {'data set':<8}  epochs   top-1   top-5    best   at  {'measured':<10}  "
           + " ".join(trick.short for trick in shown))
    for run in runs:
        marks = " ".join(("x" if trick.has(run) else ".").center(len(trick.short)) for trick in shown)
        figures = "  ".join(map(_percent, (top1(run), top5(run), top1(run, "best"))))
        epoch = run.best["epoch"] if run.val_is_usable else "-"
        yield (f"{run.name:<{width}}  {run.dataset:<8}  {run.epochs:6d}  {figures}  {epoch:>3}  "
               f"{measured(run):<10}  {marks}").rstrip()
    yield ""
    yield f"{len(runs)} of {len(catalogue())} published runs; top-1, top-5 and best in %"
    yield ", ".join(f"{trick.short}: {trick.name}" for trick in shown)


def details(run):
    """Yield the lines about one run."""
    yield f"{run.name}, {run.dataset}: model {run.model}, {run.epochs} epochs, batch {run.global_batch_size}"
    if run.val_is_usable:
        last5 = f", top-5 {top5(run):.2f} %" if top5(run) is not None else ""
        yield f"accuracy    last epoch: top-1 {top1(run):.2f} %{last5}"
        yield f"            best epoch, {run.best['epoch']}: top-1 {top1(run, 'best'):.2f} %"
    yield f"tricks      {', '.join(trick.name for trick in tricks_of(run)) or 'none'}"
    yield f"quality     {quality(run)}"
    yield f"log         {run.log}, SHA-1 {run.sha1}"
    yield ""
    command = command_of(run.name)
    yield f"published:\n{wrapped(command.words)}"
    yield f"today:\n{wrapped(command.typed_today)}"


def _percent(value):
    return f"{value:6.2f}" if value is not None else "     -"


def given(args):
    """The patterns and filters as the user typed them."""
    words = [*args.patterns, *(["--dataset", args.dataset] if args.dataset else []),
             *(word for trick in args.trick for word in ("--trick", trick.name)),
             *(word for trick in args.without for word in ("--without", trick.name)),
             *(["--usable"] if args.usable else [])]
    return " ".join(words)


# --- Files --------------------------------------------------------------------------------------------------

def write_csv(runs, path):
    """Write a row for each run."""
    atomic_write(path, csv_text(COLUMNS, map(_row, runs)))


def _row(run):
    figures = ["" if value is None else f"{value:.4f}"
               for value in (top1(run), top5(run), top1(run, "best"))]
    return (run.name, run.dataset, run.model, run.epochs, run.global_batch_size, *figures,
            run.best["epoch"] if run.val_is_usable else "", measured(run),
            *(int(trick.has(run)) for trick in TRICKS), quality(run), run.log, run.sha1, run.command,
            shlex.join(command_of(run.name).typed_today))


def draw(runs, path):
    """Write the picture."""
    if not any(run.val_is_usable for run in runs):
        raise UserError(f"--plot {path}: nothing to draw; no validation of "
                        f"{', '.join(run.name for run in runs)} is a measurement")
    try:
        plot_runs(runs, path)
    except ValueError as error:                # matplotlib does not know the ending
        raise UserError(f"--plot {path}: cannot be written ({error}); give a name that ends in "
                        ".png") from None


def write_atlas(runs, path):
    """Write the page."""
    atomic_write(path, atlas(runs))


WRITERS = {"--csv": write_csv, "--plot": draw, "--atlas": write_atlas}


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN",
                        help="names, or patterns in quotes: 'resnet50*' (default: all)")
    choice = parser.add_argument_group("Which")
    choice.add_argument("--dataset", choices=tuple(TRAIN_IMAGES))
    choice.add_argument("--trick", action="append", default=[], metavar="NAME",
                        help="only runs with this trick; may be given again: "
                             + ", ".join(trick.name for trick in TRICKS))
    choice.add_argument("--without", action="append", default=[], metavar="NAME",
                        help="only runs without this trick")
    choice.add_argument("--usable", action="store_true",
                        help="without logs of which no curve is a measurement of that run")
    output = parser.add_argument_group("Output")
    output.add_argument("--sort", choices=tuple(ORDERS), default="name",
                        help="numbers from the highest (default name)")
    output.add_argument("--reverse", action="store_true", help="the other way round")
    output.add_argument("--plot", type=Path, metavar="OUT.png", help="also draw the validation accuracies")
    output.add_argument("--csv", type=Path, metavar="FILE", help="also write a row for each run")
    output.add_argument("--atlas", type=Path, metavar="OUT.html",
                        help="also write the page to browse, which needs no network")
    args = parser.parse_intermixed_args(argv)
    args.trick = [trick_called(word) for word in args.trick]
    args.without = [trick_called(word, "--without") for word in args.without]
    args.files = output_files({flag: getattr(args, flag[2:]) for flag in WRITERS})
    return args


if __name__ == "__main__":
    run_main(main, prog="published")
