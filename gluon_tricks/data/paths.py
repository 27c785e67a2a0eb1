"""Default folders of data sets, those of GluonCV."""

import os
from pathlib import Path

EXCERPT_DIR = Path(__file__).resolve().parent / "cifar10_excerpt"


def mxnet_dataset_dir(dataset):
    """`$MXNET_HOME/datasets/DATASET`, by default under `~/.mxnet`."""
    home = os.environ.get("MXNET_HOME") or "~/.mxnet"
    return Path(home).expanduser() / "datasets" / dataset


def default_record_dir(dataset):
    """Folder of a data set's records without `--data-dir`: `rec` in `mxnet_dataset_dir`, or the excerpt."""
    return EXCERPT_DIR if dataset == "cifar10-excerpt" else mxnet_dataset_dir(dataset) / "rec"
