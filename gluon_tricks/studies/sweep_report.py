"""The files that a sweep writes: runs.csv, summary.csv, report.md and a plot; median and spread of each cell
of the grid.

Runs of one seed see the same images in the same order, and equal nets start from equal weights, so cells are
compared seed by seed: a cell that is better in every seed is better in spite of the spread.
"""

import shlex
import statistics

from gluon_tricks import pictures
from gluon_tricks.files import atomic_write
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.studies.text import csv_text, markdown_table


def write_sweep_report(cells, runs, out, command, words):
    """Write the files; yields the lines for the terminal.

    Parameters
    ----------
    cells : list of dict
        Name -> value, one for each cell of the grid.
    runs : dict
        (index of the cell, seed) -> CifarRun.
    out : Path
    command : str
    words : list of str
        Flags of all runs.
    """
    results = {key: errors_of(run, out) for key, run in runs.items() if run.is_finished(out)}
    rows = summary(cells, results)
    write_csv(out / "runs.csv", [dict(cells[i], seed=seed, last_error_pct=f"{errors[-1]:.2f}",
                                      best_error_pct=f"{min(errors):.2f}", epochs=len(errors),
                                      folder=runs[i, seed].slug)
                                 for (i, seed), errors in results.items()])
    write_csv(out / "summary.csv", rows)
    yield from table(rows)
    if rows:
        plot(cells, results, out / "sweep.png", shlex.join(["train_cifar.py", *words]))
        yield f"plot: {out / 'sweep.png'}"
    atomic_write(out / "report.md", "\n".join(report(cells, runs, results, rows, command)) + "\n")
    yield f"CSV: {out / 'runs.csv'}, {out / 'summary.csv'}"
    yield f"report: {out / 'report.md'}"


def report(cells, runs, results, rows, command):
    """The lines of report.md; `rows` are those of `summary`."""
    yield from ("# Sweep", "", f"    {command}", "",
                f"{len(results)} of {len(runs)} runs are finished. Top-1 validation "
                f"errors after the last epoch, in percent.", "")
    yield from markdown_table(rows[0], (row.values() for row in rows)) if rows else ()
    compared = [i for i in range(len(cells)) if any(j == i for j, _ in results)]
    if len(compared) > 1:
        yield from ("", "In how many of the seeds that both have the row ended with a smaller error than the "
                    "column; in brackets the median of the differences, in points:", "")
        names = [cell_name(cells[i]) for i in compared]
        yield from markdown_table(("", *names),
                                  ((name, *("" if i == j else duel(results, i, j) for j in compared))
                                                 for name, i in zip(names, compared)))
    if rows:
        yield from ("", "![curves](sweep.png)")
    yield from ("", "## Commands", "")
    yield from (f"    {shlex.join(['python', 'train_cifar.py', *run.words])}" for run in runs.values())


def errors_of(run, out):
    """Validation errors of a run, in percent, epoch by epoch."""
    return [100 * epoch.val_err_top1 for epoch in read_log(run.log(out)).epochs]


def summary(cells, results):
    """For each cell with results: its values, the number of seeds, median and spread of the last errors."""
    rows = []
    for i, cell in enumerate(cells):
        last = [errors[-1] for (j, _), errors in results.items() if j == i]
        if last:
            spread = f"{statistics.stdev(last):.2f}" if len(last) > 1 else ""
            rows.append({**cell, "seeds": len(last), "median_error_pct": f"{statistics.median(last):.2f}",
                         "least": f"{min(last):.2f}", "greatest": f"{max(last):.2f}", "deviation": spread})
    return rows


def duel(results, i, j):
    """`2 of 3 (-0.40)`: the number of common seeds in which cell i ended with less error than j, and the
    median difference."""
    differences = [errors[-1] - results[j, seed][-1] for (k, seed), errors in results.items()
                   if k == i and (j, seed) in results]
    if not differences:
        return "-"
    better = sum(each < 0 for each in differences)
    return f"{better} of {len(differences)} ({statistics.median(differences):+.2f})"


def cell_name(cell):
    """`lr 0.1, cutout 16`; a case by its name alone."""
    return ", ".join(value if name == "case" else f"{name} {value}" for name, value in cell.items())


# --- Writing ------------------------------------------------------------------------------------------------

def table(rows):
    """Aligned lines."""
    if not rows:
        return
    widths = [max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]]
    for cells in ([*rows[0]], *([str(value) for value in row.values()] for row in rows)):
        yield "  ".join(cell.rjust(width) for cell, width in zip(cells, widths))


def write_csv(path, rows):
    """Write dicts with the same keys; an empty file without any."""
    atomic_write(path, csv_text(rows[0], (row.values() for row in rows)) if rows else "")


def plot(cells, results, path, title):
    """Each cell's median curve with the curves of its seeds, and each cell's last errors with their
    median."""
    names = [cell_name(cell) for cell in cells]
    figure, (curves, ends) = pictures.panels((13, 5.2 + 0.25 * max(0, len(names) - 8)), columns=2)
    for i, name in enumerate(names):
        look = pictures.line_of(i)
        own = [errors for (j, _), errors in results.items() if j == i]
        if not own:
            continue
        medians = [statistics.median(values) for values in zip(*own)]
        for errors in own:
            curves.plot(range(len(errors)), errors, linewidth=0.7, alpha=0.45, **look)
        curves.plot(range(len(medians)), medians, linewidth=2.2, label=name, **look,
                    **pictures.marker(len(medians)))
        ends.plot([errors[-1] for errors in own], [i] * len(own), "o", color=look["color"], alpha=0.6)
        ends.plot([medians[-1]] * 2, [i - 0.3, i + 0.3], color=look["color"], linewidth=2.5)
    longest = max(map(len, results.values()))
    pictures.label(curves, "epoch (thick: median of the seeds)", "validation error, top-1, %")
    pictures.epoch_axis(curves, 0, longest - 1)
    pictures.legend(curves, 3)
    pictures.label(ends, "error after the last epoch, % (bar: median)", "")
    ends.set_yticks(range(len(names)), names, parse_math=False)
    ends.invert_yaxis()
    figure.supxlabel(title, fontsize=pictures.TICK, wrap=True, parse_math=False)
    pictures.save(figure, path)
