"""gluon-tricks train SCRIPT: the four training scripts, from any folder."""

from gluon_tricks.program import program, run_subcommand
from gluon_tricks.script.load import load_script

SCRIPTS = {
    "imagenet": "train_imagenet.py: the paper's nets on ImageNet or Places365 (sections 2 to 5)",
    "cifar": "train_cifar.py: CIFAR-10, CIFAR-100 and other small images",
    "fcn": "train_fcn.py: FCN on VOC or ADE20K (section 6)",
    "faster-rcnn": "train_faster_rcnn.py: Faster R-CNN on VOC (section 6)",
}


def main(argv):
    """Run one of the scripts with GluonCV's flags; returns its exit code."""
    example = (f"Example:  {program()} train cifar --dataset cifar10-excerpt --model cifar_resnet20_v1 "
               "--mode hybrid --num-epochs 12")
    return run_subcommand(argv, SCRIPTS, load, example)


def load(name):
    """Import a script's module."""
    return load_script(f"train_{name.replace('-', '_')}.py")
