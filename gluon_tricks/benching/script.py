"""Whole epochs of CIFAR training with validation: train_cifar.py compared with GluonCV's objects, used as
GluonCV does.

    python -m gluon_tricks bench script                          # the embedded excerpt
    python -m gluon_tricks bench script --data-dir ~/.mxnet/datasets/cifar10/rec --images 9000
    python -m gluon_tricks bench script --sides ours ours-bf16 gluoncv --out bench

Every turn of a side is the next epoch of its training, so the accuracies of both can be compared. Two more
sides find the bottleneck: this kit's image loading without a net, and its net without image loading. The time
of an epoch of the whole data set is predicted from the rates and printed with that of GluonCV's log of the
model.
"""

import argparse
import contextlib
import statistics
import sys

from gluon_tricks.benching.paired import (
    LEAST_ROUNDS,
    at_least_a_batch,
    at_least_rounds,
    machine_line,
    paired,
    table,
    write_report,
)
from gluon_tricks.errors import UserError
from gluon_tricks.launching.worker import Worker
from gluon_tricks.published.catalogue import TRAIN_IMAGES, catalogue, curve
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.script.auto_dtype import without_amx
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.training.status import announce

SIDES = {  # name -> side of `script_side`, type
    "ours": ("ours", "float32"),
    "ours-bf16": ("ours", "bfloat16"),
    "gluoncv": ("gluoncv", "float32"),
    "ours-io": ("ours-io", "float32"),
    "ours-net": ("ours-net", "float32"),
}


def main(argv):
    args = parse_args(argv)
    flags = ["--model", args.model, "--images", args.images, "--val-images", args.val_images, "--batch-size",
             args.batch_size, "--num-workers", args.num_workers, "--lr", args.lr,
             *(["--data-dir", args.data_dir] if args.data_dir else [])]
    with contextlib.ExitStack() as stack:
        announce("starting a process for each side", everywhere=True)
        sides = {name: stack.enter_context(side(name, flags)) for name in args.sides}
        result = paired(sides, args.rounds, what=args.model)
        curves = {name: worker.told for name, worker in sides.items()
                  if SIDES[name][0] in ("ours", "gluoncv")}
    base = args.sides[0]
    header = ("side", "training images/s, validation included", f"{base} / side",
              "predicted epoch of 50,000, s")
    text = [table(header,
                  [(name, result.rate(name).show(1), result.ratio(base, name).show(2),
                    epoch_time(result, name))
                           for name in args.sides]), ""]
    if curves:
        text += [table(("epoch", *(f"{name}: train, val accuracy" for name in curves)),
                       accuracy_rows(curves)), ""]
    text += [*verdict(result, sides), *published_line(args.model),
             f"{args.model}, {args.images} + {args.val_images} images, batch {args.batch_size}, -j "
             f"{args.num_workers}, {args.rounds} epochs in turn after one of warm-up; {machine_line()}"]
    write_report(args.out, "script", "\n".join(text), images_per_s=result.rates, curves=curves,
                 rounds=args.rounds, model=args.model, images=args.images, val_images=args.val_images,
                 batch_size=args.batch_size)
    return 0


def side(name, flags):
    """The process of a side."""
    kind, dtype = SIDES[name]
    words = ["-m", "gluon_tricks.benching.script_side", "--side", kind, "--dtype", dtype, *flags]
    return Worker(name, words, env=without_amx())


def epoch_time(result, name):
    return f"{TRAIN_IMAGES['cifar10'] / result.rate(name).median:,.1f}"


def accuracy_rows(curves):
    """A row per epoch, including the first one, which was warm-up for the rates."""
    for epoch, figures in enumerate(zip(*curves.values())):
        yield epoch, *(
            f"{told['history']['accuracy']:.3f}, {told['history']['val_accuracy']:.3f}" for told in figures)


def verdict(result, sides):
    """The slower part: image loading or the net."""
    if not {"ours", "ours-io", "ours-net"} <= set(sides):
        return
    both, io, net = (result.rate(name).median for name in ("ours", "ours-io", "ours-net"))
    part = "the net" if net < io else "image loading"
    yield (f"bottleneck: {part}; loading alone {io:,.0f} images/s, net alone {net:,.0f}, both {both:,.0f}, "
           f"which is {both / min(io, net):.0%} of the slower one")


def published_line(model):
    """The time of an epoch in GluonCV's log of the model, if there is one."""
    if model in catalogue():
        times = [record.time_s for record in curve(model) if record.time_s]
        if times:
            yield (f"GluonCV's log of {model}: {statistics.median(times):.1f} s per epoch, on a GPU that it "
                   f"does not name")


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cifar_resnet20_v1", help="(default cifar_resnet20_v1)")
    parser.add_argument("--sides", nargs="+", default=["ours", "gluoncv", "ours-io", "ours-net"],
                        choices=SIDES, metavar="SIDE",
                        help=f"of {', '.join(SIDES)} (default all but ours-bf16); ratios are of the first")
    parser.add_argument("--data-dir", metavar="DIR",
                        help="a prepared CIFAR-10 (default: the embedded excerpt)")
    parser.add_argument("--images", type=int, default=2000, help="training images of an epoch (default 2000)")
    parser.add_argument("--val-images", type=int, default=400, help="(default 400, a fifth as in CIFAR-10)")
    parser.add_argument("--batch-size", type=int, default=128, help="(default 128)")
    parser.add_argument("--lr", type=float, default=0.1, help="(default 0.1)")
    parser.add_argument("--num-workers", "-j", type=int, default=2, help="of either loader (default 2)")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS,
                        help=f"epochs of each side (default {LEAST_ROUNDS})")
    parser.add_argument("--out", metavar="DIR", help="folder for script.md and script.json")
    args = parser.parse_args(argv)
    check_numbers(args, COMMAND_FLAGS, spelling={})
    at_least_a_batch(args.images, args.batch_size)
    at_least_rounds(args.rounds)
    if sys.platform != "linux" and args.num_workers:
        raise UserError("--num-workers: Gluon's DataLoader forks its workers, which this system does not "
                        "allow; give 0")
    return args
