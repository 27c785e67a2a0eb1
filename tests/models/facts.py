"""Facts about GluonCV's nets (gluoncv 0.10.5.post0 under mxnet 1.9.1): CIFAR nets, 10 classes, images of
3x32x32; ResNets, 1000 classes, images of 3x224x224.

`*-param-names.csv.gz` lists every parameter, `*-model-sizes.csv` has one row a net. Both were read off
GluonCV's instantiated nets, not off ours.
"""

import csv
import gzip
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class ParameterFact(NamedTuple):
    shape: tuple      # of int
    # in the first net of its kind in a process: what --no-wd matches, and what orders .states files
    gluon_name: str
    trained: bool


class SizeFact(NamedTuple):
    trainable: int
    with_statistics: int
    multiply_adds: int  # of convolutions and dense layers, one image


def _rows(lines):
    return csv.DictReader(line for line in lines if not line.startswith("#"))


def _load_parameters(file):
    """{model: {name in a .params file: ParameterFact}}"""
    parameters = {}
    with gzip.open(HERE / file, "rt", encoding="ascii") as lines:
        for row in _rows(lines):
            shape = tuple(int(size) for size in row["shape"].split("x"))
            fact = ParameterFact(shape, row["gluon_name"], row["trained"] == "1")
            parameters.setdefault(row["model"], {})[row["name"]] = fact
    return parameters


def _load_sizes(file):
    """{model: SizeFact}"""
    with open(HERE / file, encoding="ascii") as lines:
        return {row.pop("model"): SizeFact(**{column: int(value) for column, value in row.items()})
                for row in _rows(lines)}


CIFAR_SIZES = _load_sizes("cifar-model-sizes.csv")
RESNET_SIZES = _load_sizes("resnet-model-sizes.csv")
CIFAR_NETS = sorted(CIFAR_SIZES)
RESNETS = sorted(RESNET_SIZES)
# With 101 and 152 layers a net has more blocks of the same kinds. test_facts.py compares names and shapes of all
# its parameters and, by the multiply-adds, its strides. To run it takes seconds and up to a gigabyte.
SHALLOW_RESNETS = [name for name in RESNETS if not name.startswith(("resnet101", "resnet152"))]
# one of each kind, small enough to run
SMALL_CIFAR_NETS = ["cifar_resnet20_v1", "cifar_resnet20_v2", "cifar_wideresnet16_10",
                    "cifar_resnext29_32x4d"]

SIZES = {**CIFAR_SIZES, **RESNET_SIZES}
PARAMETERS = {**_load_parameters("cifar-param-names.csv.gz"), **_load_parameters("resnet-param-names.csv.gz")}
