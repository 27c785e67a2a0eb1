"""Where data sets lie, as GluonCV's users have them."""

import os
from pathlib import Path

EXCERPT_DIR = Path(__file__).resolve().parent / "cifar10_excerpt"


def mxnet_dataset_dir(dataset):
    """`$MXNET_HOME/datasets/DATASET`, by default under `~/.mxnet`."""
    home = os.environ.get("MXNET_HOME") or "~/.mxnet"
    return Path(home).expanduser() / "datasets" / dataset


def default_record_dir(dataset):
    """Where the records of a data set are looked for without `--data-dir`: the folder of that name inside the above."""
    return EXCERPT_DIR if dataset == "cifar10-excerpt" else mxnet_dataset_dir(dataset) / "rec"
