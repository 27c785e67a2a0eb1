"""The picture of published runs: their validation accuracies over the epochs, one panel per data set."""

from gluon_tricks import pictures
from gluon_tricks.published.catalogue import curve
from gluon_tricks.published.selection import top1


def plot_runs(runs, path):
    """Write the validation accuracies of published runs.

    Curves that are no measurement are left out and named below the panel.

    Parameters
    ----------
    runs : sequence of PublishedRun
    path : path
        The ending names the format.

    Raises
    ------
    OSError, ValueError
        If the file cannot be written, or the format is unknown.
    """
    datasets = sorted({run.dataset for run in runs})
    most = max(sum(run.dataset == dataset for run in runs) for dataset in datasets)
    columns = 1 + (most - 1) // 30                                 # of the legend
    size = (6.5 + 2.2 * columns) * len(datasets), 4.8 + 0.05 * most
    figure, panels = pictures.panels(size, columns=len(datasets))
    for axes, dataset in zip(panels, datasets):
        draw_runs(axes, dataset, [run for run in runs if run.dataset == dataset], columns)
    figure.suptitle(f"{len(runs)} published run{'s' if len(runs) > 1 else ''}")
    pictures.save(figure, path, dpi=120)


def draw_runs(axes, dataset, runs, columns):
    """Draw the runs of one data set in a panel, with a legend at its right."""
    measured, seen = sorted((run for run in runs if run.val_is_usable), key=top1), []
    for place, run in enumerate(measured):
        points = [(record.epoch, 100 * (1 - record.val_err_top1)) for record in curve(run.name)
                  if record.val_err_top1 is not None]
        axes.plot(*zip(*points), **pictures.line_of(place), linewidth=1.2,
                  label=f"{run.name} {points[-1][1]:.2f}")
        seen += [accuracy for _, accuracy in points]
    left_out = [run.name for run in runs if not run.val_is_usable]
    axes.set(xlabel="epoch" + (f"\nnot drawn, no measurement: {', '.join(left_out)}" if left_out else ""),
             ylabel="validation accuracy, top-1, %", title=dataset)
    if measured:
        axes.set_ylim(bottom=sorted(seen)[len(seen) // 25] - 2)              # without the first epochs
        axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), reverse=True,
                    ncols=columns, title="last epoch, %", title_fontsize=8)
