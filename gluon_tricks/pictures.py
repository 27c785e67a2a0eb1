"""The common style of all pictures: colours, sizes of text, panels, legends, axes of epochs, atomic saving.

Colours can be told apart by the colour-blind (Okabe and Ito; Tol's muted colours for more). Percent is the
unit of errors, accuracies and probabilities, and labels name it: `error, %`.
"""

from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_path
from gluon_tricks.program import pip_command

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")       # Okabe and Ito
MORE_COLORS = ("#882255", "#117733", "#332288", "#999933", "#AA4499", "#44AA99", "#DDCC77", "#CC6677",
               "#88CCEE", "#AA4466", "#F0E442")
PUBLISHED, RUN = COLORS[:2]          # a published curve and its band; the run that is shown
TRAINING, VALIDATION = COLORS[2], COLORS[1]
LINES = ("-", "--", ":", "-.")
TITLE, LABEL, TICK = 12, 10.5, 9     # points
LETTER, HANDLE = 0.066, 8            # inches of a letter of size TICK; letters that a sample of a line takes
WIDER = 1.15                         # panels become at least so much wider by the constrained layout
FEW = 30                             # epochs, up to which each has a marker


def panels(size, rows=1, columns=1, title="", widths=None):
    """A matplotlib Figure and its axes, row by row, with a light grid and without top and right frame.

    Parameters
    ----------
    size : (float, float)
        Width and height in inches.
    title : str
        Of the whole figure; not in mathematical notation.
    widths : sequence of float, optional
        Of the columns, in relation to each other.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(f"a picture needs matplotlib; install it with {pip_command('cpu')}") from None
    figure = Figure(figsize=size, layout="constrained")
    found = list(figure.subplots(rows, columns, squeeze=False, width_ratios=widths).flat)
    for axes in found:
        axes.grid(linewidth=0.5, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=TICK)
    if title:
        figure.suptitle(title, fontsize=TITLE, fontweight="bold", parse_math=False, wrap=True)
    return figure, found


def label(axes, x, y, title=""):
    """Name both axes, with their units, and the panel."""
    axes.set_xlabel(x, fontsize=LABEL)
    axes.set_ylabel(y, fontsize=LABEL)
    if title:
        axes.set_title(title, fontsize=LABEL, loc="left", fontweight="bold", parse_math=False)


def legend(axes, columns=2):
    """A legend above the panel, where it hides nothing: of at most so many columns as fit its width."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        width = axes.figure.get_size_inches()[0] * axes.get_subplotspec().get_position(axes.figure).width
        room = int(WIDER * width / LETTER)
        labels = [shortened(label, int(0.8 * room) - HANDLE) for label in labels]     # of wide letters, too
        while columns > 1 and _letters_beside(labels, columns) > room:
            columns -= 1
        axes.legend(handles, labels, frameon=False, fontsize=TICK, ncols=columns, loc="lower left",
                    bbox_to_anchor=(0, 1), borderaxespad=0.2, columnspacing=1.2, handlelength=1.8)


def _letters_beside(labels, columns):
    """The width of a legend in letters; its columns are filled one after another."""
    rows, longer = divmod(len(labels), columns)
    ends = [(rows + 1) * min(i, longer) + rows * max(0, i - longer) for i in range(columns + 1)]
    parts = [labels[start:end] for start, end in zip(ends, ends[1:]) if end > start]
    return sum(max(map(len, part)) + HANDLE for part in parts)


def shortened(text, most):
    """A text of at most `most` letters: the middle of a longer one is left out."""
    return text if len(text) <= most else f"{text[:most // 2 - 2]}...{text[-(most // 2 - 1):]}"


def epoch_axis(axes, first, last):
    """Whole epochs only, with half an epoch of room on both sides."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.set_xlim(first - 0.5, last + 0.5)


def marker(count):
    """Keywords of a curve of so many points: few have markers."""
    return {"marker": "o", "markersize": 3.5} if count < FEW else {}


def mark_best(axes, x, y, words):
    """A ring round a point of a curve; its words stand in the legend, where they hide no curve."""
    axes.plot([x], [y], "o", markersize=9, markerfacecolor="none", markeredgecolor="black", zorder=4,
              clip_on=False, label=words)


def draw_band(axes, band, last, as_error=False):
    """Draw a published curve and its band up to some epochs after epoch `last`; returns the published values.

    Parameters
    ----------
    band : gluon_tricks.judging.bands.Band
    as_error : bool
        Draw accuracies as errors.
    """
    shown = band.epochs <= max(last + max(2, last // 10), 9)             # a few of the epochs still to come
    epochs, values, limit = band.epochs[shown], band.published[shown], band.limits[1][shown]
    if as_error and band.metric == "accuracy":
        values = 100 - values
    axes.fill_between(epochs, values - limit, values + limit, color=PUBLISHED, alpha=0.15,
                      linewidth=0, label="band")
    count = len(band.runs)
    axes.plot(epochs, values, color=PUBLISHED, linewidth=1.2,
              label="published" if count == 1 else f"mean of {count} runs of GluonCV's script")
    epoch_axis(axes, epochs[0], epochs[-1])
    return values


def color_of(number):
    """The color of case or class number 0, 1, ..., as `#rrggbb`; all of the first 18 differ."""
    colors = (*COLORS, *MORE_COLORS)
    return colors[number % len(colors)]


def line_of(number):
    """Color and dashes of case number 0, 1, ...: other dashes after each seven cases."""
    return {"color": color_of(number), "linestyle": LINES[number // len(COLORS) % len(LINES)]}


def text_on(color):
    """"black" or "white", whichever can be read on a color of three parts from 0 to 1."""
    red, green, blue = color
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.58 else "white"


def save(figure, path, dpi=110):
    """Write the figure in the format of the path's suffix; raises OSError or ValueError if that fails."""
    with atomic_path(path) as part:
        figure.savefig(part, dpi=dpi)
