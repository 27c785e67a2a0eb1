"""A run of detection or segmentation.

`gluon_tricks.training.run` with more training figures and another plot.
"""

from gluon_tricks.training.plots import plot_transfer_history
from gluon_tricks.training.run import Run


class TransferRun(Run):
    """A `Run` with training figures in `progress.figures`; `facts["score"]` names the score to maximise."""
    plot_history = staticmethod(plot_transfer_history)
    has_verdict = False

    def running(self):
        return {name: total / count if count else float("nan")
                for name, (total, count) in self.progress.figures.items()}

    def result_lines(self):
        name = self.facts["score"]
        last = self.progress.history[-1].get(name, float("nan"))
        yield f"plot and pictures: {self.paths.plot.parent}"
        yield f"{name}: last {100 * last:.2f} %, best {100 * self.progress.best_val:.2f} %"

    def end_epoch(self, scores):
        """Save parameters, log and plot at the end of an epoch.

        Parameters
        ----------
        scores : dict
            The validation's scores; empty without validation.
        """
        name = self.facts["score"]
        row = {name: value for name, value in scores.items() if isinstance(value, float)}
        self._close_epoch(scores.get(name, 0.0), scores, {**row, "validated": bool(scores)})
