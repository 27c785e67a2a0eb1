"""Does fine-tuning pay? 1,000 images of CIFAR-10, from a net trained on CIFAR-100 and from drawn weights.

    python benchmarks/fine_tuning.py --cifar100 cifar-100-binary --cifar10 cifar-10-batches-bin --out tuning
    python benchmarks/fine_tuning.py --out tuning --report

First the base: a net is trained on the images in --cifar100, all there are. Then each side is trained on the
first 100 training images of each class of CIFAR-10, with the same flags and once for each seed:

    drawn        from drawn weights
    fine-tuned   --init-params BASE
    head only    --init-params BASE --freeze backbone --freeze-norm

The result is the accuracy of the last epoch on the 10,000 test images. The differences from `drawn` are taken
within each seed, with Student's 95 % interval of their mean. Finished runs are not repeated, interrupted ones
continue. Writes epochs.csv, fine_tuning.md and fine_tuning.png to --out.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.convergence import half_width

SIDES = ("drawn", "fine-tuned", "head only")
COLUMNS = ("side", "seed", "epoch", "val", "loss")


def main(argv=None):
    args = parse_args(argv)
    if not args.report:
        base = train_base(args)
        for seed in args.seeds:
            for side in SIDES:
                train_side(args, side, seed, base)
    runs = {(side, seed): epochs_of(folder_of(args.out, side, seed)) for side in SIDES for seed in args.seeds}
    return report(args, {key: epochs for key, epochs in runs.items() if len(epochs) == args.epochs})


# --- the runs -----------------------------------------------------------------------------------------------

def prepared(args, dataset, source, *flags):
    """The folder of the prepared images of a data set."""
    out = args.out / "data" / dataset
    subprocess.run([sys.executable, ROOT / "data_prep/cifar.py", "--source", source, "--out", out, *flags],
                   check=True, stdout=subprocess.DEVNULL)
    return out


def train(args, folder, *flags):
    """Train in a folder; an interrupted run continues."""
    print(f"{folder.name} ...", flush=True)
    subprocess.run([sys.executable, ROOT / "train_cifar.py", "--model", args.model, "--mode", "hybrid", "-j",
                    "1", "--lr-mode", "cosine", "--warmup-epochs", "1", "--lr", str(args.lr), "--save-period",
                    "0", "--save-dir", folder / "params", "--logging-dir", folder, "--save-plot-dir", folder,
                    "--resume", "auto", *flags], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL if args.quiet else None)


def train_base(args):
    """Train the base; the file of its last epoch."""
    data, folder = prepared(args, "cifar100", args.cifar100, "--subset"), args.out / "base"
    file = folder / "params" / f"cifar100-{args.model}-{args.base_epochs - 1}.params"
    if not file.exists():
        train(args, folder, "--dataset", "cifar100", "--data-dir", data, "--batch-size", "128",
              "--num-epochs", str(args.base_epochs))
    return file


def train_side(args, side, seed, base):
    folder = folder_of(args.out, side, seed)
    if len(epochs_of(folder)) == args.epochs:
        return
    data = prepared(args, "cifar10", args.cifar10, "--per-class", f"{args.train_images},{args.val_images}")
    start = {"drawn": [], "fine-tuned": ["--init-params", base],
             "head only": ["--init-params", base, "--freeze", "backbone", "--freeze-norm"]}[side]
    train(args, folder, "--dataset", "cifar10", "--data-dir", data, "--batch-size", "50", "--num-epochs",
          str(args.epochs), "--seed", str(seed), *start)


def folder_of(out, side, seed):
    return out / f"{side.replace(' ', '_')}_seed{seed}"


def epochs_of(folder):
    """The finished epochs of a run: records of metrics.jsonl."""
    from gluon_tricks.log_lines.run_files import read_metrics

    found = list(folder.glob("*/metrics.jsonl"))
    return [record for record in read_metrics(found[0]) if record["kind"] == "epoch"] if found else []


# --- the result ---------------------------------------------------------------------------------------------

def accuracy(record):
    """Validation accuracy of an epoch in percent."""
    return 100 * (1 - record["err_top1"])


def report(args, runs):
    """Write table, curves and all epochs of the finished runs; the table is printed too."""
    from gluon_tricks.files import atomic_write
    from gluon_tricks.studies.text import csv_text, markdown_table

    rows = []
    for side in SIDES:
        last = {seed: accuracy(runs[side, seed][-1]) for seed in args.seeds if (side, seed) in runs}
        gains = [last[seed] - accuracy(runs["drawn", seed][-1]) for seed in last if ("drawn", seed) in runs]
        gain = "" if side == "drawn" or not gains else interval(gains)
        rows.append((side, len(last), f"{sum(last.values()) / len(last):.2f}" if last else "not run",
                     ", ".join(f"{value:.2f}" for value in last.values()), gain))
    header = ("start", "runs", "top-1, mean, %", "each seed", "difference from drawn, points (95 % interval)")
    lines = markdown_table(header, rows)
    atomic_write(args.out / "fine_tuning.md", "\n".join(lines) + "\n")
    atomic_write(args.out / "epochs.csv", csv_text(COLUMNS, (
        (side, seed, record["epoch"], f"{accuracy(record):.2f}", f"{record['loss']:.4f}")
        for (side, seed), epochs in runs.items() for record in epochs)))
    if runs:
        plot(runs, args.out / "fine_tuning.png")
    print("\n".join(lines))
    return 0


def interval(values):
    """`+12.30 (+11.02 to +13.58)`: the mean and its 95 % interval."""
    mean, half = sum(values) / len(values), half_width(values)
    return f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})"


def plot(runs, path):
    """Validation accuracy over the epochs: a thin line for each seed, a thick one for the mean."""
    from gluon_tricks import pictures

    figure, (axes,) = pictures.panels((7, 4.5))
    for number, side in enumerate(SIDES):
        color = pictures.color_of(number)
        curves = [[accuracy(record) for record in epochs] for (name, _), epochs in runs.items()
                  if name == side]
        for curve in curves:
            axes.plot(range(len(curve)), curve, color=color, linewidth=0.6, alpha=0.5)
        if curves:
            means = [sum(values) / len(values) for values in zip(*curves)]
            axes.plot(range(len(means)), means, color=color, linewidth=2, label=side)
    pictures.label(axes, "epoch", "accuracy on the test images, top-1, %")
    pictures.epoch_axis(axes, 0, max(map(len, runs.values())) - 1)
    pictures.legend(axes)
    pictures.save(figure, path)


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path, help="folder of CIFAR-100's binary files, or a part of it")
    parser.add_argument("--cifar10", type=Path, help="folder of CIFAR-10's binary files")
    parser.add_argument("--out", type=Path, required=True, help="folder for data, runs and result")
    parser.add_argument("--model", default="cifar_resnet20_v1", help="(default cifar_resnet20_v1)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default 0 1 2)")
    parser.add_argument("--lr", type=float, default=0.05,
                        help="peak rate of all runs (default 0.05)")
    parser.add_argument("--base-epochs", type=int, default=30, help="(default 30)")
    parser.add_argument("--epochs", type=int, default=40, help="of each side (default 40)")
    parser.add_argument("--train-images", type=int, default=100, help="per class (default 100)")
    parser.add_argument("--val-images", type=int, default=1000, help="per class (default 1000: all)")
    parser.add_argument("--quiet", action="store_true", help="do not show the runs' logs")
    parser.add_argument("--report", action="store_true", help="only write the result of the runs in --out")
    args = parser.parse_args(argv)
    if not args.report and not (args.cifar100 and args.cifar10):
        parser.error("--cifar100 and --cifar10: give both, or give --report")
    return args


if __name__ == "__main__":
    sys.exit(main())
