"""gluon-tricks prepare DATASET: the scripts of data_prep/, from any folder."""

from gluon_tricks.program import program, run_subcommand
from gluon_tricks.script.load import load_script

SCRIPTS = {
    "imagenet": "ILSVRC2012, or folders of images, to records and a manifest",
    "folder": "your own photographs, in class folders or named by a list, to records and a manifest",
    "cifar": "CIFAR-10 and CIFAR-100 to records and a manifest",
    "mnist": "MNIST, Fashion-MNIST and KMNIST to records and a manifest",
    "places365": "Places365-Standard to records and a manifest",
    "voc": "Pascal VOC 2007 and 2012 to checked folders",
    "ade20k": "ADE20K to a checked folder",
    "verify": "recompute everything that the manifest of a prepared folder states",
    "published-logs": "GluonCV's classification logs to logs/published",
    "published-transfer": "GluonCV's detection logs to logs/published",
}


def main(argv):
    """Run one of the scripts; returns its exit code."""
    examples = [f"Example:  {program()} prepare cifar --source cifar-10-binary.tar.gz --out cifar10-rec",
                f"          {program()} prepare verify cifar10-rec"]
    return run_subcommand(argv, SCRIPTS, load, "\n".join(examples))


def load(name):
    """Import a script's module."""
    return load_script(f"data_prep/{name.replace('-', '_')}.py")
