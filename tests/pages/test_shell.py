"""Pages: texts are escaped, numbers that are not finite are gaps, charts have text alternatives."""

import html
import json
import re
import sys

import numpy as np
import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.pages import shell
from gluon_tricks.pages.shell import Chart, axes, chart, data_script, page, points_of, table

CHART = Chart("acc", "Accuracy & more", "It <rises>.",
              [{"x": np.arange(3), "y": np.array([1.0, np.nan, 3.0]), "name": "here"},
               {"x": [1, 2], "y": [5, 6], "name": "published"}, {"x": [9], "y": [9]}],
              axes("epoch", "accuracy, %", yaxis={"range": [0, 9]}))


def data_of(text, name):
    """What the page's scripts read."""
    return json.loads(re.search(f'id="{name}">(.*?)</script>', text, re.DOTALL)[1])


def test_a_chart_says_in_words_and_as_a_table_what_it_shows():
    text = chart(CHART)
    assert 'role="img" aria-label="Accuracy &amp; more: It &lt;rises&gt;."' in text
    head, rows = points_of(CHART)
    assert head == ["epoch", "here", "published"]
    assert rows == [["0", "1", ""], ["1", "not a number", "5"], ["2", "3", "6"]]


def test_what_is_not_finite_is_a_gap():
    assert data_of(chart(CHART), "acc-figure")["traces"][0]["y"] == [1.0, None, 3.0]


def test_texts_cannot_end_the_script_or_add_markup():
    nasty = "</script><img src=x onerror=alert(1)>\x1b[31m"
    text = page(nasty, [table([nasty, "b"], [[nasty, "1"]], caption=nasty), chart(Chart("a", nasty, nasty, [
        {"x": [1], "y": [1], "name": nasty}], axes(nasty, nasty)))], footer=nasty)
    assert "<img" not in text
    assert "\x1b" not in text
    assert html.unescape(data_of(text, "a-figure")["traces"][0]["name"]) == nasty
    assert "<" not in data_of(text, "a-figure")["traces"][0]["name"]             # Plotly makes links of tags
    assert data_of(data_script("b", nasty), "b") == nasty


def test_numbers_stand_at_the_right_and_the_named_rows_are_marked():
    text = table(["flag", "a"], [["lr", "0.1"], ["wd", "±1e-4"]], marked=[1])
    assert '<td class="number">0.1</td>' in text
    assert text.count('<tr class="marked"><td>wd') == 1


def test_a_page_can_load_nothing_and_names_no_file():
    text = page("Title", [chart(CHART)])
    ours = text.replace(shell._plotly(), "")
    assert "default-src 'none'" in ours
    assert not re.search(r"(?:src|href)=|url\(|@import|https?:", ours)
    assert "setTimeout(() => location.reload()" not in text
    assert "setTimeout(() => location.reload(), 2500)" in page("Title", [], reload_s=2.5)


def test_without_plotly_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    shell._plotly.cache_clear()
    with pytest.raises(UserError, match="needs the Python package plotly; install it with pip install"):
        page("Title", [])
