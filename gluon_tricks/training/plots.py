"""Plot the figures of each epoch: GluonCV's MODEL_history.png, and a similar picture for detection and
segmentation."""

import math

from gluon_tricks import pictures
from gluon_tricks.judging.bands import band_of
from gluon_tricks.published.reference import reference_of

LABELS = {"map_voc07": "mAP at IoU 0.5, 11 points", "map_area": "mAP at IoU 0.5, area",
          "pix_acc": "pixel accuracy", "miou": "mean IoU"}


def plot_history(path, history, facts):
    """Write training and validation errors, loss and learning rate per epoch as a PNG.

    Where GluonCV published a run of this recipe, its validation and the band around it are shown, too.

    Parameters
    ----------
    history : list of dict
        `epoch`, `train`, `val` (accuracies; `train` is an RMSE with mixup), `loss`, `lr` and `train_metric`.
    facts : dict
        Of run.json; and `records`, the number of training images.
    """
    figure, (errors, losses, rates) = pictures.panels((13, 4.2), columns=3, title=facts["title"],
                                                      widths=(2, 1, 1))
    epochs = [row["epoch"] for row in history]
    is_rmse = history[-1]["train_metric"] == "rmse"
    values = [100 * (1 - row["val"]) for row in history]
    band, name = published_band(facts)
    if band is not None and band.epochs[0] <= epochs[-1]:
        pictures.draw_band(errors, band, epochs[-1], as_error=True)
    else:
        name = ""
    training = [100 * (row["train"] if is_rmse else 1 - row["train"]) for row in history]
    errors.plot(epochs, training, color=pictures.TRAINING, linestyle="--", **pictures.marker(len(epochs)),
                label="training (RMSE x 100)" if is_rmse else "training")
    errors.plot(epochs, values, color=pictures.VALIDATION, label="validation", **pictures.marker(len(epochs)))
    errors.set_ylim(0, min(100, 1.05 * max([*filter(math.isfinite, values + training), 1])))
    pictures.epoch_axis(errors, epochs[0], epochs[-1])
    _mark_best(errors, epochs, values, min)
    pictures.legend(errors, 3)
    pictures.label(errors, f"epoch{name}", "error, top-1, %")
    _losses_and_rates(losses, rates, history)
    pictures.save(figure, path)


def published_band(facts):
    """`(Band, words)` on the published validation that a run of these facts should repeat, or
    `(None, "")`."""
    flags = {"num_training_samples": facts.get("records"), "world_size": facts.get("world_size", 1),
             **facts["args"]}
    match = reference_of(flags, facts["dataset"])
    if match.reference is None:
        return None, ""
    count = len(match.departures)
    others = f", from which this run departs in {count} setting{'s' * (count > 1)}" if count else ""
    return band_of(match.reference.name, "val"), f"\nband of {match.reference.label}{others}"


def plot_transfer_history(path, history, facts):
    """Write the validation's scores, loss per image and learning rate per epoch as a PNG."""
    figure, (scores, losses, rates) = pictures.panels((13, 4.2), columns=3, title=facts["title"],
                                                      widths=(2, 1, 1))
    validated = [row for row in history if row["validated"]]
    names = [name for name in (validated[-1] if validated else {}) if name in LABELS]
    for number, name in enumerate(names):
        scores.plot([row["epoch"] for row in validated], [100 * row.get(name, math.nan) for row in validated],
                    marker="o", markersize=3.5, label=LABELS[name], **pictures.line_of(number))
    scores.set_ylim(0, 103)
    pictures.label(scores, "epoch", "validation, %")
    pictures.epoch_axis(scores, history[0]["epoch"], history[-1]["epoch"])
    best = [name for name in names if name == facts["score"]]
    for name in best:
        _mark_best(scores, [row["epoch"] for row in validated],
                   [100 * row.get(name, math.nan) for row in validated], max)
    pictures.legend(scores)
    _losses_and_rates(losses, rates, history)
    pictures.save(figure, path)


def _mark_best(axes, epochs, values, choose):
    """Mark the best of the finite values."""
    known = [(value, epoch) for epoch, value in zip(epochs, values) if math.isfinite(value)]
    if known:
        value, epoch = choose(known, key=lambda pair: pair[0])
        pictures.mark_best(axes, epoch, value, f"best: {value:.2f} % in epoch {epoch}")


def _losses_and_rates(losses, rates, history):
    """Draw the training loss and the learning rate."""
    epochs = [row["epoch"] for row in history]
    lr = [row["lr"] for row in history]
    losses.plot(epochs, [row["loss"] for row in history], color=pictures.TRAINING, linestyle="--",
                **pictures.marker(len(epochs)))
    losses.set_ylim(0, None)
    rates.plot(epochs, lr, color=pictures.COLORS[6], drawstyle="steps-mid",
               **pictures.marker(len(epochs)))
    rates.set_yscale("log" if min(lr) > 0 and max(lr) > 5 * min(lr) else "linear")
    if rates.get_yscale() == "linear":
        rates.set_ylim(0, 1.1 * max(lr) or 1)
    for axes, word in ((losses, "training loss per image"), (rates, "learning rate of the last update")):
        pictures.label(axes, "epoch", word)
        pictures.epoch_axis(axes, epochs[0], epochs[-1])
