"""The picture of a run: percent, whole epochs, the best value, and the published curve where there is one."""

import pytest

from gluon_tricks import pictures
from gluon_tricks.training.plots import plot_history, plot_transfer_history

FLAGS = {"model": "cifar_resnet20_v1", "batch_size": 128, "num_gpus": 1, "num_epochs": 200, "lr": 0.1,
         "lr_decay_epoch": "100,150", "lr_decay": 0.1, "wd": 0.0001, "momentum": 0.9}
FACTS = {"title": "cifar_resnet20_v1", "dataset": "cifar10", "args": FLAGS, "records": 50000}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    found = []
    monkeypatch.setattr(pictures, "save", lambda figure, path: found.append(figure))
    return found


def history(epochs, metric="accuracy"):
    return [{"epoch": epoch, "train": 0.5 if metric == "accuracy" else 0.2, "train_metric": metric, "lr": 0.1,
             "val": 0.5 + 0.1 * (epoch % 3), "loss": 1.0} for epoch in range(epochs)]


def words_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 30])
def test_ticks_are_whole_epochs_also_in_a_short_run(drawn, epochs):
    plot_history("x.png", history(epochs), FACTS)
    for axes in drawn[0].axes:
        ticks = axes.xaxis.get_major_locator().tick_values(*axes.get_xlim())
        assert all(tick == int(tick) for tick in ticks)


def test_errors_are_in_percent_and_the_best_epoch_is_marked(drawn):
    plot_history("x.png", history(5), FACTS)
    errors = drawn[0].axes[0]
    assert errors.get_ylabel() == "error, top-1, %"
    validation = next(line for line in errors.lines if line.get_label() == "validation")
    assert validation.get_ydata() == pytest.approx([50, 40, 30, 50, 40])
    ring = errors.lines[-1]
    assert (list(ring.get_xdata()), list(ring.get_ydata())) == ([2], [pytest.approx(30)])
    assert ring.get_label() == "best: 30.00 % in epoch 2"
    assert words_of(errors) == ["band", "published", "training", "validation", "best: 30.00 % in epoch 2"]
    assert errors.get_xlabel() == "epoch\nband of cifar_resnet20_v1"


@pytest.mark.parametrize("facts, words", [
    ({"dataset": "cifar100"}, ["training", "validation"]), ({"records": 2000}, ["training", "validation"]),
    ({"args": {**FLAGS, "lr": 0.2}}, ["band", "published", "training", "validation"])])
def test_the_published_curve_is_shown_only_where_compare_has_one(drawn, facts, words):
    plot_history("x.png", history(3), {**FACTS, **facts})
    errors = drawn[0].axes[0]
    assert words_of(errors)[:-1] == words
    assert errors.get_xlabel().endswith("departs in 1 setting") == ("args" in facts)


def test_mixup_names_its_other_training_figure(drawn):
    plot_history("x.png", history(3, "rmse"), {**FACTS, "dataset": "cifar100"})
    training = drawn[0].axes[0].lines[0]
    assert training.get_label() == "training (RMSE x 100)" and training.get_ydata() == pytest.approx([20] * 3)


def test_scores_of_a_detection_are_in_percent(drawn):
    rows = [{"epoch": epoch, "validated": epoch > 0, "loss": 1.0, "lr": 0.01,
             **({"map_voc07": 0.3 * epoch, "map_area": 0.2} if epoch else {})} for epoch in range(3)]
    plot_transfer_history("x.png", rows, {"title": "Faster R-CNN", "score": "map_voc07"})
    scores = drawn[0].axes[0]
    assert list(scores.lines[0].get_ydata()) == pytest.approx([30, 60]) and scores.get_ylabel() == "validation, %"
    assert words_of(scores)[-1] == "best: 60.00 % in epoch 2"


def test_a_detection_without_validation_has_a_picture(drawn):
    rows = [{"epoch": 0, "validated": False, "loss": 1.0, "lr": 0.01}]
    plot_transfer_history("x.png", rows, {"title": "Faster R-CNN", "score": "map_voc07"})
    assert not list(drawn[0].axes[0].lines) and len(drawn[0].axes[1].lines) == 1
