"""The report on the runs of a study: report.md with the printed figures and ours, and a plot of the
curves."""


from gluon_tricks import pictures
from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_write
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.log_lines.run_files import read_metrics
from gluon_tricks.recipes.rows import shown

MEANING = {
    "smoke": "It shows that every command runs to its end. It says nothing about the printed figures: 2 "
             "epochs of 2,000 images cannot rank anything.",
    "small": "Epochs are fewer than the original's; the figures can be compared with each other, not with "
             "the printed ones.",
    "full": "These are the commands as printed.",
}


def write_study_report(table, profile, runs, failed, out, command, seconds):
    """Write `report.md` and `curves.png`; returns the report's path."""
    done = [run for run in runs if run.is_finished(out)]
    lines = [f"# {table.number}: {table.title} ({table.section})", "",
             f"Profile {profile}. {MEANING[profile]}", "",
             f"    {command}", "", "| row | printed | here, last top-1 / top-5; best top-1 | training | "
             "seconds per epoch |",
             "| --- " * 5 + "|"]
    for run in runs:
        printed = shown(run.row) if run.row else "none"
        if run not in done:
            why = f"failed: {failed[run.slug]}" if run.slug in failed else "not run"
            lines.append(f"| {run.title} | {printed} | {why} | | |")
            continue
        epochs = read_log(run.log(out)).epochs
        top1 = [100 * (1 - epoch.val_err_top1) for epoch in epochs]
        top5 = top5_pct(out / run.slug / "metrics.jsonl")
        seconds_each = sum(epoch.time_s for epoch in epochs) / len(epochs)
        lines.append(f"| {run.title} | {printed} | {top1[-1]:.2f} / {top5:.2f}; {max(top1):.2f} | "
                     f"{epochs[-1].train_metric_name} {epochs[-1].train_metric:.4f} | {seconds_each:.1f} |")
    if done:
        plot(table, profile, done, out)
        lines += ["", "![curves](curves.png)"]
    stands = dict.fromkeys(stand for run in runs for stand in run.stands)
    notes = [*(f"Stands in: {stand}." for stand in stands), *shared_runs(runs), *table.notes]
    lines += ["", *(f"- {note}" for note in notes), "", "## Commands", ""]
    lines += dict.fromkeys(f"    python train_cifar.py {' '.join(run.words)}" for run in runs)
    lines += ["", f"This command took {seconds / 60:.1f} minutes."]
    atomic_write(out / "report.md", "\n".join(lines) + "\n")
    return out / "report.md"


def shared_runs(runs):
    """A note for each command that several rows share."""
    titles = {}
    for run in runs:
        titles.setdefault(run.slug, []).append(run.title)
    for slug, shared in titles.items():
        if len(shared) > 1:
            yield f"One command in this profile, so one run, in `{slug}`: {'; '.join(shared)}."


def top5_pct(metrics):
    """The last epoch's top-5 accuracy in percent; GluonCV's CIFAR log does not have it."""
    errors = [record.get("err_top5") for record in read_metrics(metrics) if record["kind"] == "epoch"]
    if not errors or errors[-1] is None:
        raise UserError(f"{metrics}: has no top-5 error of a last epoch; train the row again")
    return 100 * (1 - errors[-1])


def plot(table, profile, runs, out):
    """Validation error over the training, of every run."""
    runs = list({run.slug: run for run in reversed(runs)}.values())[::-1]
    figure, (axes,) = pictures.panels((9, 5.5), title=f"{table.number}, profile {profile}")
    for i, run in enumerate(runs):
        epochs = read_log(run.log(out)).epochs
        axes.plot([epoch.epoch for epoch in epochs], [100 * epoch.val_err_top1 for epoch in epochs],
                  label=run.title, **pictures.line_of(i), **pictures.marker(len(epochs)))
    pictures.label(axes, "epoch", "validation error, top-1, %")
    pictures.epoch_axis(axes, 0, max(line.get_xdata()[-1] for line in axes.lines))
    pictures.legend(axes, 3)
    pictures.save(figure, out / "curves.png")
