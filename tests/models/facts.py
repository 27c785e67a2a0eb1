"""Facts about GluonCV's CIFAR nets (gluoncv 0.10.5.post0 under mxnet 1.9.1, 10 classes, images of 3x32x32).

`cifar-param-names.csv.gz` lists every parameter, `cifar-model-sizes.csv` has one row a net. Both were read off
GluonCV's instantiated nets, not off ours.
"""

import csv
import gzip
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class ParameterFact(NamedTuple):
    shape: tuple      # of int
    gluon_name: str   # in the first net of its kind in a process: what --no-wd matches, and what orders .states files
    trained: bool


class SizeFact(NamedTuple):
    trainable: int
    with_statistics: int
    multiply_adds: int  # of convolutions and dense layers, one image


def _rows(lines):
    return csv.DictReader(line for line in lines if not line.startswith("#"))


def _load_parameters():
    """{model: {name in a .params file: ParameterFact}}"""
    parameters = {}
    with gzip.open(HERE / "cifar-param-names.csv.gz", "rt", encoding="ascii") as lines:
        for row in _rows(lines):
            shape = tuple(int(size) for size in row["shape"].split("x"))
            fact = ParameterFact(shape, row["gluon_name"], row["trained"] == "1")
            parameters.setdefault(row["model"], {})[row["name"]] = fact
    return parameters


def _load_sizes():
    """{model: SizeFact}"""
    with open(HERE / "cifar-model-sizes.csv", encoding="ascii") as lines:
        return {row.pop("model"): SizeFact(**{column: int(value) for column, value in row.items()})
                for row in _rows(lines)}


PARAMETERS = _load_parameters()
SIZES = _load_sizes()
NETS = sorted(SIZES)
# one of each kind, small enough to run
SMALL_NETS = ["cifar_resnet20_v1", "cifar_resnet20_v2", "cifar_wideresnet16_10", "cifar_resnext29_32x4d"]
