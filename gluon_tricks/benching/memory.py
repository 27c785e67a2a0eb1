"""Resident memory of train_cifar.py over many short epochs: it must not grow.

    python -m gluon_tricks bench memory                   # 30 epochs of the embedded excerpt
    python -m gluon_tricks bench memory --epochs 60 --model cifar_resnet56_v1 --out bench

Reads the run's metrics.jsonl, which has the resident set at each epoch's end and the highest so far. The
first half of the epochs fills caches and the allocator's free lists; a straight line is fitted to the second
half.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from gluon_tricks.benching.paired import machine_line, table, write_report
from gluon_tricks.errors import UserError
from gluon_tricks.files import ROOT
from gluon_tricks.recipes.flags import COMMAND_FLAGS, EPOCHS_FROM_1
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.training.status import announce, on_terminal

LEAST_EPOCHS = 8
FLAT_MIB = 0.5   # of growth per epoch, above which the command fails


def main(argv):
    args = parse_args(argv)
    epochs = run(args.model, args.dtype, args.epochs)
    half = len(epochs) // 2
    settled = [record["rss_mib"] for record in epochs[half:]]
    slope = growth(settled)
    rows = [(record["epoch"], f"{record['rss_mib']:.1f}", f"{record['peak_rss_mib']:.1f}")
            for record in epochs if record["epoch"] % 5 == 0 or record is epochs[-1]]
    spread = f"median {statistics.median(settled):.1f}, {min(settled):.1f} to {max(settled):.1f}"
    text = [table(("epoch", "resident at its end, MiB", "highest so far, MiB"), rows), "",
            f"growth from epoch {half} on: {slope:+.3f} MiB per epoch by a fitted line, {spread}",
            f"{args.model}, {args.dtype}, {len(epochs)} epochs of the excerpt; {machine_line()}"]
    write_report(args.out, "memory", "\n".join(text), rss_mib=[record["rss_mib"] for record in epochs],
                 peak_rss_mib=[record["peak_rss_mib"] for record in epochs], growth_mib_per_epoch=slope)
    return int(slope > FLAT_MIB)


def growth(values):
    """Slope of the straight line through equally spaced values, by least squares."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])


def run(model, dtype, epochs):
    """Train on the embedded excerpt; returns the epoch records of metrics.jsonl."""
    announce(f"training {model} for {epochs} epochs of the embedded excerpt", everywhere=True)
    with tempfile.TemporaryDirectory() as folder:
        words = ["train_cifar.py", "--dataset", "cifar10-excerpt", "--model", model, "--mode", "hybrid",
                 "--dtype", dtype, "--batch-size", 100, "-j", 2, "--num-epochs", epochs, "--lr", 0.01,
                 "--save-period", 0, "--save-dir", folder, "--logging-dir", folder, "--save-plot-dir", folder]
        done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, stdout=subprocess.DEVNULL,
                              # for its status line
                              stderr=None if on_terminal() else subprocess.DEVNULL)
        if done.returncode:
            raise UserError(f"--model {model}: the training ended with code {done.returncode}; run it by "
                            f"itself:  python {' '.join(map(str, words[:9]))}")
        (metrics,) = Path(folder).rglob("metrics.jsonl")
        records = map(json.loads, metrics.read_text(encoding="utf-8").splitlines())
        return [record for record in records if record["kind"] == "epoch"]


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cifar_resnet20_v1", help="(default cifar_resnet20_v1)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32",
                        help="(default float32)")
    parser.add_argument("--epochs", type=int, default=30, help="(default 30)")
    parser.add_argument("--out", metavar="DIR", help="folder for memory.md and memory.json")
    args = parser.parse_args(argv)
    check_numbers(args, COMMAND_FLAGS, epochs=EPOCHS_FROM_1._replace(least=LEAST_EPOCHS))
    return args
