"""The charts of a report: curves over the published ones with their bands, differences, rate and speed."""

import math

from gluon_tricks.pages.shell import BAND, INK, PUBLISHED, Chart, axes, series_style
from gluon_tricks.pages.shown import Curve

MARKERS = 25                     # at most so many on a curve; hovering finds every epoch


def charts_of(runs):
    """All charts of runs, in the order in which they are read.

    Parameters
    ----------
    runs : list of Shown

    Returns
    -------
    list of Chart
    """
    panels = dict.fromkeys(curve.panel for run in runs for curve in run.curves)
    # scores first, then what was optimized
    ordered = sorted(panels, key=lambda panel: not panel.startswith("validation"))
    found = [chart for panel in ordered
             for chart in (curves_chart(runs, panel), *difference_chart(runs, panel))]
    for panel in dict.fromkeys(curve.panel for run in runs for curve in run.course):
        found.append(course_chart(runs, panel))
    return found


def curves_chart(runs, panel):
    """The curves of all runs in a panel, over the published ones and their bands."""
    here = [(i, curve) for i, run in enumerate(runs) for curve in run.curves if curve.panel == panel]
    there = _published(runs, panel)
    traces = [trace for j in range(len(there)) for trace in _reference(there, j)]
    traces += [_line(curve, i) for i, curve in here]
    traces += [trace for run in runs for trace in _outside(run, panel)]
    curves = [*there, *(curve for _, curve in here)]
    first, last = min(curve.epochs[0] for curve in curves), max(curve.epochs[-1] for _, curve in here)
    to_come = max(last + max(2, last // 10), 9)          # a few of the published epochs
    end = max(last, min(to_come, max([curve.epochs[-1] for curve in there], default=0)))
    over = f" over {_and([f'{curve.name} ({curve.note})' for curve in there])}" if there else ""
    band = f" and {'its band' if len(there) == 1 else 'their bands'}" if any(
        curve.limits for curve in there) else ""
    ends = [f"{curve.name} ({figure_text(curve.values[-1])} in epoch {curve.epochs[-1]})"
            for _, curve in here]
    layout = axes("epoch", _unit(panel), xaxis=_epochs(first, end), yaxis=_span(curves, end))
    return Chart(_name("curves", panel), _title(panel), f"{_and(ends)}{over}{band}.", traces, layout)


def difference_chart(runs, panel):
    """Runs minus the published run, and the band around zero; nothing if no run was compared."""
    here = [(i, curve) for i, run in enumerate(runs) for curve in run.differences if curve.panel == panel]
    if not here:
        return
    banded = _bands(runs, panel)
    traces = [trace for curve in banded for trace in _band(curve, curve.name)]
    traces += [_line(curve, i, form=":+.2f") for i, curve in here]
    traces += [trace for run in runs for trace in _outside(run, panel, as_difference=True)]
    says = ("Above (+) or below (-) the reference. "
            + ("Epochs must lie in the band; a few of validation may leave it." if banded else
               "One run is published, so no band is known."))
    unit = _unit(panel)
    layout = axes("epoch", f"difference, {'points' if unit.endswith('%') else unit}",
                  xaxis=_epochs(min(curve.epochs[0] for _, curve in here),
                                max(curve.epochs[-1] for _, curve in here)),
                  yaxis={"zerolinecolor": INK, "tickformat": "+.2~f"})
    title = _title(panel.partition(",")[0])
    yield Chart(_name("difference", panel), f"{title}: difference{' and band' if banded else ''}", says,
                traces, layout)


def _bands(runs, panel):
    """The band around zero of each published run, over all epochs that were compared with it."""
    found = {}
    for run in runs:
        for curve in run.differences:
            if curve.panel == panel and curve.limits:
                found.setdefault(run.reference, {}).update(zip(curve.epochs, curve.limits))
    return [Curve(panel, "band" if len(found) == 1 else f"band: {name}", sorted(limits),
                  [0] * len(limits), [limits[epoch] for epoch in sorted(limits)])
            for name, limits in found.items()]


def course_chart(runs, panel):
    """Learning rate or speed of all runs, over the published rate."""
    here = [(i, curve) for i, run in enumerate(runs) for curve in run.course if curve.panel == panel]
    there = _published(runs, panel)
    traces = [trace for j in range(len(there)) for trace in _reference(there, j, form=":.6~g")]
    traces += [_line(curve, i, form=":.6~g") for i, curve in here]
    notes = "".join(f" {note}" for note in dict.fromkeys(curve.note for _, curve in here) if note)
    says = f"{_and([_middle(curve) for _, curve in here])}.{notes}"
    says += f" In grey: {_and([curve.name for curve in there])}." if there else ""
    last = max(curve.epochs[-1] for _, curve in here)
    layout = axes("epoch", panel, xaxis=_epochs(0, last),
                  yaxis={"range": [0, 1.08 * max(_seen([*there, *(curve for _, curve in here)], last))]})
    return Chart(_name("course", panel), _title(panel), says, traces, layout)


# --- Traces -------------------------------------------------------------------------------------------------

def _published(runs, panel):
    """The published curves of a panel, each once."""
    return list({curve.name: curve for run in runs for curve in run.published
                 if curve.panel == panel}.values())


def _line(curve, i, form=":.2f"):
    style = series_style(i)
    style["marker"] = {**style["marker"], "maxdisplayed": MARKERS}
    return {"type": "scatter", "mode": "lines+markers", "x": curve.epochs, "y": curve.values,
            "name": curve.name, "hovertemplate": f"%{{y{form}}}", **style}


def _reference(curves, j, form=":.2f"):
    """The j-th of the published curves of a panel, and its band."""
    curve, of = curves[j], "" if len(curves) == 1 else f": {curves[j].name}"
    line = {"color": PUBLISHED, "width": 1.5, "dash": ("solid", "dot", "dash")[j % 3]}
    band = " ± %{customdata:.2f}" if curve.limits else ""
    return [*(_band(curve, f"band{of}") if curve.limits else []),
            {"type": "scatter", "mode": "lines", "x": curve.epochs, "y": curve.values,
             "name": f"{curve.note}{of}", "line": line, "customdata": curve.limits or [],
             "hovertemplate": f"%{{y{form}}}{band}"}]


def _band(curve, name):
    """The area within the limits of a curve: its two edges."""
    edge = {"type": "scatter", "mode": "lines", "x": curve.epochs, "line": {"width": 0, "color": BAND},
            "hoverinfo": "skip", "legendgroup": name}
    low, high = ([round(value + sign * limit, 4) for value, limit in zip(curve.values, curve.limits)]
                 for sign in (-1, 1))
    return [{**edge, "y": low, "name": f"{name}, lower edge", "showlegend": False},
            {**edge, "y": high, "name": name, "fill": "tonexty", "fillcolor": BAND}]


def _outside(run, panel, as_difference=False):
    """Crosses at the epochs of a run that leave the band."""
    values = {curve.panel: dict(zip(curve.epochs, curve.values)) for curve in run.curves}.get(panel, {})
    for curve in run.differences:
        if curve.panel != panel or not curve.limits:
            continue
        out = [(epoch, value if as_difference else values[epoch]) for epoch, value, limit in
               zip(curve.epochs, curve.values, curve.limits) if not abs(value) <= limit]
        if out:
            yield {"type": "scatter", "mode": "markers", "x": [epoch for epoch, _ in out],
                   "y": [value for _, value in out], "name": f"outside: {run.name}", "hoverinfo": "skip",
                   "marker": {"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": INK}}}


# --- Axes and words -----------------------------------------------------------------------------------------

def _epochs(first, last):
    return {"range": [first - 0.5, last + 0.5], "unifiedhovertitle": {"text": "epoch %{x}"},
            **({"dtick": 1} if last - first < 12 else {})}


def finite_of(values):
    """The values that are finite; a zero if none is."""
    return [value for value in values if math.isfinite(value)] or [0]


def _seen(curves, last):
    """All finite values up to an epoch."""
    return finite_of([value for curve in curves for epoch, value in zip(curve.epochs, curve.values)
                      if epoch <= last])


def _span(curves, last):
    """The range of an axis that holds the curves up to an epoch, so that the rest can be zoomed to."""
    low, high = (end(_seen(curves, last)) for end in (min, max))
    room = 0.06 * (high - low) or 1
    return {"range": [round(max(low - room, 0 if low >= 0 else low - room), 4), round(high + room, 4)]}


def _unit(panel):
    """`accuracy, %` of `validation accuracy, %`."""
    return panel.removeprefix("validation ").removeprefix("training ")


def _title(panel):
    return panel[0].upper() + panel[1:]


def figure_text(value):
    """A figure with two decimals."""
    return f"{value:.2f}" if math.isfinite(value) else "not a number"


def _middle(curve):
    """A run's name with the median of its figures; of a rate, which goes down, with its range."""
    values = sorted(finite_of(curve.values))
    low, middle, high = values[0], values[len(values) // 2], values[-1]
    if curve.panel == "learning rate":
        return f"{curve.name} ({low:.3g} to {high:.3g})" if low < high else f"{curve.name} ({high:.3g})"
    return f"{curve.name} (median {middle:.4g})"


def _and(names):
    """`a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _name(kind, panel):
    return f"{kind}-" + "".join(one if one.isalnum() else "-" for one in panel)
