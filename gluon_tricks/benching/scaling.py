"""Several processes compared with one on the same processor cores, and the cost of their exchange of
gradients.

    python -m gluon_tricks bench scaling    # cifar_resnet20_v1, global batch 128, the embedded excerpt
    python -m gluon_tricks bench scaling --engines horovod --rounds 7 --out bench

The sides take turns over the same epochs of the same images; the rate is that of the last epoch, as the first
compiles:

    1 process            all cores in one process
    apart                as many independent trainings as workers, one core each: no exchange at all
    horovod, dist_sync   as many workers, one core each

On one machine more processes have no more cores: the ratio to `1 process` is the cost of several processes,
the ratio to `apart` that of the exchange. Then follows the time of one exchange by its size, with a straight
line through it for latency and bandwidth; docs/scaling.md compares them with larger machines.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gluon_tricks.benching.paired import at_least_rounds, machine_line, paired, table, write_report
from gluon_tricks.compat import visible_cpus
from gluon_tricks.errors import UserError
from gluon_tricks.files import ROOT
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.training.status import announce

ONE = "1 process"
SIZES = [4 << shift for shift in range(0, 25, 4)]            # 4 bytes to 64 MB
REPEATS = 9


def main(argv):
    args = parse_args(argv)
    job = Job(args.model, args.global_batch, args.epochs, args.workers)
    sides = {ONE: lambda: rates(job, 1, args.workers, None)[0],
             "apart": lambda: sum(rates(job, args.workers, 1, None)),
             **{engine: lambda engine=engine: rates(job, 1, 1, engine)[0] for engine in args.engines}}
    # the first epoch of each run is its warm-up
    result = paired(sides, args.rounds, warm_up=0, what="trainings")
    rows = [(side, result.rate(side).show(1), result.ratio(side, ONE).show(3),
             result.ratio(side, "apart").show(3))
            for side in sides]
    announce("measuring exchanges of arrays", everywhere=True)
    lines = {engine: exchange_line(args.workers, engine) for engine in args.engines}
    text = [table(("side", "images/s (least to greatest)", f"ratio to {ONE}", "ratio to apart"), rows), "",
            *(f"{engine}: an exchange takes {1e3 * latency:.2f} ms and {1e9 / bandwidth:.2f} ms per MB"
              for engine, (latency, bandwidth, _) in lines.items()),
            f"{args.model}, global batch {args.global_batch}, {args.workers} workers, {args.rounds} rounds "
            f"in turn; {machine_line()}"]
    write_report(args.out, "scaling", "\n".join(text), images_per_s=result.rates, rounds=args.rounds,
                 exchange={engine: {"latency_s": latency, "bytes_per_s": bandwidth,
                                    "bytes_and_seconds": measured}
                           for engine, (latency, bandwidth, measured) in lines.items()})
    return 0


@dataclass(frozen=True)
class Job:
    """What every side trains."""
    model: str
    global_batch: int        # images per update over all workers
    epochs: int
    workers: int


def rates(job, runs, threads, engine):
    """Images per second in the last epoch of `runs` trainings at a time, each with `threads` operator
    threads."""
    with tempfile.TemporaryDirectory() as folder:
        found = [None] * runs

        def one(number):
            found[number] = rate(job, Path(folder, str(number)), runs, threads, engine)
        together = [threading.Thread(target=one, args=(number,)) for number in range(runs)]
        for thread in together:
            thread.start()
        for thread in together:
            thread.join()
    if None in found:
        raise UserError("bench scaling: a training failed; its output is above")
    return found


def rate(job, folder, runs, threads, engine):
    """Images per second in the last epoch of one training; None if it failed."""
    workers = job.workers if engine else 1
    words = ["train_cifar.py", "--dataset", "cifar10-excerpt", "--model", job.model, "--mode", "hybrid", "-j",
             1, "--batch-size", job.global_batch // (workers * runs), "--num-epochs", job.epochs,
             "--lr-decay-epoch", 1, "--checkpoint-period", 0, "--save-period", 0, "--save-dir", folder,
             "--logging-dir", folder, "--save-plot-dir", folder]
    launcher = ["-m", "gluon_tricks", "launch", "-n", workers, "--engine", engine, "--"] if engine else []
    done = subprocess.run([sys.executable, *map(str, [*launcher, *words])], cwd=ROOT, capture_output=True,
                          text=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return None
    (metrics,) = folder.rglob("metrics.jsonl")
    epochs = [record for record in map(json.loads, metrics.read_text().splitlines())
              if record["kind"] == "epoch"]
    return epochs[-1]["samples_per_s"]


def exchange_line(workers, engine):
    """`(seconds, bytes per second, [[bytes, seconds]])`: time = seconds + bytes / rate, least squares of
    relative errors."""
    words = ["-m", "gluon_tricks", "launch", "-n", workers, "--engine", engine, "--", sys.executable, "-m",
             "gluon_tricks.benching.exchange_side", "--repeats", REPEATS, "--sizes", *SIZES]
    done = subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    found = re.search(r"\[0\] (\[\[.*\]\])", done.stdout)
    if done.returncode or not found:
        raise UserError(f"bench scaling: {engine} cannot exchange arrays: "
                        f"{(done.stderr.strip().splitlines() or ['?'])[-1]}")
    measured = json.loads(found[1])
    sizes, seconds = np.array(measured).T
    latency, per_byte = np.linalg.lstsq(np.stack([1 / seconds, sizes / seconds], axis=1), np.ones(len(sizes)),
                                        rcond=None)[0]
    return latency, 1 / per_byte, measured


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    engines = ("horovod", "dist_sync") if importlib.util.find_spec("horovod") else ("dist_sync",)
    parser.add_argument("--workers", type=int, default=visible_cpus(), help="(default: the processor cores)")
    parser.add_argument("--engines", nargs="+", default=list(engines), choices=("horovod", "dist_sync"))
    parser.add_argument("--global-batch", type=int, default=128,
                        help="images per update over all workers (default 128)")
    parser.add_argument("--epochs", type=int, default=2, help="of each training (default 2)")
    parser.add_argument("--model", default="cifar_resnet20_v1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", metavar="DIR", help="also write scaling.md and scaling.json there")
    args = parser.parse_args(argv)
    check_numbers(args, COMMAND_FLAGS)
    at_least_rounds(args.rounds)
    if args.workers < 2:
        raise UserError(f"--workers {args.workers}: at least 2")
    if args.epochs < 2:
        raise UserError(f"--epochs {args.epochs}: at least 2, the first one compiles")
    if args.global_batch % args.workers:
        raise UserError(f"--global-batch {args.global_batch}: must be a multiple of --workers {args.workers}")
    return args
