"""Images per second of two workers with one thread each, beside one process with two threads: the same processor cores.

    python benchmarks/scaling.py                                     # cifar_resnet20_v1, global batch 128, the excerpt
    python benchmarks/scaling.py --workers 2 --engines horovod --rounds 5

All sides train one after the other, `--rounds` times, each over the same epochs of the same images; the rate is that of the
log's last epoch (the first one compiles). Only what a process costs is measured here: on one machine more processes bring no
more cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tqdm import tqdm

from gluon_tricks.compat import visible_cpus
from gluon_tricks.run_record import processor


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=visible_cpus(), help="(default: the processor cores)")
    parser.add_argument("--engines", nargs="+", default=["dist_sync", "horovod"], choices=("dist_sync", "horovod"))
    parser.add_argument("--global-batch", type=int, default=128)
    parser.add_argument("--model", default="cifar_resnet20_v1")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    one = f"1 process x {args.workers} threads"
    sides = {one: None, **{f"{engine}: {args.workers} processes x 1 thread": engine for engine in args.engines}}
    rates = {name: [] for name in sides}
    with tqdm(total=args.rounds * len(sides), unit="run", disable=None) as bar:
        for _ in range(args.rounds):
            for name, engine in sides.items():
                rates[name].append(rate(args, engine))
                bar.update()
    for name, values in rates.items():
        ratios = [value / base for value, base in zip(values, rates[one])]
        print(f"{name:36} {statistics.median(values):8.1f} images/s ({min(values):.1f} to {max(values):.1f})"
              f"   ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print(f"{args.model}, global batch {args.global_batch}, {args.rounds} rounds, {processor()}, {visible_cpus()} cores")


def rate(args, engine):
    """Images per second of the second epoch of a run."""
    with tempfile.TemporaryDirectory() as folder:
        workers, threads = (args.workers, 1) if engine else (1, args.workers)
        words = ["train_cifar.py", "--dataset", "cifar10-excerpt", "--model", args.model, "--mode", "hybrid", "-j", "1",
                 "--batch-size", args.global_batch // workers, "--num-epochs", "2", "--lr-decay-epoch", "1",
                 "--checkpoint-period", "0", "--save-period", "0", "--save-dir", folder, "--logging-dir", folder,
                 "--save-plot-dir", folder]
        launcher = ["-m", "gluon_tricks", "launch", "-n", workers, "--engine", engine, "--"] if engine else []
        done = subprocess.run([sys.executable, *map(str, [*launcher, *words])], cwd=ROOT, capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        assert done.returncode == 0, done.stderr
        (metrics,) = Path(folder).rglob("metrics.jsonl")
        epochs = [record for record in map(json.loads, metrics.read_text().splitlines()) if record["kind"] == "epoch"]
        return epochs[-1]["samples_per_s"]


if __name__ == "__main__":
    main()
