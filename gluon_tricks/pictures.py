"""Figures with curves: panels with a light grid, colors for ordered lines, atomic saving."""

from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_path
from gluon_tricks.program import pip_command


def panels(size, rows=1, columns=1):
    """A matplotlib Figure and its axes, row by row, with a light grid and without top and right frame.

    Parameters
    ----------
    size : (float, float)
        Width and height in inches.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(f"a picture needs matplotlib; install it with {pip_command('cpu')}") from None
    figure = Figure(figsize=size, layout="constrained")
    found = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in found:
        axes.grid(linewidth=0.5, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, found


def shades(count):
    """`count` colors, dark to light, distinct in print and for colour-blind readers."""
    from matplotlib import colormaps

    return [colormaps["viridis"](0.9 * i / max(1, count - 1)) for i in range(count)]


def save(figure, path, dpi=110):
    """Write the figure in the format of the path's suffix; raises OSError or ValueError if that fails."""
    with atomic_path(path) as part:
        figure.savefig(part, dpi=dpi)
