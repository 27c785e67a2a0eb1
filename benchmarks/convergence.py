"""Compare the training accuracy of GluonCV's CIFAR script and this kit over several seeds.

    python benchmarks/convergence.py --binaries cifar-10-batches-bin --data-dir cifar10-rec \\
        --gluoncv-script gluon-cv/scripts/classification/cifar/train_cifar10.py
    python benchmarks/convergence.py --report

Each run is the published command of cifar_resnet20_v1 on the complete CIFAR-10, stopped after 8 epochs. There
are three sides:

    gluoncv     GluonCV's train_cifar10.py, unmodified, after an import of this kit, without which MXNet fails
    float32     train_cifar.py
    bfloat16    train_cifar.py --dtype bfloat16

For one seed, `gluoncv` and `float32` start from the same weights, drawn by train_cifar.py. (Both scripts have
the same distribution, see tests/parity/test_initialisation_parity.py, but draw the layers in a different
order.) The order of images, the crops and the flips differ. GluonCV's net is compiled with this kit's graph
rewriting, which saves time and changes no value (tests/models/test_cpu_graph.py); the seeds in PLAIN run
without it.

These were fixed before the first run: the seeds, the number of epochs, the statistic (mean training accuracy
of epochs 4 to 7) and the stopping rule. The rule: at least 8 pairs, then more until the half-width of
the 95 % interval is at most 0.35 points, and at most 14. Finished runs are not repeated. An interrupted run
of this kit continues; an interrupted run of GluonCV's script starts again.
"""

import argparse
import csv
import os
import random
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SEEDS = tuple(range(10, 24))             # chosen before any of them was trained
PLAIN = (10, 11, 12)                     # without graph rewriting
LEAST_PAIRS, BFLOAT16_RUNS = 8, 5
EPOCHS, STATISTIC = 8, (4, 5, 6, 7)
HALF_WIDTH = 0.35                        # percentage points
FLAGS = ["--num-epochs", str(EPOCHS), "--mode", "hybrid", "--num-gpus", "0", "-j", "2", "--batch-size", "128",
         "--wd", "0.0001", "--lr", "0.1", "--lr-decay", "0.1", "--lr-decay-epoch", "100,150", "--model",
         "cifar_resnet20_v1"]
COLUMNS = ("side", "seed", "epoch", "train", "val", "loss", "time_s")


def main():
    args = parse_args()
    if args.as_gluoncv is not None:
        return gluoncv_process(args)
    if not args.report:
        args.out.mkdir(parents=True, exist_ok=True)
        for side, seed in planned(args.out):
            print(f"{side}, seed {seed} ...", flush=True)
            (run_gluoncv if side == "gluoncv" else run_kit)(args, side, seed)
            write_csv(args.out)
    return report(args.out)


def planned(out):
    """Yield (side, seed) of the missing runs, until the stopping rule is met."""
    for count, seed in enumerate(SEEDS):
        if count >= LEAST_PAIRS and half_width(differences(read_csv(out))) <= HALF_WIDTH:
            return
        sides = ("gluoncv", "float32", "bfloat16")[:3 if count < BFLOAT16_RUNS else 2]
        yield from ((side, seed) for side in sides if len(epochs_of(log_of(out, side, seed))) < EPOCHS)


def log_of(out, side, seed):
    return out / f"{side}_seed{seed}" / "train_cifar10_cifar_resnet20_v1.log"


def epochs_of(path):
    """The finished epochs of a log: list of dicts with the last five of COLUMNS."""
    from gluon_tricks.log_lines.lines import CifarEpoch, parse_line

    texts = path.read_text().splitlines() if path.exists() else []
    lines = [parse_line(text.removeprefix("INFO:root:")) for text in texts]
    return [{"epoch": line.epoch, "train": line.train, "val": line.val, "loss": line.loss,
             "time_s": line.time_s}
            for line in lines if isinstance(line, CifarEpoch)]


# --- the runs -----------------------------------------------------------------------------------------------

def run_kit(args, side, seed):
    """Run train_cifar.py once; an interrupted run continues."""
    folder = log_of(args.out, side, seed).parent
    subprocess.run([sys.executable, ROOT / "train_cifar.py", *FLAGS, "--data-dir", args.data_dir, "--dtype",
                    side, "--seed", str(seed), "--save-period", "0", "--save-dir", folder / "params",
                    "--logging-dir", folder, "--save-plot-dir", folder, "--resume", "auto"], check=True,
                   stdout=subprocess.DEVNULL)


def run_gluoncv(args, side, seed):
    """Run GluonCV's script once, in its own process. The log gets its name when it is complete."""
    log = log_of(args.out, side, seed)
    log.parent.mkdir(exist_ok=True)
    part = log.with_suffix(".part")
    with open(part, "w", encoding="utf-8") as stream:
        subprocess.run([sys.executable, __file__, "--as-gluoncv", str(seed), "--gluoncv-script",
                        args.gluoncv_script.absolute(), "--binaries", args.binaries.absolute(), "--out",
                        log.parent.absolute()], check=True,
                       stderr=stream)
    os.replace(part, log)


def gluoncv_process(args):
    """Run GluonCV's script in this process, from the weights that train_cifar.py draws for this seed."""
    import gluon_tricks  # noqa: F401  makes MXNet importable with this NumPy

    # isort: split
    import mxnet as mx

    from gluon_tricks.models.registry import get_model
    from gluon_tricks.randomness import net_seed

    seed = args.as_gluoncv
    seed_all(seed)
    drawn = get_model("cifar_resnet20_v1", classes=10)      # this kit's net has GluonCV's parameter names
    mx.random.seed(net_seed(seed, -1))
    drawn.initialize(mx.init.Xavier())
    drawn.save_parameters(str(args.out / "drawn.params"))

    def load_drawn(net, *rest, **options):
        """Replaces `Block.initialize`."""
        net.load_parameters(str(args.out / "drawn.params"))
        if seed not in PLAIN:
            compile_rewritten(net)

    mx.gluon.Block.initialize = load_drawn
    run_script(args.gluoncv_script, [*FLAGS, "--save-period", "0"], args.binaries, args.out)


def seed_all(seed):
    """Seed the generators that GluonCV's scripts draw from."""
    import mxnet as mx
    import numpy as np

    for seed_one in (random.seed, np.random.seed, mx.random.seed):
        seed_one(seed)


def compile_rewritten(net):
    """Compile an initialised CIFAR net with this kit's graph rewriting, which changes no value."""
    import mxnet as mx

    from gluon_tricks.models.cpu_graph import speed_up
    from gluon_tricks.parameters import settle_weights

    net.hybridize(False)
    net(mx.nd.zeros((1, 3, 32, 32)))
    settle_weights(net)
    speed_up(net)
    net.hybridize()


def run_script(script, flags, binaries, folder):
    """Run GluonCV's train_cifar10.py in this process, on the images in `binaries`; it logs to stderr."""
    from mxnet.gluon.data.vision import datasets

    datasets.check_sha1 = lambda path, digest: True      # the publisher's images, in another order or fewer
    datasets.CIFAR10.__init__.__defaults__ = (str(binaries), True, None)
    sys.argv = [str(script), *flags, "--save-plot-dir", "."]
    os.chdir(folder)
    runpy.run_path(str(script), run_name="__main__")


# --- the result ---------------------------------------------------------------------------------------------

def write_csv(out):
    name = log_of(out, "", "").name
    rows = [{"side": folder.name.split("_seed")[0], "seed": folder.name.split("_seed")[1], **epoch}
            for folder in sorted(out.glob("*_seed*")) for epoch in epochs_of(folder / name)]
    part = out / "epochs.part.csv"
    with open(part, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(part, out / "epochs.csv")


def read_csv(out):
    """{(side, seed): {epoch: training accuracy in percent}}; empty without a file."""
    runs = {}
    if (out / "epochs.csv").exists():
        with open(out / "epochs.csv", newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                run = runs.setdefault((row["side"], int(row["seed"])), {})
                run[int(row["epoch"])] = 100 * float(row["train"])
    return runs


def statistics_of(runs, side):
    """{seed: mean training accuracy of the epochs in STATISTIC} of the finished runs of a side."""
    return {seed: sum(epochs[e] for e in STATISTIC) / len(STATISTIC)
            for (name, seed), epochs in runs.items() if name == side and set(STATISTIC) <= set(epochs)}


def differences(runs, side="float32", other="gluoncv"):
    """`side` minus `other` in points, for each seed that both have."""
    these, those = statistics_of(runs, side), statistics_of(runs, other)
    return [these[seed] - those[seed] for seed in sorted(these.keys() & those.keys())]


def half_width(values, level=0.95):
    """Half the width of Student's confidence interval of the mean; inf for fewer than two values."""
    from scipy import stats

    if len(values) < 2:
        return float("inf")
    return stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.tstd(values) / len(values) ** 0.5


def report(out):
    from scipy import stats

    runs = read_csv(out)
    print(f"training accuracy in percent, mean of epochs {STATISTIC[0]} to {STATISTIC[-1]}")
    print(f"{'side':10s} {'runs':>4s} {'mean':>7s} {'spread':>7s}")
    for side in ("gluoncv", "float32", "bfloat16"):
        values = list(statistics_of(runs, side).values())
        if values:
            spread = f"{stats.tstd(values):7.2f}" if len(values) > 1 else "      -"
            print(f"{side:10s} {len(values):4d} {sum(values) / len(values):7.2f} {spread}")
    for side, other in (("float32", "gluoncv"), ("bfloat16", "float32"), ("bfloat16", "gluoncv")):
        pairs = differences(runs, side, other)
        if len(pairs) > 1:
            mean, half = sum(pairs) / len(pairs), half_width(pairs)
            print(f"{side} - {other}: {mean:+.2f} points, 95 % interval {mean - half:+.2f} to "
                  f"{mean + half:+.2f}, {len(pairs)} pairs, p = {stats.ttest_1samp(pairs, 0).pvalue:.3f}")
    return 0


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true", help="only print the result of the runs in --out")
    parser.add_argument("--gluoncv-script", type=Path,
                        help="GluonCV's scripts/classification/cifar/train_cifar10.py")
    parser.add_argument("--binaries", type=Path, help="folder with data_batch_1.bin ... test_batch.bin")
    parser.add_argument("--data-dir", type=Path,
                        help="folder that data_prep/cifar.py wrote, with the same images")
    parser.add_argument("--out", type=Path, default=ROOT / "logs" / "reference" / "convergence",
                        help="folder of logs and epochs.csv (default logs/reference/convergence)")
    parser.add_argument("--as-gluoncv", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.report and not (args.gluoncv_script and args.binaries):
        parser.error("--gluoncv-script and --binaries: give both, or give --report")
    return args


if __name__ == "__main__":
    sys.exit(main())
