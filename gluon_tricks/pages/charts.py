"""The charts of a report: curves over the published ones with their bands, differences, rate and speed."""

import math

from gluon_tricks.pages.shell import BAND, INK, PUBLISHED, Chart, axes, series_style

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
    found = [curves_chart(runs, panel) for panel in ordered]
    found += [chart for panel in ordered for chart in difference_chart(runs, panel)]
    for panel in dict.fromkeys(curve.panel for run in runs for curve in run.course):
        found.append(course_chart(runs, panel))
    return found


def curves_chart(runs, panel):
    """The curves of all runs in a panel, over the published ones and their bands."""
    here = [(i, curve) for i, run in enumerate(runs) for curve in run.curves if curve.panel == panel]
    there = _published(runs, panel)
    traces = [trace for j, curve in enumerate(there) for trace in _reference(curve, j)]
    traces += [_line(curve, i) for i, curve in here]
    traces += [trace for run in runs for trace in _outside(run, panel)]
    last = max(curve.epochs[-1] for _, curve in here)
    first = min(curve.epochs[0] for _, curve in here)
    end = max(last + max(2, last // 10), 9) if there else last
    names = ", ".join(curve.name for _, curve in here)
    compared = f" over {', '.join(curve.name for curve in there)}, published" if there else ""
    band = ", with its band" if any(curve.limits for curve in there) else ""
    says = f"{names}{compared}{band}. {_ends(here)}"
    layout = axes("epoch", panel, xaxis=_epochs(min([first, *(curve.epochs[0] for curve in there)]), end),
                  yaxis=_span([*there, *(curve for _, curve in here)], end))
    return Chart(_name("curves", panel), panel[0].upper() + panel[1:], says, traces, layout)


def difference_chart(runs, panel):
    """Runs minus the published run, and the band around zero; nothing if no run was compared."""
    here = [(i, curve) for i, run in enumerate(runs) for curve in run.differences if curve.panel == panel]
    if not here:
        return
    banded = {published.name: curve for _, curve in here if curve.limits for published in
              _published([run for run in runs if run.name == curve.name], panel)}
    traces = []
    for curve in banded.values():
        zero = curve._replace(values=[0] * len(curve.epochs))
        traces += _band(zero, "band")
    traces += [_line(curve, i) for i, curve in here]
    traces += [trace for run in runs for trace in _outside(run, panel, as_difference=True)]
    says = ("Points above (+) or below (-) the published run. "
            + ("The run's epochs must lie in the band; a few of validation may leave it." if banded else
               "One run is published, so no band is known."))
    name, _, unit = panel.partition(", ")
    layout = axes("epoch", f"difference, {'points' if unit == '%' else 'RMSE x 100'}",
                  xaxis=_epochs(min(curve.epochs[0] for _, curve in here),
                                max(curve.epochs[-1] for _, curve in here)),
                  yaxis={"zerolinecolor": INK, "tickformat": "+.2~f"})
    yield Chart(_name("difference", panel), f"Difference and band: {name}" if banded else
                f"Difference: {name}", says, traces, layout)


def course_chart(runs, panel):
    """Learning rate or speed of all runs, over the published rate."""
    here = [(i, curve) for i, run in enumerate(runs) for curve in run.course if curve.panel == panel]
    there = _published(runs, panel)
    traces = [trace for j, curve in enumerate(there) for trace in _reference(curve, j, form=":.6~g")]
    traces += [_line(curve, i, form=":.6~g") for i, curve in here]
    names = [f"{curve.name}: {curve.note}" if curve.note else curve.name for _, curve in here]
    names += [f"published: {curve.name}" for curve in there]
    last = max(curve.epochs[-1] for _, curve in here)
    layout = axes("epoch", panel, xaxis=_epochs(0, last), yaxis={"rangemode": "tozero"})
    if there:
        layout["yaxis"]["range"] = [0, 1.08 * max(_seen([*there, *(curve for _, curve in here)], last))]
    return Chart(_name("course", panel), panel[0].upper() + panel[1:], " ".join(names), traces, layout)


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


def _reference(curve, j, form=":.2f"):
    """A published curve, the j-th of its panel, and its band."""
    name = f"published: {curve.name}"
    line = {"color": PUBLISHED, "width": 1.5, "dash": ("solid", "dot", "dash")[j % 3]}
    band = "" if not curve.limits else " ± %{customdata:.2f}"
    return [*(_band(curve, f"band of {curve.name}") if curve.limits else []),
            {"type": "scatter", "mode": "lines", "x": curve.epochs, "y": curve.values, "name": name,
             "line": line, "customdata": curve.limits or [], "hovertemplate": f"%{{y{form}}}{band}"}]


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


def _seen(curves, last):
    return [value for curve in curves for epoch, value in zip(curve.epochs, curve.values)
            if epoch <= last and math.isfinite(value)] or [0]


def _span(curves, last):
    """The range of an axis that holds the curves up to an epoch, so that the rest can be zoomed to."""
    low, high = (end(_seen(curves, last)) for end in (min, max))
    room = 0.06 * (high - low) or 1
    return {"range": [round(max(low - room, 0 if low >= 0 else low - room), 4), round(high + room, 4)]}


def _ends(curves):
    return " ".join(f"{curve.name} ends at {curve.values[-1]:.2f} in epoch {curve.epochs[-1]}."
                    for _, curve in curves)


def _name(kind, panel):
    return f"{kind}-" + "".join(one if one.isalnum() else "-" for one in panel)
