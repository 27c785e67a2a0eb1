"""A run of detection or segmentation: `gluon_tricks.run` with several training figures and another plot."""

from gluon_tricks.files import atomic_path
from gluon_tricks.run import Run


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

    @staticmethod
    def plot_history(path, history, title):
        """Loss per image, rate and the validation's scores per epoch, as a PNG."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 4), layout="constrained")
        scores, losses = figure.subplots(1, 2)
        checked = [row for row in history if row["validated"]]
        names = [name for name in (checked[-1] if checked else {}) if name in LABELS]
        for name in names:
            scores.plot([row["epoch"] for row in checked], [row.get(name) for row in checked], marker=".",
                        label=LABELS[name])
        scores.set(xlabel="epoch", ylabel="validation", ylim=(0, 1), title=title)
        epochs = [row["epoch"] for row in history]
        losses.plot(epochs, [row["loss"] for row in history], color="tab:blue", label="training loss")
        losses.set(xlabel="epoch", ylabel="loss per image", ylim=(0, None))
        rates = losses.twinx()
        rates.plot(epochs, [row["lr"] for row in history], color="tab:green", drawstyle="steps-post", label="learning rate")
        rates.set(ylabel="learning rate of the last update")
        for axes in (scores, losses):
            axes.grid(alpha=0.3)
        if names:
            scores.legend(loc="lower right")
        losses.legend(loc="upper right")
        rates.legend(loc="lower left")
        with atomic_path(path) as part:
            figure.savefig(part, dpi=100, format="png")


LABELS = {"map_voc07": "mAP at IoU 0.5, 11 points", "map_area": "mAP at IoU 0.5, area", "pix_acc": "pixel accuracy",
          "miou": "mean IoU"}
