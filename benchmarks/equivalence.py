"""Is it the same training at any number of devices and processes? Ten updates each, parameters and momentum
compared.

    python benchmarks/equivalence.py              # both engines and devices of one process, 1, 2 and 4 parts
    python benchmarks/equivalence.py --dtypes float32 --workers 2

First with BatchNorm on its stored (global) statistics, so that the net treats every image by itself: one
process with a batch of 64 against 2 of 32 and 4 of 16. Then with BatchNorm's own, local statistics and mixup,
which both see a device's part of the batch: against one process with --emulate-gpus 2 or 4. NAG, 5 epochs of
warm-up, no decay of biases, label smoothing; the embedded excerpt.

Prints the relative difference of all parameters as one vector, and of the momentum (a gradient whose ReLUs
flip shows there first); `moved` is how far the parameters have come from where they started, in the same
measure. `control` is the yardstick: the same process with two threads, which only add up in another order.
Exit code 0 if the parameters of every comparison are within 1e-5, in bfloat16, which rounds 65,536 times as
coarsely, 1e-4.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
EXCERPT = ROOT / "gluon_tricks" / "data" / "cifar10_excerpt"
GLOBAL_BATCH, IMAGES = 64, 2000
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-4}
DEVICES, CONTROL = "devices", "control"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=[CONTROL, DEVICES, "dist_sync", "horovod"],
                        choices=(CONTROL, DEVICES, "dist_sync", "horovod"))
    parser.add_argument("--workers", nargs="+", type=int, default=[2, 4], help="divisors of 64 (default 2 4)")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"],
                        choices=("float32", "bfloat16"))
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.002,
                        help="peak rate (default 0.002; at higher ones rounding alone soon exceeds 1e-5: see "
                             "control)")
    parser.add_argument("--model", default="cifar_resnet20_v1")
    args = parser.parse_args()
    cases = [(dtype, statistics, n) for dtype in args.dtypes for statistics in ("global", "local")
             for n in args.workers]
    worst, outside, known = 0.0, 0, {}
    with tempfile.TemporaryDirectory() as scratch, tqdm(total=len(cases) * (1 + len(args.engines)),
                                                        disable=None) as bar:
        for dtype, statistics, n in cases:
            # images meet others in BatchNorm and mixup only
            parts = ["--emulate-gpus", n, "--batch-size", GLOBAL_BATCH // n] if statistics == "local" else []
            case = f"{dtype}-{statistics}" + (f"-{n}" if parts else "")
            if case not in known:
                known[case] = [train(argparse.Namespace(**{**vars(args), "lr": lr}), Path(scratch),
                                     f"{case}-{lr}", dtype,
                                     statistics, 1, None, parts) for lr in (args.lr, 1e-12)]
            bar.update()
            expected, start = known[case]
            moved = difference(expected, start, "param/")
            for engine in args.engines:
                got = train(args, Path(scratch), f"{dtype}-{statistics}-{n}-{engine}", dtype, statistics,
                            1 if engine == CONTROL else n, engine, parts if engine == CONTROL else [])
                differences = {part: difference(got, expected, part) for part in ("param/", "state/")}
                if engine != CONTROL:
                    worst = max(worst, differences["param/"])
                    outside += bool(differences["param/"] > TOLERANCE[dtype])
                bar.update()
                bar.write(f"{dtype:9} {statistics:6} statistics, {n} x {GLOBAL_BATCH // n:<3} {engine:10} "
                          f"parameters {differences['param/']:.1e} (moved {moved:.1e})  momentum "
                          f"{differences['state/']:.1e}")
    print(f"{len(cases) * len(set(args.engines) - {CONTROL})} comparisons, parameters differ by {worst:.1e} "
          "at most")
    return outside > 0


def train(args, scratch, name, dtype, statistics, n, engine, parts):
    """Arrays of the resume file at the end."""
    folder = scratch / name
    files = [word for part, stem in (("train", "train"), ("val", "test"))
             for word in (f"--rec-{part}", EXCERPT / f"{stem}.rec", f"--rec-{part}-idx",
                          EXCERPT / f"{stem}.idx")]
    words = ["--job", statistics, "--model", args.model, "--dtype", dtype, "--mode", "hybrid", "--use-rec",
             *files,
             "--data-backend", "ours", "--classes", 10, "--num-training-samples", IMAGES, "--input-size", 32,
             "-j", 1,
             "--no-wd", "--label-smoothing", "--warmup-epochs", 5, "--num-epochs", 10, "--lr-mode", "cosine",
             "--lr", args.lr, "--batch-size", GLOBAL_BATCH // n, "--max-updates", args.updates, "--save-dir",
             folder,
             "--logging-file", folder / "train.log", *(["--mixup"] if statistics == "local" else []), *parts]
    if engine == DEVICES:
        words += ["--num-cpus", n]
    launcher = ["-m", "gluon_tricks", "launch", "-n", n, "--engine", engine, "--"]
    launcher = [] if engine in (None, CONTROL, DEVICES) else launcher
    done = subprocess.run([sys.executable, *map(str, [*launcher, Path(__file__), *words])], cwd=ROOT,
                          capture_output=True,
                          text=True, env={**os.environ, "OMP_NUM_THREADS": "2" if engine == CONTROL else "1",
                                          "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    (resume,) = folder.glob("*.resume.npz")
    with np.load(resume) as archive:
        return {key: archive[key].astype(np.float64) for key in archive.files
                if key.startswith(("param/", "state/")) and "running" not in key}


def difference(got, expected, part):
    """Norm of the difference of all arrays of a kind as one vector, relative to the norm of that vector."""
    assert set(got) == set(expected)
    pairs = [(got[name], expected[name]) for name in expected if name.startswith(part)]
    squares = np.sum([[((a - b) ** 2).sum(), (b**2).sum()] for a, b in pairs], axis=0)
    return (squares[0] / squares[1]) ** 0.5


def job(statistics, argv):
    """A run of train_imagenet.py, in every process."""
    sys.path.insert(0, str(ROOT))
    from mxnet.gluon import nn

    import train_imagenet
    from gluon_tricks.errors import run_main
    from gluon_tricks.script import imagenet
    plain = imagenet.get_model

    def get_model(*names, **kwargs):
        net = plain(*names, **kwargs)
        net.apply(lambda block: block._kwargs.update(use_global_stats=statistics == "global")
                  if isinstance(block, nn.BatchNorm) else None)
        return net
    imagenet.get_model = get_model
    run_main(lambda: train_imagenet.main(argv))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        job(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
