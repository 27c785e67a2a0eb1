"""A grid of flags over several seeds: train_cifar.py for each, then median and spread, a plot and one CSV.

    python -m gluon_tricks sweep --grid lr=0.05,0.1 --seeds 0,1 --out sweeps/rates -- --dataset cifar10-excerpt \\
        --model cifar_resnet20_v1 --mode hybrid --batch-size 32 --num-epochs 2
    python -m gluon_tricks sweep --grid mix=none,mixup,vertical cutout=0,16 --seeds 0,1,2 --out sweeps/mixing -- \\
        --model cifar_preact20 --mode hybrid --batch-size 128 --lr 0.2 --lr-mode cosine --num-epochs 30
    python -m gluon_tricks sweep --grid no-wd=no,yes --seeds 0,1,2 --dry-run -- --model cifar_preact20 --num-epochs 5
    python -m gluon_tricks sweep --cases "baseline=" "cosine=--lr-mode cosine" "smoothed=--label-smoothing" \\
        --out sweeps/refinements -- --model cifar_resnet20_v1 --mode hybrid --batch-size 128 --num-epochs 30

Words after -- go to every run, those of a case to its own. A value `none` or `no` leaves its flag out, `yes` gives it
without a value. A finished run is not trained again and a stopped one goes on, so the same command can be given until all
are done; it may also be given with more cases, values or seeds. OUT/runs.csv has a row for each run, OUT/summary.csv one for
each cell of the grid; OUT/report.md has these, and in how many of the seeds one cell ended better than another.
"""

import argparse
import itertools
import shlex
import sys
from pathlib import Path

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder
from gluon_tricks.script.flags import split_at_dashes
from gluon_tricks.studies.cifar_runs import CifarRun

LEFT_OUT, BARE = ("none", "no"), "yes"


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    argv, words = split_at_dashes(argv)
    args = parse_args(argv)
    cases, grid = cases_of(args.cases), grid_of(args.grid)
    for given in (words, *cases.values()):
        if any(word == "--seed" or word.startswith("--seed=") for word in given):
            raise UserError("--seed: give --seeds, which every run gets one of")
    cells = [{**({"case": name} if name else {}), **dict(zip(grid, values))}
             for name in cases for values in itertools.product(*grid.values())]
    runs = {(i, seed): run_of(cell, seed, [*words, *cases[cell.get("case", "")]])
            for i, cell in enumerate(cells) for seed in args.seeds}
    folders = {}
    for run in runs.values():
        check(run)
        if folders.setdefault(run.slug, run) is not run:
            raise UserError(f"--grid: {run.title} and {folders[run.slug].title} would share the folder {run.slug}; give "
                            f"values that differ in letters or digits")
    updates = sum(run.updates for run in runs.values())
    print(f"{len(cells)} cells x {len(args.seeds)} seeds = {len(runs)} runs, {updates:,} updates", flush=True)
    if args.dry_run:
        for run in runs.values():
            print(shlex.join(["python", "train_cifar.py", *run.words]))
        return 0
    return train(args, cells, runs, argv, words)


def train(args, cells, runs, argv, words):
    """Run what is unfinished and write what there is; the exit code."""
    from gluon_tricks.studies.runner import run_rows
    from gluon_tricks.studies.sweep_report import write_sweep_report

    out = make_folder("--out", args.out).resolve()
    failed = run_rows(list(runs.values()), out)
    command = shlex.join(["python", "-m", "gluon_tricks", "sweep", *argv, "--", *words])
    for line in write_sweep_report(cells, runs, out, command, words):
        print(line)
    return 1 if failed else 0


# --- The grid -------------------------------------------------------------------------------------------------------

def cases_of(words):
    """`["baseline=", "cosine=--lr-mode cosine"]` as {name: [words]}; without any, one case of no name."""
    cases = {}
    for word in words:
        name, equals, flags = word.partition("=")
        if not equals or not name or name.startswith("-"):
            raise UserError(f"--cases {word}: give NAME=FLAGS as \"cosine=--lr-mode cosine\"")
        if name in cases:
            raise UserError(f"--cases {word}: gives {name} twice")
        cases[name] = shlex.split(flags)
    return cases or {"": []}


def grid_of(words):
    """`["lr=0.1,0.2", "cutout=0,16"]` as {flag: [values]}."""
    grid = {}
    for word in words:
        name, equals, values = word.partition("=")
        name = name.lstrip("-")
        if not (equals and name and all(values.split(","))):
            raise UserError(f"--grid {word}: give FLAG=VALUE,VALUE as lr=0.1,0.2")
        if name in grid or name == "seed":
            raise UserError(f"--grid {word}: --{name} is given " + ("with --seeds" if name == "seed" else "twice"))
        grid[name] = values.split(",")
        if len(set(grid[name])) < len(grid[name]):
            raise UserError(f"--grid {word}: gives a value twice")
    return grid


def run_of(cell, seed, words):
    """The run of a cell of the grid with a seed."""
    own = []
    for name, value in cell.items():
        if value not in LEFT_OUT and name != "case":
            own += [f"--{name}"] if value == BARE else [f"--{name}", value]
    title = ", ".join([*(f"{name} {value}" for name, value in cell.items()), f"seed {seed}"])
    slug = "_".join([*(f"{name}-{value}" for name, value in cell.items()), f"seed-{seed}"])
    return CifarRun("".join(c if c.isalnum() or c in "-_.+" else "-" for c in slug), title,
                    (*words, *own, "--seed", str(seed)))


def check(run):
    """Refuse words that train_cifar.py would refuse, before anything is trained."""
    try:
        _ = run.args
    except SystemExit:
        raise UserError(f"{run.title}: train_cifar.py does not take {shlex.join(run.words)}") from None
    except UserError as error:
        raise UserError(f"{run.title}: {error}") from error


# --- Flags ----------------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m gluon_tricks sweep", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", nargs="+", default=[], metavar="FLAG=V,V", help="values of flags of train_cifar.py")
    parser.add_argument("--cases", nargs="+", default=[], metavar="NAME=FLAGS",
                        help="flags by name; with --grid each case gets the whole grid")
    parser.add_argument("--seeds", default="0,1,2", help="numbers with commas (default 0,1,2)")
    parser.add_argument("--out", type=Path, default=Path("sweeps"), help="folder of the results (default sweeps)")
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    args = parser.parse_args(argv)
    if not args.grid and not args.cases:
        raise UserError("sweep: give --grid, --cases or both")
    try:
        args.seeds = [int(seed) for seed in args.seeds.split(",")]
        if min(args.seeds) < 0 or len(set(args.seeds)) < len(args.seeds):
            raise ValueError
    except ValueError:
        raise UserError(f"--seeds {args.seeds}: give different numbers with commas, as 0,1,2") from None
    return args


if __name__ == "__main__":
    run_main(main, prog="sweep")
