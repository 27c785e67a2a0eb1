"""The common style of pictures: colours that the colour-blind can tell apart, and a sweep drawn in it."""

import itertools

import numpy as np
import pytest

from gluon_tricks import pictures
from gluon_tricks.saved.sheet import MOST_LETTERS, fitting
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


def test_a_long_line_of_a_caption_is_shortened_in_its_middle():
    name = "val/n01440764/ILSVRC2012_val_00000293.JPEG"
    assert len(fitting(name)) <= MOST_LETTERS
    assert fitting(name).startswith("val/n01") and fitting(name).endswith("293.JPEG") and fitting("cat 98 %") == "cat 98 %"
