"""A run of classification: `gluon_tricks.training.run` with the picture of its errors."""

from gluon_tricks.training.plots import plot_history
from gluon_tricks.training.run import Run


class ClassifierRun(Run):
    """A `Run` of a classifier."""
    plot_history = staticmethod(plot_history)
