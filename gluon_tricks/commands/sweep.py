"""A grid of flags over several seeds: train_cifar.py for each, then median and spread, a plot and one CSV.

    python -m gluon_tricks sweep --grid lr=0.05,0.1 --seeds 0,1 --out sweeps/rates -- \\
        --dataset cifar10-excerpt --model cifar_resnet20_v1 --mode hybrid --batch-size 32 --num-epochs 2
    python -m gluon_tricks sweep --grid mix=none,mixup,vertical cutout=0,16 --out sweeps/mixing -- \\
        --model cifar_preact20 --mode hybrid --batch-size 128 --lr 0.2 --lr-mode cosine --num-epochs 30
    python -m gluon_tricks sweep --grid no-wd=no,yes --dry-run -- --model cifar_preact20 --num-epochs 5
    python -m gluon_tricks sweep --cases "baseline=" "cosine=--lr-mode cosine" "smoothed=--label-smoothing" \\
        --out sweeps/refinements -- --model cifar_resnet20_v1 --mode hybrid --batch-size 128 --num-epochs 30

Words after -- go to every run, those of a case to its runs. A value `none` or `no` leaves its flag out, `yes`
gives it without a value. A finished run is not trained again and a stopped one goes on, so the same command
can be given until all are done, also with more cases, values or seeds. OUT/runs.csv has a row for each run,
OUT/summary.csv one for each cell of the grid; OUT/report.md has these, and in how many of the seeds one cell
ended better than another.
"""

import argparse
import shlex
import sys
from pathlib import Path

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder
from gluon_tricks.recipes.flags import SEED
from gluon_tricks.script.flags import split_at_dashes
from gluon_tricks.studies.sweep_grid import sweep_runs


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    own, words = split_at_dashes(argv)
    args = parse_args(own)
    cells, runs = sweep_runs(args.cases, args.grid, args.seeds, words)
    updates = sum(run.updates for run in runs.values())
    print(f"{len(cells)} cells x {len(args.seeds)} seeds = {len(runs)} runs, {updates:,} updates", flush=True)
    if args.dry_run:
        for run in runs.values():
            print(shlex.join(["python", "train_cifar.py", *run.words]))
        return 0
    command = shlex.join(["python", "-m", "gluon_tricks", "sweep", *own, "--", *words])
    return train(args.out, cells, runs, command, words)


def train(out, cells, runs, command, words):
    """Run what is unfinished and write the report; returns the exit code."""
    from gluon_tricks.studies.runner import run_rows
    from gluon_tricks.studies.sweep_report import write_sweep_report

    out = make_folder("--out", out).resolve()
    failed = run_rows(list(runs.values()), out)
    for line in write_sweep_report(cells, runs, out, command, words):
        print(line)
    return 1 if failed else 0


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", nargs="+", default=[], metavar="FLAG=V,V",
                        help="values for flags of train_cifar.py")
    parser.add_argument("--cases", nargs="+", default=[], metavar="NAME=FLAGS",
                        help="flags by name; with --grid each case gets the whole grid")
    parser.add_argument("--seeds", default="0,1,2", help="numbers with commas (default 0,1,2)")
    parser.add_argument("--out", type=Path, default=Path("sweeps"),
                        help="folder of the results (default sweeps)")
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    args = parser.parse_args(argv)
    if not args.grid and not args.cases:
        raise UserError("sweep: give --grid, --cases or both")
    return argparse.Namespace(**{**vars(args), "seeds": seeds_of(args.seeds)})


def seeds_of(text):
    """`"0,1"` as a list of different numbers."""
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        raise UserError(f"--seeds {text}: give numbers with commas, as 0,1,2") from None
    for seed in filter(SEED.complaint, seeds):
        raise UserError(f"--seeds {text}: {seed} {SEED.complaint(seed)}")
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds {text}: gives a number twice")
    return seeds


if __name__ == "__main__":
    run_main(main, prog="sweep")
