"""The common style of pictures: colours that the colour-blind can tell apart, and a sweep drawn in it."""

import itertools

import numpy as np
import pytest

from gluon_tricks import pictures
from gluon_tricks.studies import sweep_report

# Machado, Oliveira and Fernandes (2009), severity 1: linear RGB as people see it who lack a kind of cone
SEEN = {"red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]}


def rgb(color):
    return np.array([int(color[i:i + 2], 16) for i in (1, 3, 5)]) / 255


def nearest(colors, lacking):
    """The least distance of two colors, in RGB from 0 to 1, as seen without one kind of cone."""
    seen = [np.clip(np.array(SEEN[lacking]) @ rgb(color) ** 2.2, 0, 1) ** (1 / 2.2) for color in colors]
    return min(np.abs(one - other).max() for one, other in itertools.combinations(seen, 2))


@pytest.mark.parametrize("lacking", SEEN)
def test_the_colour_blind_can_tell_cases_apart(lacking):
    assert nearest([pictures.color_of(i) for i in range(7)], lacking) > 0.15
    assert nearest(["#1f77b4", "#9467bd"], lacking) < 0.1                 # matplotlib's own blue and purple


def test_cases_and_classes_have_looks_of_their_own():
    assert len({pictures.color_of(i) for i in range(18)}) == 18
    assert len({tuple(pictures.line_of(i).values()) for i in range(28)}) == 28
    assert pictures.text_on(rgb("#F0E442")) == "black" and pictures.text_on(rgb("#0072B2")) == "white"


def test_a_sweep_has_one_colour_for_each_case_and_a_thick_line_of_its_median(monkeypatch):
    figures = []
    monkeypatch.setattr(pictures, "save", lambda figure, path: figures.append(figure))
    cells = [{"lr": "0.1", "cutout": "16"}, {"lr": "0.2", "cutout": "16"}, {"lr": "0.3", "cutout": "16"}]
    results = {(i, seed): [50 - i, 40 - seed] for i in (0, 1) for seed in (0, 1, 2)}     # the last is unfinished
    sweep_report.plot(cells, results, "sweep.png", "train_cifar.py")
    curves, ends = figures[0].axes
    assert {line.get_color() for line in curves.lines} == {pictures.color_of(0), pictures.color_of(1)}
    assert [text.get_text() for text in curves.get_legend().get_texts()] == ["lr 0.1, cutout 16",
                                                                            "lr 0.2, cutout 16"]
    thick = [line for line in curves.lines if line.get_linewidth() > 2]
    assert [list(line.get_ydata()) for line in thick] == [[50, 39], [49, 39]]
    assert curves.get_ylabel() == "validation error, top-1, %" and "%" in ends.get_xlabel()


def test_a_long_text_is_shortened_in_its_middle():
    name = "val/n01440764/ILSVRC2012_val_00000293.JPEG"
    assert pictures.shortened(name, 20) == "val/n014...0293.JPEG"
    assert [len(pictures.shortened(name, most)) for most in (20, 21, 60)] == [20, 20, 42]


@pytest.mark.parametrize("names, columns", [(["a", "b", "c", "d"], 3), (["a" * 40, "b" * 4, "c" * 40], 1), (["a" * 300], 1)])
def test_a_legend_has_as_many_columns_as_fit_its_panel(names, columns):
    figure, (axes, _) = pictures.panels((12, 4), columns=2)
    for name in names:
        axes.plot([0, 1], label=name)
    pictures.legend(axes, 3)
    figure.canvas.draw()
    box, panel = axes.get_legend().get_window_extent(), axes.get_window_extent()
    assert axes.get_legend()._ncols == columns and box.x1 <= panel.x1 + 1 and panel.width > 400
