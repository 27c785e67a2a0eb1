"""Make the reference runs of `make demo`: GluonCV's own script on the excerpt of CIFAR-10 in this kit.

    python benchmarks/excerpt.py --gluoncv-script gluon-cv/scripts/classification/cifar/train_cifar10.py
    python benchmarks/excerpt.py --kit              # runs of train_cifar.py: other seeds, and a fault

Side `gluoncv` is GluonCV's train_cifar10.py, unmodified, after an import of this kit, without which MXNet
fails: its Dataset, transforms, DataLoader, initialiser, Trainer and metrics. It reads the excerpt from files
of the publisher's format, which this script writes. Its net is compiled with this kit's graph rewriting,
which saves time and changes no value (tests/models/test_cpu_graph.py); the seeds in PLAIN run without it.

These were fixed before the first run: the seeds, the recipe, and the rule of the band, which
`gluon_tricks/judging/repeats.py` holds. In each epoch, with mean m and standard deviation s of the N = 8
runs, a further run lies within

    m +- t s sqrt(1 + 1/N),      t: Student's quantile of N - 1 degrees of freedom at 1 - alpha / 2

with probability 1 - alpha, if runs are normally distributed. A whole run has 20 such figures (10 epochs,
training and validation accuracy). With alpha = 0.01 / 20, at most 1 % of correct runs are found outside,
however the figures depend on each other (Bonferroni's inequality).

The runs of this kit have seeds that the reference does not have; they are not part of the band. `kit_lr1` is
the recipe with --lr 1, an example of a fault. Finished runs are not repeated. Logs go to
`logs/reference/excerpt/`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.convergence import compile_rewritten, epochs_of, run_script, seed_all

SEEDS, PLAIN = tuple(range(8)), (0, 1)
KIT = {**{f"kit_seed{seed}": ("--seed", str(seed)) for seed in (100, 101, 102, 103)},
       "kit_lr1": ("--seed", "100", "--lr", "1")}
EPOCHS = 10
FLAGS = ["--model", "cifar_resnet20_v1", "--mode", "hybrid", "--num-gpus", "0", "-j", "2",
         "--batch-size", "64", "--lr", "0.1", "--num-epochs", str(EPOCHS), "--lr-decay-epoch", "7,9"]


def main():
    args = parse_args()
    if args.as_gluoncv is not None:
        return gluoncv_process(args)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in KIT if args.kit else [f"gluoncv_seed{seed}" for seed in SEEDS]:
        log = args.out / f"{name}.log"
        if len(epochs_of(log)) < EPOCHS:
            print(f"{name} ...", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                (run_kit if args.kit else run_gluoncv)(args, name, Path(folder), log)
    return 0


def run_kit(args, name, folder, log):
    """Run train_cifar.py once; its log gets its place when it is complete."""
    subprocess.run([sys.executable, ROOT / "train_cifar.py", "--dataset", "cifar10-excerpt", *FLAGS,
                    *KIT[name], "--save-dir", "params", "--logging-dir", "."], check=True, cwd=folder,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    keep([next(folder.glob("*.log"))], log)


def run_gluoncv(args, name, folder, log):
    """Run GluonCV's script once, in its own process."""
    write_binaries(folder)
    part = folder / "part.log"
    with open(part, "w", encoding="utf-8") as stream:
        subprocess.run([sys.executable, __file__, "--as-gluoncv", name.removeprefix("gluoncv_seed"),
                        "--gluoncv-script", args.gluoncv_script.absolute(), "--out", folder], check=True,
                       stderr=stream, stdout=subprocess.DEVNULL)
    keep([part], log)


def keep(logs, place):
    """Write the lines of the scripts' logger to `place`, without those of other packages."""
    lines = [line for log in logs for line in log.read_text(encoding="utf-8").splitlines()
             if line.startswith("INFO:root:")]
    part = place.with_suffix(".part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(part, place)


def gluoncv_process(args):
    """Run GluonCV's script in this process, with its own initialiser."""
    import gluon_tricks  # noqa: F401  makes MXNet importable with this NumPy

    # isort: split
    import mxnet as mx

    seed_all(args.as_gluoncv)
    initialize = mx.gluon.Block.initialize

    def initialize_and_rewrite(net, *rest, **options):
        initialize(net, *rest, **options)
        compile_rewritten(net)

    if args.as_gluoncv not in PLAIN:
        mx.gluon.Block.initialize = initialize_and_rewrite
    run_script(args.gluoncv_script, FLAGS, args.out, args.out)
    return 0


def write_binaries(folder):
    """Write the excerpt as data_batch_1.bin to data_batch_5.bin and test_batch.bin: for each image a byte of
    the label, then its red, green and blue pixels."""
    import numpy as np

    from gluon_tricks.data.loaders import ImagesInMemory
    from gluon_tricks.data.manifest import open_split, read_manifest
    from gluon_tricks.data.paths import EXCERPT_DIR

    manifest = read_manifest(EXCERPT_DIR)
    for split, names in (("train", [f"data_batch_{i}" for i in range(1, 6)]), ("test", ["test_batch"])):
        images = ImagesInMemory(*open_split(EXCERPT_DIR, split, manifest))
        pixels = images.pixels.transpose(0, 3, 1, 2).reshape(len(images), -1)
        rows = np.concatenate([images.labels.astype("uint8")[:, None], pixels], axis=1)
        for name, part in zip(names, np.array_split(rows, len(names))):
            (folder / f"{name}.bin").write_bytes(part.tobytes())


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gluoncv-script", type=Path,
                        help="GluonCV's scripts/classification/cifar/train_cifar10.py")
    parser.add_argument("--kit", action="store_true", help="make the runs of train_cifar.py")
    parser.add_argument("--out", type=Path, default=ROOT / "logs" / "reference" / "excerpt",
                        help="folder of the logs (default logs/reference/excerpt)")
    parser.add_argument("--as-gluoncv", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (args.kit or args.gluoncv_script):
        parser.error("--gluoncv-script: give it, or give --kit")
    return args


if __name__ == "__main__":
    sys.exit(main())
