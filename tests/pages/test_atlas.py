"""The atlas: the committed page is today's, and holds every published run with its figures."""

import csv
import gzip
import html
import json
import re
import shlex
from pathlib import Path

import pytest

from gluon_tricks.log_lines.text import PREFIX
from gluon_tricks.pages.atlas import atlas, grammar
from gluon_tricks.published.catalogue import catalogue, published_run

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "atlas.html"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def test_the_committed_page_is_what_the_generator_makes_today(page):
    assert atlas(catalogue().values()) == page, "python -m gluon_tricks published --atlas docs/atlas.html"
    assert PAGE.stat().st_size < 8_000_000


def test_its_curves_are_those_of_the_logs_in_percent_of_accuracy(page):
    data = json.loads(re.search(r'id="atlas-data">(.*?)</script>', page)[1])
    found = {}
    with gzip.open(ROOT / "logs" / "published" / "curves.csv.gz", "rt") as stream:
        for row in csv.DictReader(stream):
            run, epoch = data["runs"][row["run"]], int(row["epoch"])
            found.setdefault(row["run"], []).append(epoch)
            for name, error in (("val1", row["val_err_top1"]), ("val5", row["val_err_top5"])):
                shown = run[name][epoch] if run[name] else None
                assert shown == (pytest.approx(100 - 100 * float(error), abs=0.0051) if error else None)
            train = 100 * float(row["train_metric"])
            is_error = row["train_metric_name"] == "err-top1"
            assert run["train"][epoch] == pytest.approx(100 - train if is_error else train, abs=0.0051)
            assert run["metric"] == ("rmse" if row["train_metric_name"] == "rmse" else "accuracy")
    assert {name: max(epochs) + 1 for name, epochs in found.items()} == {
        name: len(run["train"]) for name, run in data["runs"].items()}


def test_every_run_stands_in_the_list_with_figure_quality_and_commands(page):
    items = dict(re.findall(r'<li class="run" data-name="([^"]+)"(.*?)\n</li>', page, re.DOTALL))
    assert list(items) == sorted(catalogue()) and len(items) == 73
    for name, item in items.items():
        run = published_run(name)
        today, as_published = map(html.unescape, re.findall(r"<pre>(.*?)</pre>", item))
        assert shlex.split(as_published) == shlex.split(run.command)
        assert shlex.split(today)[0] == "python"
        assert all(html.escape(sentence) in item for sentence in run.flags.values())
        assert f"{run.epochs} epochs" in item and "<polyline" in item
        top1 = f"<b>{100 * (1 - run.final['val_err_top1']):.2f} %</b>"
        assert (top1 in item) == run.val_is_usable


def test_an_atlas_of_some_runs_holds_only_these():
    text = atlas([published_run("vgg16"), published_run("xception")])
    data = json.loads(re.search(r'id="atlas-data">(.*?)</script>', text)[1])
    assert list(data["runs"]) == data["opening"] == ["vgg16", "xception"]
    assert "<title>2 of the 73 training runs" in text and text.count('<li class="run"') == 2


@pytest.mark.parametrize("line", ["INFO:root:[Epoch 0] train=0.1", "[1,0]<stderr>:INFO:root:x", "worker-1  | [Epoch 0] t",
                                  "2026-11-28 06:54:49,123 INFO [Epoch 0] x", "Nov 28 06:54:49 node1 python[331]: y",
                                  "[ 12.5] [0] z", "(Epoch", "stdout F x", "# [T_ ,]"])
def test_the_pages_pattern_of_prefixes_takes_what_the_readers_takes(line):
    assert re.match(grammar()["prefix"], line).end() == PREFIX.match(line).end()
