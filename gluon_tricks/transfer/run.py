"""A run of detection or segmentation: `gluon_tricks.training.run` with several training figures and another plot."""

from gluon_tricks.training.plots import plot_transfer_history
from gluon_tricks.training.run import Run


class TransferRun(Run):
    """Training figures come from `progress.figures`; the score that decides is `facts["score"]`."""

    def running(self):
        return {name: total / count if count else float("nan") for name, (total, count) in self.progress.figures.items()}

    def end_epoch(self, scores):
        """Save and write everything that an epoch's end calls for.

        Parameters
        ----------
        scores : dict
            The validation's figures; empty where there was none. `facts["score"]` names the one that is best high.
        """
        name = self.facts["score"]
        row = {name: value for name, value in scores.items() if isinstance(value, float)}
        self._close_epoch(scores.get(name, 0.0), scores, {**row, "validated": bool(scores)})

    plot_history = staticmethod(plot_transfer_history)
