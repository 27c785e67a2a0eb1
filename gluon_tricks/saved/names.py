"""Names of the files of a run of train_cifar.py. Importing this file does not import MXNet."""

import re
from pathlib import Path


def run_name(dataset, model, mix=None):
    """`cifar10-cifar_resnet20_v1_mixup`: the start of the file names of a run's parameters and resume file.

    GluonCV's names; other ways of mixing have their own.
    """
    return f"{dataset.removesuffix('-excerpt')}-{model}" + (f"_{mix.replace('+', '_')}" if mix else "")


def run_name_of(params_file):
    """The same, read from a parameter file's name; None for a name that no run gives.

    GluonCV calls the best parameters of a run on CIFAR-10 `0.9123-cifar-...`.
    """
    match = re.fullmatch(r"(?:(?P<val>\d\.\d{4})-)?(?P<run>.+)-\d+(?P<best>-best)?\.params",
                         Path(params_file).name)
    if not match or bool(match["val"]) != bool(match["best"]):
        return None
    return re.sub("^cifar-", "cifar10-", match["run"])
