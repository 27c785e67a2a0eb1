"""The atlas: a page with all published runs, to search, to overlay, and to lay one's own logs over.

`python -m gluon_tricks published --atlas docs/atlas.html` writes it. The list of runs is HTML, so that it can
be read and printed without JavaScript; `atlas.js` filters it and draws the chart. `log_reader.js` reads the
reader's own logs with the patterns of `log_lines`, which stand in the page. The same runs give the same
bytes.
"""

import re
import shlex
from pathlib import Path

from gluon_tricks.log_lines.epochs import EpochRecord
from gluon_tricks.log_lines.lines import KINDS, Namespace, TotalTime
from gluon_tricks.log_lines.text import ESCAPE_CODES, PREFIX
from gluon_tricks.pages.shell import Html, data_script, escaped, page, series_style
from gluon_tricks.published.catalogue import catalogue, curve
from gluon_tricks.published.commands import command_of
from gluon_tricks.published.selection import TRICKS, measured, quality, top1, top5, tricks_of

SLOTS = 6                                        # runs in the chart, each with its colour, dash and marker
OPENING = ("resnet50_v1", "resnet50_v1b", "resnet50_v1d", "resnet50_v1d-mixup")     # the paper's steps
WIDTH, HEIGHT, POINTS = 160, 44, 60              # of a small curve
LOWEST = {"cifar10": 60, "imagenet": 20}         # accuracy at its lower edge, %; 100 at the upper
SORTED_BY = {"name": "name", "top1": "top-1, last epoch", "best": "top-1, best epoch", "epochs": "epochs"}


def atlas(runs):
    """The HTML of the page.

    Parameters
    ----------
    runs : sequence of PublishedRun
    """
    opening = [run.name for run in runs if run.name in OPENING] or [run.name for run in runs[:2]]
    data = {"runs": {run.name: {**facts(run), **curves(run)} for run in runs}, "opening": opening,
            "styles": [series_style(i) for i in range(SLOTS)], "grammar": grammar()}
    reader, script, style = (Path(__file__).with_name(name).read_text(encoding="utf-8")
                             for name in ("log_reader.js", "atlas.js", "atlas.css"))
    title = f"The {len(runs)} training runs that GluonCV published"
    if len(runs) < len(catalogue()):
        title = f"{len(runs)} of the {len(catalogue())} training runs that GluonCV published"
    pieces = [Html(INTRODUCTION), Html(OVERLAY), filters(runs), Html('<ol id="runs" class="runs">'),
              *map(row, runs), Html("</ol>"), data_script("atlas-data", data)]
    return page(title, pieces, footer=FOOTER, style=style, script=f"{reader}\n{script}")


NOTHING = EpochRecord(0, "")                     # of an epoch that a log lacks


# --- Data ---------------------------------------------------------------------------------------------------

def facts(run):
    """What the page's script must know about a run."""
    return {"dataset": run.dataset, "model": run.model, "mixup": bool(run.tricks["mixup"]),
            "usable": run.is_usable, "measured": measured(run)}


def curves(run):
    """A run's curves: lists with a figure per epoch in percent, of two digits; None where there is none.

    Figures are accuracies; those in `train` RMSE x 100 where `metric` is "rmse".
    """
    records = {record.epoch: record for record in curve(run.name)}
    metric = "rmse" if run.train_metric == "rmse" else "accuracy"
    found = {"val1": [], "val5": [], "train": []}
    for epoch in range(max(records) + 1):
        record = records.get(epoch, NOTHING)
        train = record.train_metric
        if train is not None and record.train_metric_name == "err-top1":
            train = 1 - train
        found["train"].append(_percent(train))
        for name, error in (("val1", record.val_err_top1), ("val5", record.val_err_top5)):
            found[name].append(None if error is None else _percent(1 - error))
    found = {name: [] if set(values) == {None} else values for name, values in found.items()}
    return {"metric": metric, **found}


def _percent(fraction):
    return None if fraction is None else round(100 * fraction, 2)


def grammar():
    """The log lines of `log_lines` as JavaScript's regular expressions."""
    lines = {kind.kind: kind.pattern.pattern.replace("(?P<", "(?<") for kind in KINDS
             if kind not in (Namespace, TotalTime)}
    return {"prefix": without_layout(PREFIX.pattern), "escapes": ESCAPE_CODES.pattern, "lines": lines}


def without_layout(pattern):
    """A pattern of Python's verbose kind without its blanks and comments."""
    return re.sub(r"(\\.|\[\^?(?:\\.|[^\]\\])+\])|\s+|#.*", lambda match: match[1] or "", pattern)


# --- The list -----------------------------------------------------------------------------------------------

def row(run):
    """The HTML of a run in the list."""
    command, names = command_of(run.name), [trick.name for trick in tricks_of(run)]
    facts_of_row = {"name": run.name, "model": run.model, "dataset": run.dataset, "tricks": " ".join(names),
                    "epochs": run.epochs, "top1": f"{top1(run) or 0:.4f}",
                    "best": f"{top1(run, 'best') or 0:.4f}"}
    attributes = "".join(f' data-{name}="{escaped(value)}"' for name, value in facts_of_row.items())
    attributes += " data-usable" if run.is_usable else ""
    worth = "good" if measured(run) == "both" else "doubtful"
    chips = "".join(f"<li>{name}</li>" for name in names) or '<li class="none">none of the tricks</li>'
    return Html(f"""<li class="run"{attributes}>
<label class="name"><input type="checkbox"><b>{run.name}</b><span>{_what(run)}</span></label>
{small_curve(run)}
<p class="figure">{_figures(run)}</p>
<ul class="tricks" aria-label="tricks">{chips}</ul>
<p class="quality {worth}">{escaped(quality(run))}</p>
<details><summary>Command</summary>
<p class="note">With this kit:</p><pre>{escaped(shlex.join(command.typed_today))}</pre>
<p class="note">As GluonCV published it:</p><pre>{escaped(shlex.join(command.words))}</pre></details>
<button type="button" class="copy no-print">Copy command</button>
</li>""")


def _figures(run):
    if not run.val_is_usable:
        return "<b>no figure</b><span>its validation is no measurement</span>"
    five = f"top-5 {top5(run):.2f} %; " if top5(run) is not None else ""
    return (f"<b>{top1(run):.2f} %</b><span>top-1 accuracy, last epoch; {five}best {top1(run, 'best'):.2f} % "
            f"in epoch {run.best['epoch']}</span>")


def _what(run):
    model = f"model {run.model}, " if run.model != run.name else ""
    return f"{model}{run.dataset}, {run.epochs} epochs, batch {run.global_batch_size}"


def small_curve(run):
    """The validation accuracy over the epochs as a small picture; the scale is that of the data set."""
    points = [(record.epoch, 100 * (1 - record.val_err_top1)) for record in curve(run.name)
              if record.val_err_top1 is not None]
    (_, first), (end, last), lowest = points[0], points[-1], LOWEST[run.dataset]
    chosen = sorted({*points[::-(-len(points) // POINTS)], points[-1]})
    corners = " ".join(f"{WIDTH * epoch / end:.1f},{HEIGHT * min(1, (100 - value) / (100 - lowest)):.1f}"
                       for epoch, value in chosen)
    kind = "" if run.val_is_usable else ' class="doubtful"'
    return (f'<svg viewBox="-1 -1 {WIDTH + 2} {HEIGHT + 2}" role="img" aria-label="validation accuracy from '
            f'{first:.1f} to {last:.1f} %"><title>validation accuracy, top-1: {lowest} to 100 %, over '
            f'{len(points)} epochs</title>'
            f'<path d="M0 0H{WIDTH}M0 {HEIGHT / 2:g}H{WIDTH}M0 {HEIGHT}H{WIDTH}"/>'
            f'<polyline{kind} points="{corners}"/></svg>')


def filters(runs):
    """The HTML of the fields above the list."""
    datasets = "".join(f"<option>{name}</option>" for name in sorted({run.dataset for run in runs}))
    tricks = "".join(f'<label><input type="checkbox" value="{trick.name}"> {trick.name}</label>'
                     for trick in TRICKS if any(trick.has(run) for run in runs))
    orders = "".join(f'<option value="{key}">{text}</option>' for key, text in SORTED_BY.items())
    return Html(f"""<section class="filters no-print" aria-label="Filter the list">
<h2>Runs</h2>
<p><label>Search <input id="search" type="search" placeholder="resnet50* or mixup" autocomplete="off"
spellcheck="false"></label>
<label>Data set <select id="dataset"><option value="">all</option>{datasets}</select></label>
<label>Sort by <select id="sort">{orders}</select></label>
<label><input id="usable" type="checkbox"> usable only</label></p>
<fieldset id="tricks"><legend>with</legend>{tricks}</fieldset>
<p><output id="count" aria-live="polite">{len(runs)} of {len(runs)} runs</output>
<span id="full" class="note" hidden>The chart holds {SLOTS} runs: take one out to put in another.</span>
<span id="none" class="note" hidden>No run fits; <code>*</code> stands for any letters.</span></p>
</section>""")


INTRODUCTION = """<p>GluonCV trained these nets on CIFAR-10 and ImageNet and published the logs. Tick two to
six runs to overlay them, and drop your own log anywhere on this page to see it over theirs. Nothing leaves
this page: it makes no request. The picture is for the eye; the verdict is
<code>python -m gluon_tricks compare LOG</code>.</p>"""

OVERLAY = """<figure class="wide">
<h2>Overlay</h2>
<p class="controls no-print"><label>Curve <select id="curve">
<option value="val1">validation accuracy, top-1, %</option>
<option value="val5">validation accuracy, top-5, %</option>
<option value="train">training accuracy, %</option>
<option value="rmse">training RMSE x 100 (runs with mixup)</option></select></label>
<label class="files">Choose or drop your own logs<input id="files" type="file" multiple></label>
<label id="short-label" hidden><input id="short" type="checkbox" checked>
only as many epochs as your logs have</label></p>
<p id="said" class="note" aria-live="polite"></p>
<div id="overlay" class="chart" role="img" aria-label="chart of the chosen runs"></div>
<p id="without" class="note" aria-live="polite"></p>
<p class="chosen no-print"><span id="chosen"></span><button id="clear" type="button" hidden>Clear</button></p>
<details class="print"><summary>The chart as a table</summary><div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">run</th><th scope="col" class="number">last epoch</th>
<th scope="col" class="number">there</th><th scope="col" class="number">best</th>
<th scope="col" class="number">in epoch</th></tr></thead>
<tbody id="described"></tbody></table></div></details>
</figure>"""

FOOTER = Html("""Curves and catalogue: <code>logs/published</code> of gluon_tricks, read from dmlc/web-data.
Small curves show the top-1 validation accuracy, from 60 to 100 % for CIFAR-10 and from 20 to 100 % for
ImageNet; dotted where it is no measurement. Written by
<code>python -m gluon_tricks published --atlas docs/atlas.html</code>.""")
