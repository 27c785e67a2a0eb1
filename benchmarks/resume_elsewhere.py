"""A run of two processes, stopped and resumed as one and as four: the same images in every update, the same
parameters?

    python benchmarks/resume_elsewhere.py                      # ps-lite and Horovod

Five updates in two processes with a batch of 32 each, then five in one of 64 or four of 16, against ten in
one process that was never stopped; the rest as in equivalence.py, with BatchNorm on its stored statistics.
Prints the largest relative difference of a loss, which another image in the batch would change in its second
digit, and of the parameters. Exit code 0 if losses agree to 1e-5 and parameters to 1e-5.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from equivalence import difference, train
from tqdm import tqdm

FIRST, ALL = 5, 10


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["dist_sync", "horovod"],
                        choices=("dist_sync", "horovod"))
    parser.add_argument("--lr", type=float, default=0.002)
    parser.add_argument("--model", default="cifar_resnet20_v1")
    args = parser.parse_args()
    outside = 0
    with tempfile.TemporaryDirectory() as folder, tqdm(total=1 + 4 * len(args.engines), disable=None) as bar:
        scratch = Path(folder)
        expected, losses = run(args, scratch, "whole", 1, None, ALL)
        bar.update()
        for engine in args.engines:
            for n in (1, 4):
                name = f"{engine}-{n}"
                run(args, scratch, name, 2, engine, FIRST)
                bar.update()
                got, seen = run(args, scratch, name, n, engine if n > 1 else None, ALL, "--resume", "auto")
                bar.update()
                loss = max(abs(ours / theirs - 1) for ours, theirs in zip(seen, losses, strict=True))
                params = difference(got, expected, "param/")
                outside += bool(loss > 1e-5 or params > 1e-5)
                bar.write(f"{engine:9} 2 processes, then {n}: losses of {len(seen)} updates {loss:.1e}, "
                          f"parameters {params:.1e}")
    print(f"{outside} of {2 * len(args.engines)} outside")
    return outside > 0


def run(args, scratch, name, n, engine, updates, *more):
    """Arrays of the resume file after so many updates in all, and the loss of each update."""
    options = argparse.Namespace(model=args.model, lr=args.lr, updates=updates)
    arrays = train(options, scratch, name, "float32", "global", n, engine, ["--log-interval", 1, *more])
    (metrics,) = (scratch / name).rglob("metrics.jsonl")
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    return arrays, [record["loss"] for record in records if record["kind"] == "interval"]


if __name__ == "__main__":
    sys.exit(main())
