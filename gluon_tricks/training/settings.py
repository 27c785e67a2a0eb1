"""Where a training run writes, how long it is, and how often it writes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunPaths:
    """The paths that a run writes to. Parameter files and plot have GluonCV's names."""
    log: Path
    metrics: Path
    plot: Path
    save_dir: Path
    best: str                # templates over {val:.4f} or {err:.4f}, and {epoch}
    periodic: str
    resume: Path
    averaged: str = ""       # template over {epoch}; "": parameters are not averaged
    states: bool = False     # whether GluonCV's .states are written with the .params
    tensorboard: Path = None
    save_flag: str = "--save-dir"      # the flags that name the folders, for messages
    log_flag: str = "--save-dir"

    @property
    def run_json(self):
        return self.metrics.with_name("run.json")


@dataclass(frozen=True)
class RunSettings:
    """Length of a run, and how often it writes.

    Attributes
    ----------
    num_epochs : int
    checkpoint_period : int
        Updates between resume files, in addition to each epoch's end; 0: none.
    save_period : int
        Epochs between parameter files; 0: the last epoch only.
    log_interval : int
        Updates between interval records; 0: none.
    max_updates : int
        Total number of updates after which the run stops; 0: no limit.
    check_sync : int
        Updates between comparisons of the processes' parameters; 0: at the start only.
    """
    num_epochs: int
    checkpoint_period: int
    save_period: int
    log_interval: int
    max_updates: int
    check_sync: int
