"""The report of runs: a page with verdict, curves, recipe, diagnosis, epochs and origin of each."""

from collections import Counter
from dataclasses import replace

from gluon_tricks.errors import UserError
from gluon_tricks.judging.runs import read_run
from gluon_tricks.judging.verdict import judge_logs
from gluon_tricks.pages import classified, transferred
from gluon_tricks.pages.charts import charts_of, figure_text, finite_of
from gluon_tricks.pages.shell import Html, chart, escaped, page, table
from gluon_tricks.program import command_words

RELOAD_S = 10
BOXES = {"INSIDE": "good", "OUTSIDE": "bad", "none": ""}


def read_shown(paths, ref=None):
    """What a report shows of the runs at these paths.

    Parameters
    ----------
    paths : list of Path
        Folders of runs, logs of this kit, or bare logs of GluonCV.
    ref : str, optional
        Name of the published log to compare with.

    Returns
    -------
    runs : list of Shown
        With distinct names.
    together : dict
        Names of the seeds of one recipe -> the verdict on their mean, for each recipe with several.

    Raises
    ------
    UserError
        If one is unusable, or named twice.
    """
    runs = [read_run(path) for path in paths]
    logs = [run.log.path.resolve() for run in runs]
    for path, log in zip(paths, logs):
        if logs.count(log) > 1:
            raise UserError(f"{path}: is given twice; give each run once")
    runs = [replace(run, name=name) for run, name in
            zip(runs, _distinct([run.name for run in runs], logs))]
    shown = [(transferred if run.is_transfer else classified).show(run, ref) for run in runs]
    return shown, _together(runs, shown, ref)


def _together(runs, shown, ref):
    """Names of the seeds of one recipe -> the verdict on their mean, for each recipe with several."""
    groups = {}
    for run, one in zip(runs, shown):
        if one.recipe and not run.is_transfer:
            groups.setdefault(tuple(one.recipe.items()), []).append(run)
    return {", ".join(run.name for run in group) if len(group) < len(runs) else "all runs":
            judge_logs([run.log for run in group], ref).line.removeprefix("verdict: ")
            for group in groups.values() if len(group) > 1}


def _distinct(names, logs):
    """Names of runs, with as many folders before them as it takes to tell them apart."""
    for depth in range(1, max(len(log.parts) for log in logs)):
        twice = {name for name, count in Counter(names).items() if count > 1}
        if not twice:
            break
        names = ["/".join(log.with_suffix("").parts[-1 - depth:]) if name in twice else name
                 for name, log in zip(names, logs)]
    return names


def report(runs, together=(), is_watching=False):
    """The HTML of a report.

    Parameters
    ----------
    runs, together
        As `read_shown` gives them.
    is_watching : bool
        The page is written again as the run goes on: it also loads itself again.
    """
    charts = Html(f'<div class="charts">{"".join(map(chart, charts_of(runs)))}</div>')
    pieces = [verdict_box(f"{names}: ", verdict) for names, verdict in dict(together).items()]
    pieces += [verdict_box(f"{run.name}: " if len(runs) > 1 else "", run.verdict) for run in runs]
    if is_watching:
        pieces.append(Html(f'<p class="note">The run goes on. This page loads itself again every {RELOAD_S} '
                           "seconds.</p>"))
    pieces += [*figures_tables(runs), charts, *recipe_section(runs), *diagnosis_section(runs)]
    for run in runs:
        pieces += run_section(run, len(runs) > 1)
    footer = (f"Written by gluon_tricks: {' '.join(command_words())}. A verdict compares each epoch with the "
              "log that GluonCV published and with the band in which a repeat of it stays.")
    title = f"Report: {runs[0].name}" if len(runs) == 1 else f"Report of {len(runs)} runs"
    return page(title, pieces, footer, reload_s=RELOAD_S if is_watching else None)


def verdict_box(of, verdict):
    """A verdict, to stand on top: whose it is, and its line without the word."""
    outcome = next(name for name in BOXES if verdict.startswith(name))
    head = "No verdict" if outcome == "none" else outcome
    return Html(f'<p class="verdict {BOXES[outcome]}"><strong>{escaped(of)}{head}</strong>'
                f"{escaped(verdict.removeprefix(outcome))}</p>")


def figures_tables(runs):
    """Last and best validation of every run, and the reference's figures: a table for each panel."""
    panels = dict.fromkeys(curve.panel for run in runs for curve in run.curves
                           if curve.panel.startswith("validation"))
    for panel in panels:
        rows = [[run.name, _at(curve, curve.values[-1]), *_reference(run, panel, curve.epochs[-1]),
                 _at(curve, (min if "error" in panel else max)(finite_of(curve.values)))]
                for run in runs for curve in run.curves if curve.panel == panel]
        yield table([panel, "last", "reference then", "reference's last", "best"], rows, kind="brief")


def _reference(run, panel, epoch):
    """The figures of a run's reference in an epoch, and its last."""
    there = next((curve for curve in run.published if curve.panel == panel), None)
    if not there:
        return "none", "none"
    then = dict(zip(there.epochs, there.values)).get(epoch)
    return "none" if then is None else figure_text(then), _at(there, there.values[-1])


def _at(curve, value):
    """A figure and the last epoch that has it."""
    epoch = max((epoch for epoch, one in zip(curve.epochs, curve.values) if one == value),
                default=curve.epochs[-1])           # none is equal to "not a number"
    return f"{figure_text(value)} (epoch {epoch})"


def recipe_section(runs):
    """The flags of all runs next to those of the published ones; rows that differ are marked."""
    yield Html("<h2>Recipe</h2>")
    columns = {run.name: run.recipe for run in runs if run.recipe}
    columns.update({f"reference: {run.reference}": run.published_recipe for run in runs if run.reference})
    if not any(run.recipe for run in runs):
        yield Html("<p>Not known: the log has no line with the run's arguments.</p>")
    if not columns:
        return
    flags = dict.fromkeys(flag for values in columns.values() for flag in values)
    rows = [[flag, *(values.get(flag, "") for values in columns.values())] for flag in flags]
    differ = [row for row in rows if len({text for text in row[1:] if text}) > 1]
    departs = sorted({flag for run in runs for flag in run.departs})
    if differ:
        yield Html(f"<p>{len(differ)} of {len(rows)} flags that decide what is computed differ. "
                   + (f"Departures from the published recipe: {escaped(', '.join(departs))}." if departs else
                      "No run departs by them from the published recipe as far as it goes.") + "</p>")
        yield table(["flag", *columns], differ, marked=range(len(differ)))
    same = [row for row in rows if row not in differ]
    word = "equal flags" if len(columns) > 1 else "flags"
    yield Html(f'<details class="print"><summary>{len(same)} {word} that decide what is computed</summary>'
               f"{table(['flag', *columns], same)}</details>")


def diagnosis_section(runs):
    """Known mistakes that show in the logs."""
    yield Html("<h2>Diagnosis</h2>")
    found = [(run, finding) for run in runs for finding in run.findings]
    if not found:
        yield Html("<p>No known mistake shows in the log.</p>")
    for run, finding in found:
        yield Html(f'<div class="verdict bad"><strong>{escaped(finding.name)}</strong>'
                   f"{escaped(f' ({run.name})' if len(runs) > 1 else '')}<br>{escaped(finding.says)}.<br>"
                   f"Remedy: {escaped(finding.remedy)}.</div>")


def run_section(run, is_one_of_many):
    """Epochs, origin, and what is not known of a run."""
    name = f" of {run.name}" if is_one_of_many else ""
    head, rows = run.epochs
    outside = [i for i, row in enumerate(rows) if "OUT" in row]
    yield Html(f"<h2>Epochs{escaped(name)}</h2>")
    yield Html(f'<details class="print"><summary>All {len(rows)} epochs</summary>'
               f"{table(head, rows, marked=outside)}</details>")
    yield Html(f"<h2>Origin{escaped(name)}</h2>")
    yield table([], run.facts, kind="facts")
    yield Html(f"<h2>Not known{escaped(name)}</h2>")
    yield Html("<ul>" + "".join(f"<li>{escaped(sentence)}</li>" for sentence in run.not_known) + "</ul>")
