"""train_imagenet.py beside a loop of plain Gluon and GluonCV objects, on the same record files, several seeds
each.

    python benchmarks/side_by_side.py --rec-dir /data/photographs-rec --classes 160 --out side_by_side

The other loop is what GluonCV's train_imagenet.py does, written down with GluonCV's net and schedule, MXNet's
iterator, Trainer and metrics, and nothing of this kit's but the import that makes mxnet 1.9.1 load. Writes
the loss and training accuracy of every epoch of every run (curves.csv) and a picture of both bundles
(curves.png), and says for each epoch whether the two means lie within twice the standard error that the
seeds' spread gives. Finished runs are not run again. Exit code 0 if no more than one epoch in ten lies
outside.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SIDES = ("here", "gluoncv")


def main():
    args = parse_args()
    if args.reference_seed is not None:
        return reference(args)
    args.out.mkdir(parents=True, exist_ok=True)
    curves = {}
    for seed in range(args.seeds):         # alternating, so that a slow hour of the machine meets both sides
        for side in SIDES:
            path = args.out / f"{side}-{seed}.jsonl"
            if not path.exists() or len(read_rows(path)) < args.num_epochs:
                print(f"{side}, seed {seed} ...", flush=True)
                (ours if side == "here" else theirs)(args, seed, path)
            curves[side, seed] = read_rows(path)
    write_csv(args, curves)
    plot(args, curves)
    return verdict(args, curves)


def read_rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- the two sides ------------------------------------------------------------------------------------------

def rec_files(args):
    return [word for part in ("train", "val") for word in (f"--rec-{part}", f"{args.rec_dir}/{part}.rec",
                                                           f"--rec-{part}-idx", f"{args.rec_dir}/{part}.idx")]


def ours(args, seed, path):
    """One run of the script; its metrics.jsonl has what is wanted."""
    folder = args.out / f"run-{seed}"
    subprocess.run([sys.executable, ROOT / "train_imagenet.py", "--model", args.model, "--mode", "hybrid",
                    "--use-rec", "--data-backend", args.data_backend,
                    *rec_files(args), "--classes", str(args.classes), "--num-training-samples",
                    str(args.images),
                    "--input-size", str(args.input_size), "--batch-size", str(args.batch_size), "--lr",
                    str(args.lr),
                    "--lr-mode", "cosine", "--warmup-epochs", "2", "--num-epochs", str(args.num_epochs),
                    "--no-wd",
                    "--save-frequency", "0", "--log-interval", "0", "-j", "2", "--seed", str(seed),
                    "--overwrite",
                    "--save-dir", folder, "--logging-file", folder / "train.log"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rows = [{key: record[key] for key in ("epoch", "loss", "accuracy")}
            for record in read_rows(folder / "train" / "metrics.jsonl") if record["kind"] == "epoch"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def theirs(args, seed, path):
    """The plain loop in a process of its own."""
    flags = [f"--{name.replace('_', '-')}={getattr(args, name)}" for name in
             ("rec_dir", "classes", "images", "model", "input_size", "batch_size", "lr", "num_epochs")]
    done = subprocess.run([sys.executable, __file__, *flags, f"--reference-seed={seed}"], check=True,
                          text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    path.write_text("".join(line + "\n" for line in done.stdout.splitlines() if line.startswith("{")))


def reference(args):
    """GluonCV's script in a nutshell; prints a JSON line per epoch."""
    sys.path.insert(0, str(ROOT))
    import gluon_tricks  # noqa: F401  restores what NumPy dropped; nothing else of it is used

    # isort: split
    import mxnet as mx
    from gluoncv.model_zoo import get_model
    from gluoncv.utils import LRScheduler, LRSequential
    from mxnet import autograd, gluon

    mx.random.seed(args.reference_seed)
    net = get_model(args.model, classes=args.classes)
    net.initialize(mx.init.MSRAPrelu())
    net.hybridize(static_alloc=True, static_shape=True)
    for pattern in (".*beta", ".*gamma", ".*bias"):
        for param in net.collect_params(pattern).values():
            param.wd_mult = 0.0
    updates = args.images // args.batch_size
    schedule = LRSequential([LRScheduler("linear", base_lr=0, target_lr=args.lr, nepochs=2,
                                         iters_per_epoch=updates),
                             LRScheduler("cosine", base_lr=args.lr, target_lr=0, nepochs=args.num_epochs - 2,
                                         iters_per_epoch=updates)])
    trainer = gluon.Trainer(net.collect_params(), "nag",
                            {"wd": 0.0001, "momentum": 0.9, "lr_scheduler": schedule})
    data = mx.io.ImageRecordIter(
        path_imgrec=f"{args.rec_dir}/train.rec", path_imgidx=f"{args.rec_dir}/train.idx",
                                 preprocess_threads=2, shuffle=True,
        batch_size=args.batch_size, data_shape=(3, args.input_size, args.input_size), rand_mirror=True,
        random_resized_crop=True, max_aspect_ratio=4 / 3, min_aspect_ratio=3 / 4, max_random_area=1,
                                 min_random_area=0.08,
        brightness=0.4, saturation=0.4, contrast=0.4, pca_noise=0.1, mean_r=123.68, mean_g=116.779,
                                 mean_b=103.939,
        std_r=58.393, std_g=57.12, std_b=57.375, verbose=False)
    criterion, accuracy = gluon.loss.SoftmaxCrossEntropyLoss(), mx.metric.Accuracy()
    for epoch in range(args.num_epochs):
        losses, count = 0.0, 0
        accuracy.reset()
        if epoch:
            data.reset()
        for batch in data:
            images, labels = (gluon.utils.split_and_load(array, [mx.cpu()])[0]
                              for array in (batch.data[0], batch.label[0]))
            with autograd.record():
                outputs = net(images)
                loss = criterion(outputs, labels)
            loss.backward()
            trainer.step(args.batch_size)
            accuracy.update([labels], [outputs])
            losses, count = losses + float(loss.sum().asscalar()), count + len(labels)
        print(json.dumps({"epoch": epoch, "loss": losses / count, "accuracy": accuracy.get()[1]}), flush=True)
    return 0


# --- what comes of it ---------------------------------------------------------------------------------------

def bundle(args, curves, side, key):
    """Values, shape (seeds, epochs)."""
    return np.array([[row[key] for row in curves[side, seed]][:args.num_epochs]
                     for seed in range(args.seeds)])


def write_csv(args, curves):
    with open(args.out / "curves.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("side", "seed", "epoch", "loss", "accuracy"))
        for (side, seed), rows in curves.items():
            writer.writerows((side, seed, row["epoch"], f"{row['loss']:.6f}", f"{row['accuracy']:.6f}")
                             for row in rows)


def plot(args, curves):
    from gluon_tricks import pictures

    figure, panels = pictures.panels((11, 4.6), columns=2, title="The same training in this kit and GluonCV")
    for axes, key in zip(panels, ("loss", "accuracy")):
        scale = 100 if key == "accuracy" else 1
        for side, color in zip(SIDES, (pictures.RUN, pictures.PUBLISHED)):
            values = scale * bundle(args, curves, side, key)
            axes.plot(values.T, color=color, linewidth=0.8, alpha=0.5)
            axes.plot(values.mean(axis=0), color=color, linewidth=2, label=f"{side}, mean of {args.seeds} "
                                                                           "seeds")
        pictures.label(axes, "epoch", "training loss per image" if key == "loss" else "training accuracy, %")
        pictures.epoch_axis(axes, 0, values.shape[1] - 1)
        pictures.legend(axes)
    pictures.save(figure, args.out / "curves.png")


def verdict(args, curves):
    """Compare the means epoch by epoch; the exit code."""
    here, other = (bundle(args, curves, side, "loss") for side in SIDES)
    error = np.sqrt((here.var(axis=0, ddof=1) + other.var(axis=0, ddof=1)) / args.seeds)
    apart = (here.mean(axis=0) - other.mean(axis=0)) / error
    outside = int((abs(apart) > T_95[min(2 * args.seeds - 2, 10)]).sum())
    print(f"{'epoch':>5}  {'here':>18}  {'gluoncv':>18}  difference in standard errors")
    for epoch in range(args.num_epochs):
        print(f"{epoch:5d}  {here[:, epoch].mean():9.4f} ± {here[:, epoch].std(ddof=1):6.4f}  "
              f"{other[:, epoch].mean():9.4f} ± {other[:, epoch].std(ddof=1):6.4f}  {apart[epoch]:+6.2f}")
    allowed = math.ceil(args.num_epochs / 10)
    print(f"{args.num_epochs - outside} of {args.num_epochs} epochs within the 95 % interval of the seeds' "
          f"spread ({allowed} outside allowed)")
    return int(outside > allowed)


T_95 = {2: 4.303, 4: 2.776, 6: 2.447, 8: 2.306, 10: 2.228}  # Student's t, two-sided, by degrees of freedom


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rec-dir", type=Path, required=True, help="folder with train.rec, val.rec and "
                                                                    "their indices")
    parser.add_argument("--classes", type=int, default=160, help="(default 160)")
    parser.add_argument("--images", type=int, default=160, help="training images (default 160)")
    parser.add_argument("--model", default="resnet18_v1b", help="(default resnet18_v1b)")
    parser.add_argument("--input-size", type=int, default=112, help="pixels (default 112)")
    parser.add_argument("--batch-size", type=int, default=16, help="(default 16)")
    parser.add_argument("--lr", type=float, default=0.04, help="(default 0.04)")
    parser.add_argument("--num-epochs", type=int, default=20, help="(default 20)")
    parser.add_argument("--seeds", type=int, default=3, help="of each side, at least 2 (default 3)")
    parser.add_argument("--data-backend", choices=("ours", "mxnet"), default="ours",
                        help="reader of train_imagenet.py's images; the plain loop has MXNet's iterator "
                             "(default ours)")
    parser.add_argument("--out", type=Path, default=Path("side_by_side"),
                        help="folder (default side_by_side)")
    parser.add_argument("--reference-seed", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
