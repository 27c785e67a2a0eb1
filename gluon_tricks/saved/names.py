"""Names: of the files of a run, and of classes. Importing this file does not import MXNet."""

import re
from pathlib import Path

from gluon_tricks.data import classes
from gluon_tricks.errors import UserError

KNOWN = {"cifar10": classes.CIFAR10_CLASSES, "cifar10-excerpt": classes.CIFAR10_CLASSES,
         "cifar100": classes.CIFAR100_CLASSES, "mnist": classes.MNIST_CLASSES,
         "fashion-mnist": classes.FASHION_MNIST_CLASSES, "kmnist": classes.KMNIST_CLASSES}
WNID = re.compile(r"n\d{8}\b")


def run_name(dataset, model, mix=None):
    """`cifar10-cifar_resnet20_v1_mixup`: the start of the file names of a run's parameters and resume file.

    GluonCV's names; other ways of mixing have their own.
    """
    return f"{dataset.removesuffix('-excerpt')}-{model}" + (f"_{mix.replace('+', '_')}" if mix else "")


def run_name_of(params_file):
    """The same, read from a parameter file's name; None for a name that no run gives.

    GluonCV calls the best parameters of a run on CIFAR-10 `0.9123-cifar-...`.
    """
    match = re.fullmatch(r"(?:(?P<val>\d\.\d{4})-)?(?P<run>.+)-\d+(?:(?P<best>-best)|-ema)?\.params",
                         Path(params_file).name)
    if not match or bool(match["val"]) != bool(match["best"]):
        return None
    return re.sub("^cifar-", "cifar10-", match["run"])


def known_names(dataset):
    """Class names of a data set of train_cifar.py, in label order."""
    return list(KNOWN[dataset])


def published_names():
    """Class names of the zoo's ImageNet weights, in label order: `n01440764 tench`."""
    return [f"{wnid} {name}" for wnid, name in classes.imagenet_synsets()]


def check_same_classes(whose, names, other, other_names):
    """Raise UserError if two lists of classes differ in number, names or order; None is a list without names.

    `n01440764 tench` and the folder `n01440764` are the same class.

    Parameters
    ----------
    whose, other : str
        Start of the sentence, such as a flag and its file; and the owner of the other names.
    """
    if names is None or other_names is None:
        return
    if len(names) != len(other_names):
        raise UserError(f"{whose}: has {len(names)} classes, {other} {len(other_names)}")
    for label, (name, other_name) in enumerate(zip(names, other_names)):
        if _key(name) != _key(other_name):
            raise UserError(f"{whose}: label {label} is {name!r}, but {other_name!r} in {other}; both need "
                            "the same classes in the same order")


def _key(name):
    """What decides whether two names are of one class: a wnid, or the whole name."""
    return name.split()[0] if WNID.match(name) else name
