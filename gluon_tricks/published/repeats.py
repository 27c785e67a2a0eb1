"""Runs of GluonCV's own scripts that were made for this kit: several seeds of one recipe.

    gluoncv_excerpt       8 runs on the excerpt of CIFAR-10 in this kit      benchmarks/excerpt.py
    gluoncv_first_epochs  the first 8 epochs of the published command of     benchmarks/convergence.py
                          cifar_resnet20_v1, complete CIFAR-10

Their logs are in `logs/reference/`. A set is used once it has LEAST runs: the spread of fewer says too
little.
"""

from dataclasses import dataclass
from functools import cache

from gluon_tricks.files import LOGS
from gluon_tricks.log_lines.reading import read_log

FOLDER = LOGS / "reference"
LEAST = 3


@dataclass(frozen=True)
class Repeats:
    """Several finished runs of one recipe.

    Attributes
    ----------
    name, title : str
        For `--ref`, and in a sentence.
    dataset : str
    images : int
        Of training, all of them.
    runs : tuple of RunLog
    """

    name: str
    title: str
    dataset: str
    images: int
    runs: tuple

    @property
    def epochs(self):
        """The epochs that all runs have: list of int."""
        return sorted(set.intersection(*({record.epoch for record in run.epochs} for run in self.runs)))


def repeats():
    """name -> `Repeats` of the sets that have enough runs."""
    return _sets(FOLDER)


@cache
def _sets(folder):
    sets = (Repeats("gluoncv_excerpt", "GluonCV's own runs on this excerpt", "cifar10-excerpt", 2_000,
                    _finished(folder, "excerpt/gluoncv_seed*.log")),
            Repeats("gluoncv_first_epochs", "GluonCV's own runs of the first epochs", "cifar10", 50_000,
                    _finished(folder, "convergence/gluoncv_seed*/*.log")))
    return {one.name: one for one in sets if len(one.runs) >= LEAST}


def _finished(folder, pattern):
    runs = map(read_log, sorted(folder.glob(pattern)))
    return tuple(run for run in runs if run.epochs[-1].epoch + 1 == run.args.get("num_epochs"))
