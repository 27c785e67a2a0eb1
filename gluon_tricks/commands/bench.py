"""Images per second on this machine, reported with its processor and versions.

    python -m gluon_tricks bench net                 # training steps of ResNet-20: ours, GluonCV's, PyTorch's
    python -m gluon_tricks bench net --models resnet50_v1d --batch-size 16 --sides ours gluoncv
    python -m gluon_tricks bench input --rec-train ~/.mxnet/datasets/imagenet/rec/train.rec
    python -m gluon_tricks bench script --data-dir ~/.mxnet/datasets/cifar10/rec --images 9000
    python -m gluon_tricks bench net --help

Sides of a comparison take turns, so that a machine that slows down slows all of them; ratios are taken turn
by turn. Each mode prints a Markdown table; with --out it also writes the table and every measurement.
"""

import importlib
import importlib.util
import sys

from gluon_tricks.errors import UserError, run_main

MODES = {
    "net": "training steps on synthetic images: ours, GluonCV's net, PyTorch's",
    "input": "images through the input pipeline, without a net",
    "script": "whole epochs of train_cifar.py and of GluonCV's loop, and which part is the bottleneck",
    "memory": "resident memory over many short epochs",
    "scaling": "several processes compared with one",
}


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0 if argv else 2
    mode = argv[0].removeprefix("--")                  # `bench --scaling` means `bench scaling`
    if mode not in available():
        raise UserError(f"bench {argv[0]}: there are {', '.join(available())}")
    return importlib.import_module(module_of(mode)).main(argv[1:])


def available():
    """The modes whose module exists in this copy of the kit."""
    return [mode for mode in MODES if importlib.util.find_spec(module_of(mode))]


def module_of(mode):
    """Full name of a mode's module, which has `main(argv) -> exit code`."""
    return f"gluon_tricks.benching.{mode}"


def usage():
    """The text of --help."""
    modes = (f"  {mode:<9}{MODES[mode]}" for mode in available())
    return "\n".join(["usage: python -m gluon_tricks bench MODE ...", "", *modes, "", __doc__.rstrip()])


if __name__ == "__main__":
    run_main(main, prog="bench")
