"""A page in one file, with its style, charts and data inside: it opens offline and can be sent.

    page("Title", [chart(Chart(...)), table(head, rows)])

The page draws its charts with Plotly, which is embedded. It cannot load anything: its own security policy
forbids every request. Charts name their colours as `var(--series-0)`, after the style sheet, and follow its
light or dark theme. Below each chart stands the same as a table, for those who cannot see it.
"""

import html
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gluon_tricks.errors import UserError, printable

COLORS = tuple(f"var(--series-{i})" for i in range(6))
INK, PUBLISHED, BAND = "var(--ink)", "var(--published)", "var(--band)"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down")
# Nothing but what is in the file; Plotly saves pictures through data: and blob:
POLICY = ("default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
          "base-uri 'none'; form-action 'none'")


class Html(str):
    """Text that is HTML already."""


@dataclass(frozen=True)
class Chart:
    """A chart, and what it shows in words.

    Attributes
    ----------
    name : str
        Identifier in the page.
    title : str
        Heading above the chart.
    says : str
        What it shows, in one sentence or two: for screen readers and below the title.
    traces : list of dict
        Plotly's; numbers may be None or not finite, which leaves a gap.
    layout : dict
        Plotly's, over the page's own: titles of axes, ranges.
    table : (list of str, list of rows), optional
        Head and rows of the table below the chart; by default the points of all named traces.
    is_wide : bool
        Over the page's whole width.
    """

    name: str
    title: str
    says: str
    traces: list
    layout: dict
    table: tuple = None
    is_wide: bool = False


def escaped(value):
    """A value as HTML text; `Html` is left as it is."""
    return value if isinstance(value, Html) else Html(html.escape(printable(str(value), keep="\n\t")))


def series_style(i):
    """Colour, dash and marker of the i-th run, as keys of a Plotly trace: distinct also without colours."""
    return {"line": {"color": COLORS[i % len(COLORS)], "dash": DASHES[i % len(DASHES)], "width": 2},
            "marker": {"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 6}}


def axes(x, y, **more):
    """A layout with titles of both axes; `more` are further keys of the layout."""
    layout = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}}
    for name, value in more.items():
        layout[name] = {**layout.get(name, {}), **value} if isinstance(value, dict) else value
    return layout


# --- Pieces of a page ---------------------------------------------------------------------------------------

def chart(figure):
    """The HTML of a `Chart`."""
    traces = [{**trace, "name": html.escape(trace["name"], quote=False)} if "name" in trace else trace
              for trace in figure.traces]             # Plotly reads tags in names
    content = data_script(f"{figure.name}-figure", {"traces": traces, "layout": figure.layout})
    head, rows = figure.table or points_of(figure)
    title, says = escaped(figure.title), escaped(figure.says)
    return Html(f'<figure{_class("wide" if figure.is_wide else "")}><h3>{title}</h3>'
                f'<figcaption>{says}</figcaption>'
                f'<div class="chart" id="{figure.name}" data-figure="{figure.name}-figure" role="img" '
                f'aria-label="{title}: {says}" style="--entries: {_entries(figure)}"></div>{content}'
                f'<details><summary>The chart as a table</summary>{table(head, rows)}</details></figure>')


def _entries(figure):
    """Lines of a chart's legend: it gets higher by them."""
    return sum(bool(trace.get("name") and trace.get("showlegend", True)) for trace in figure.traces)


def points_of(figure):
    """Head and rows of a table with the points of a chart's named traces: a row per x, a column per trace."""
    traces = [trace for trace in figure.traces if trace.get("name")]
    columns = [dict(zip(plain(trace["x"]), plain(trace["y"]))) for trace in traces]
    head = [figure.layout["xaxis"]["title"]["text"], *(trace["name"] for trace in traces)]
    return head, [[number(x), *(number(column.get(x)) for column in columns)]
                  for x in sorted({x for column in columns for x in column})]


def table(head, rows, caption="", kind="", marked=()):
    """The HTML of a table; cells that are numbers stand at the right.

    Parameters
    ----------
    head : list of str
        Empty for none: then the first cell of each row is its heading.
    rows : list of lists
    caption, kind : str
        A text above it; a class of the style sheet, such as "facts".
    marked : collection of int
        Rows to point out.
    """
    columns = list(zip(*rows))
    kinds = ["number" if all(_is_number(cell) for cell in cells) else "" for cells in columns]
    kinds += [""] * (len(head) - len(kinds))
    lines = [f'<div class="scroll" tabindex="0"><table class="{kind}">']
    lines += [f"<caption>{escaped(caption)}</caption>"] if caption else []
    if head:
        cells = "".join(f'<th scope="col"{_class(one)}>{escaped(cell)}</th>'
                        for cell, one in zip(head, kinds))
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for i, row in enumerate(rows):
        first, *rest = [(escaped(cell), _class(one)) for cell, one in zip(row, kinds)]
        cells = f'<th scope="row"{first[1]}>{first[0]}</th>' if not head else f"<td{first[1]}>{first[0]}</td>"
        cells += "".join(f"<td{one}>{cell}</td>" for cell, one in rest)
        lines.append(f"<tr{_class('marked' if i in marked else '')}>{cells}</tr>")
    return Html("\n".join([*lines, "</tbody></table></div>"]))


def _class(name):
    return f' class="{name}"' if name else ""


def _is_number(cell):
    text = str(cell).strip("±+-−% ")
    return not text or text.replace(".", "", 1).replace("e-", "").isdigit()


def number(value):
    """A number as short text, up to six digits; "" for None, "not a number" where it is not finite."""
    if value is None:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return "not a number"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def data_script(name, value):
    """A value as JSON in the page, for its scripts: `Shell.json(name)`."""
    text = json.dumps(finite(value), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Html(f'<script type="application/json" id="{name}">{text}</script>')


def plain(values):
    """A list of Python's numbers: of an array, or of any sequence."""
    return values.tolist() if hasattr(values, "tolist") else list(values)


def finite(value):
    """A value for JSON: arrays as lists, and None for numbers that are not finite."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- The page -----------------------------------------------------------------------------------------------

def page(title, pieces, footer="", style="", script="", reload_s=None):
    """The HTML of a whole page.

    Parameters
    ----------
    title : str
    pieces : list of Html
        What stands in it, from top to bottom.
    footer : str or Html
    style, script : str
        More CSS, and JavaScript that runs after the page's own, with `Shell` and `Plotly`.
    reload_s : float, optional
        The page loads itself again after so many seconds.

    Raises
    ------
    UserError
        If Plotly is not installed.
    """
    here = Path(__file__)
    base = here.with_suffix(".css").read_text(encoding="utf-8")
    if reload_s:
        script += f"\nsetTimeout(() => location.reload(), {round(1000 * reload_s)});"
    body = "\n".join(map(escaped, pieces))
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(title)}</title>
<style>{base}{style}</style>
<script>{here.with_suffix(".js").read_text(encoding="utf-8")}</script>
</head>
<body>
<header><h1>{escaped(title)}</h1><button id="theme" type="button" hidden>Dark colours</button></header>
<noscript><p>The charts need JavaScript; the tables below do not.</p></noscript>
<main>
{body}
</main>
<footer>{escaped(footer)}</footer>
<script>{_plotly()}</script>
<script>{script}</script>
</body>
</html>
"""


@cache
def _plotly():
    """Plotly's JavaScript."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise UserError("a page with charts needs the Python package plotly; install it with pip install "
                        "-r requirements/base.txt") from None
    return get_plotlyjs().replace("</script", "<\\/script")
