"""The figures that GluonCV's documentation states for the weights of its model zoo."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gluon_tricks.recipes.paper import ZOO_WEIGHTS
from gluon_tricks.recipes.rows import Figures


@dataclass(frozen=True)
class ZooWeights:
    """Weights that GluonCV offers, with the figures of its documentation and the name of the log that it
    links."""

    model: str
    hashtag: str
    figures: Figures
    log: str


@cache
def zoo():
    """All rows of the zoo's documentation, as `ZooWeights`.

    Two links are corrected: GoogLeNet's name of the file is spelled otherwise, ResNet152_v1c's log is v1b's.
    """
    with open(Path(__file__).with_name("zoo.csv"), encoding="utf-8", newline="") as stream:
        return tuple(ZooWeights(row["model"], row["hashtag"], Figures(row["top1_pct"], row["top5_pct"]),
                                row["log"])
                     for row in csv.DictReader(stream))


def zoo_of_row(table, row):
    """The zoo's weights of a row of the paper, or None."""
    hashtag = ZOO_WEIGHTS.get((table.number, row.name, row.column))
    return next((weights for weights in zoo() if hashtag and weights.hashtag == hashtag), None)


def zoo_of_log(name):
    """The zoo's weights that come with a published log, or None."""
    return next((weights for weights in zoo() if weights.log == name), None)
