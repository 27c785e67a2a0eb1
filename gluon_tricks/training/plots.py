"""Plot the figures of each epoch: GluonCV's MODEL_history.png, and a similar picture for detection and
segmentation."""

from gluon_tricks import pictures

LABELS = {"map_voc07": "mAP at IoU 0.5, 11 points", "map_area": "mAP at IoU 0.5, area",
          "pix_acc": "pixel accuracy", "miou": "mean IoU"}


def plot_history(path, history, title):
    """Write training and validation figures per epoch as a PNG.

    Parameters
    ----------
    history : list of dict
        `epoch`, `train`, `val` (accuracies; `train` is an RMSE with mixup), `loss`, `lr` and `train_metric`.
    """
    figure, (errors, losses) = pictures.panels((11, 4), columns=2)
    epochs = [row["epoch"] for row in history]
    is_rmse = history[-1]["train_metric"] == "rmse"
    errors.plot(epochs, [row["train"] if is_rmse else 1 - row["train"] for row in history],
                label="training RMSE" if is_rmse else "training error", color="tab:blue")
    errors.plot(epochs, [1 - row["val"] for row in history], label="validation error", color="tab:orange")
    errors.set(xlabel="epoch", ylabel="error (fraction)", ylim=(0, None), title=title)
    errors.legend(loc="upper right")
    rates = _losses_and_rates(losses, history, "loss per sample")
    rates.set(ylabel="learning rate", yscale="log" if min(row["lr"] for row in history) > 0 else "linear")
    pictures.save(figure, path, dpi=100)


def plot_transfer_history(path, history, title):
    """Write loss per image, learning rate and the validation's scores per epoch as a PNG."""
    figure, (scores, losses) = pictures.panels((11, 4), columns=2)
    validated = [row for row in history if row["validated"]]
    names = [name for name in (validated[-1] if validated else {}) if name in LABELS]
    for name in names:
        scores.plot([row["epoch"] for row in validated], [row.get(name) for row in validated], marker=".",
                    label=LABELS[name])
    scores.set(xlabel="epoch", ylabel="validation", ylim=(0, 1), title=title)
    if names:
        scores.legend(loc="lower right")
    rates = _losses_and_rates(losses, history, "loss per image")
    rates.set(ylabel="learning rate of the last update")
    pictures.save(figure, path, dpi=100)


def _losses_and_rates(axes, history, ylabel):
    """Draw loss and learning rate into one panel; returns the axes of the rate."""
    epochs = [row["epoch"] for row in history]
    axes.plot(epochs, [row["loss"] for row in history], label="training loss", color="tab:blue")
    axes.set(xlabel="epoch", ylabel=ylabel, ylim=(0, None))
    axes.legend(loc="upper right")
    rates = axes.twinx()
    rates.plot(epochs, [row["lr"] for row in history], label="learning rate", color="tab:green",
               drawstyle="steps-post")
    rates.legend(loc="lower left")
    return rates
