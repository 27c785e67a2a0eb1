"""Images per second on this machine, reported with its processor and versions.

    python -m gluon_tricks bench net           # training steps of ResNet-20: ours, GluonCV's, PyTorch's
    python -m gluon_tricks bench net --models resnet50_v1d --batch-size 16 --sides ours gluoncv
    python -m gluon_tricks bench input --rec-train ~/.mxnet/datasets/imagenet/rec/train.rec
    python -m gluon_tricks bench script --data-dir ~/.mxnet/datasets/cifar10/rec --images 10000
    python -m gluon_tricks bench net --help

Sides of a comparison take turns, so that a machine that slows down slows all of them; ratios are taken turn
by turn. Each mode prints a Markdown table; with --out it also writes the table and every measurement.
"""

import importlib
import sys

from gluon_tricks.errors import run_main
from gluon_tricks.program import run_subcommand

MODES = {
    "net": "training steps on synthetic images: ours, GluonCV's net, PyTorch's",
    "input": "images through the input pipeline, without a net",
    "script": "whole epochs of train_cifar.py and of GluonCV's loop, and which part is the bottleneck",
    "memory": "resident memory over many short epochs",
    "scaling": "several processes compared with one",
}


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0].removeprefix("--") in MODES:   # `bench --scaling` means `bench scaling`
        argv = [argv[0].removeprefix("--"), *argv[1:]]
    return run_subcommand(argv, MODES, load, __doc__.rstrip())


def load(mode):
    """Import a mode's module, which has `main(argv) -> exit code`."""
    return importlib.import_module(f"gluon_tricks.benching.{mode}")


if __name__ == "__main__":
    run_main(main, prog="bench")
