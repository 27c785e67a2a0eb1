"""What a sweep leaves: runs.csv, summary.csv, report.md and a picture; of each cell of the grid the median and the spread.

Runs of one seed see the same images in the same order, and equal nets start from equal weights, so cells are compared seed
by seed: a cell that is better in every seed is so in spite of the spread.
"""

import csv
import io
import shlex
import statistics

from gluon_tricks import pictures
from gluon_tricks.files import atomic_write
from gluon_tricks.log_lines.reading import read_log


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
        What all runs were given.
    """
    results = {key: errors_of(run, out) for key, run in runs.items() if run.is_finished(out)}
    write_csv(out / "runs.csv", (dict(cells[i], seed=seed, last_error_pct=f"{errors[-1]:.2f}",
                                      best_error_pct=f"{min(errors):.2f}", epochs=len(errors), folder=runs[i, seed].slug)
                                 for (i, seed), errors in results.items()))
    rows = summary(cells, results)
    write_csv(out / "summary.csv", rows)
    yield from table(rows)
    if rows:
        plot(cells, results, out / "sweep.png", shlex.join(["train_cifar.py", *words]))
        yield f"plot: {out / 'sweep.png'}"
    atomic_write(out / "report.md", "\n".join(report(cells, runs, results, rows, command)) + "\n")
    yield f"CSV: {out / 'runs.csv'}, {out / 'summary.csv'}"
    yield f"report: {out / 'report.md'}"


def report(cells, runs, results, rows, command):
    """Lines of report.md; `rows` are those of `summary`."""
    yield from ("# Sweep", "", f"    {command}", "", f"{len(results)} of {len(runs)} runs are finished. Top-1 validation "
                f"errors after the last epoch, in percent.", "")
    yield from grid_lines(rows)
    compared = [i for i in range(len(cells)) if any(j == i for j, _ in results)]
    if len(compared) > 1:
        yield from ("", "In how many of the seeds that both have the row ended with a smaller error than the column; in "
                    "brackets the median of the differences, in points:", "",
                    f"| | {' | '.join(cell_name(cells[i]) for i in compared)} |", "| --- " * (len(compared) + 1) + "|")
        for i in compared:
            found = ("" if i == j else duel(results, i, j) for j in compared)
            yield f"| {cell_name(cells[i])} | {' | '.join(found)} |"
    if rows:
        yield from ("", "![curves](sweep.png)")
    yield from ("", "## Commands", "")
    yield from (f"    {shlex.join(['python', 'train_cifar.py', *run.words])}" for run in runs.values())


def errors_of(run, out):
    """Validation errors of a run, in percent, epoch by epoch."""
    return [100 * epoch.val_err_top1 for epoch in read_log(run.log(out)).epochs]


def summary(cells, results):
    """For each cell with results its values, the number of seeds, and median and spread of the last errors."""
    rows = []
    for i, cell in enumerate(cells):
        last = [errors[-1] for (j, _), errors in results.items() if j == i]
        if last:
            spread = f"{statistics.stdev(last):.2f}" if len(last) > 1 else ""
            rows.append({**cell, "seeds": len(last), "median_error_pct": f"{statistics.median(last):.2f}",
                         "least": f"{min(last):.2f}", "greatest": f"{max(last):.2f}", "deviation": spread})
    return rows


def duel(results, i, j):
    """`2 of 3 (-0.40)`: in how many of the seeds that both have cell i ended with less error than j, and by how much."""
    differences = [errors[-1] - results[j, seed][-1] for (k, seed), errors in results.items()
                   if k == i and (j, seed) in results]
    if not differences:
        return "-"
    return f"{sum(each < 0 for each in differences)} of {len(differences)} ({statistics.median(differences):+.2f})"


def cell_name(cell):
    """`lr 0.1, cutout 16`; a case by its name alone."""
    return ", ".join(value if name == "case" else f"{name} {value}" for name, value in cell.items())


# --- Writing --------------------------------------------------------------------------------------------------------

def table(rows):
    """Aligned lines."""
    if not rows:
        return
    widths = [max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]]
    for cells in ([*rows[0]], *([str(value) for value in row.values()] for row in rows)):
        yield "  ".join(cell.rjust(width) for cell, width in zip(cells, widths))


def grid_lines(rows):
    """The same as a Markdown table."""
    if rows:
        yield from (f"| {' | '.join(rows[0])} |", "| --- " * len(rows[0]) + "|")
        yield from (f"| {' | '.join(map(str, row.values()))} |" for row in rows)


def write_csv(path, rows):
    rows, stream = list(rows), io.StringIO()
    if rows:
        writer = csv.DictWriter(stream, [*rows[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    atomic_write(path, stream.getvalue())


def plot(cells, results, path, title):
    """Curves of every run, one colour a cell; and each cell's last errors with their median."""
    figure, (curves, ends) = pictures.panels((12, 5), columns=2)
    names = [cell_name(cell) for cell in cells]
    for i, (name, color) in enumerate(zip(names, pictures.shades(len(names)))):
        own = [errors for (j, _), errors in results.items() if j == i]
        for number, errors in enumerate(own):
            curves.plot(range(1, len(errors) + 1), errors, color=color, alpha=0.7, label=None if number else name)
        ends.plot([errors[-1] for errors in own], [i] * len(own), "o", color=color, alpha=0.6)
        if own:
            ends.plot([statistics.median(errors[-1] for errors in own)] * 2, [i - 0.3, i + 0.3], color=color, linewidth=2)
    curves.set(xlabel="epochs", ylabel="validation error, top-1, %")
    curves.legend(fontsize=7, frameon=False)
    ends.set(xlabel="error after the last epoch, %; bars: medians", yticks=range(len(names)), yticklabels=names)
    ends.invert_yaxis()
    figure.suptitle(title, fontsize=8, wrap=True)
    pictures.save(figure, path)
