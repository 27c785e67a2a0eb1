"""The report on the runs of a table: report.md with the paper's figures and ours, and a plot of the
curves."""

import re
from pathlib import Path

from gluon_tricks import pictures
from gluon_tricks.files import atomic_write
from gluon_tricks.log_lines.facts import read_facts
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.log_lines.run_files import read_metrics
from gluon_tricks.recipes.rows import Figures, words

MEANING = {
    "smoke": "It shows that every command runs to its end and that each trick acts. It says nothing about "
             "the paper's figures: 2,000 images of 32 px for 6 epochs cannot rank training heuristics.",
    "small": "Batches, rates and epochs are the paper's, divided; the figures are of other data and can be "
             "compared with each other, not with the paper's.",
    "full": "These are the paper's commands.",
}


def write_report(table, profile, runs, left_out, failed, out, command, seconds):
    """Write `report.md` and `curves.png`; returns the report's path."""
    done = [run for run in runs if run.is_finished(out)]
    if done:
        plot_curves(table, profile, done, out / "curves.png")
    lines = [f"# Table {table.number}: {table.title} ({table.section})", "",
             f"Profile {profile.name}. {MEANING[profile.name]}", "", f"    {command}", "",
             *result_table(runs, failed, out), ""]
    lines += ["![curves](curves.png)", ""] if done else []
    lines += ["## What each row did", "", *acts_table(done, out), ""]
    lines += [f"- Left out: {left_out_words(left_out)}."] if left_out else []
    lines += [
        f"- Stands in: {stand}." for stand in dict.fromkeys(stand for run in runs for stand in run.stands)]
    lines += [f"- {note}" for note in table.notes]
    lines += ["", "## Commands", "", *commands(runs)]
    lines += ["", made_on(out / done[-1].slug, seconds)] if done else []
    atomic_write(out / "report.md", "\n".join(lines) + "\n")
    return out / "report.md"


def result_table(runs, failed, out):
    """The paper's figures and those of the last epoch."""
    yield "| row | paper, top-1 / top-5 | here, top-1 / top-5 | training metric | seconds per epoch |"
    yield "| --- " * 5 + "|"
    for run in runs:
        paper = run.row.paper if run.row else "none"
        if run.slug in failed or not run.is_finished(out):
            why = f"failed: {failed[run.slug]}" if run.slug in failed else "not run"
            yield f"| {run.title} | {paper} | {why} | | |"
            continue
        epochs = read_log(out / run.slug / "train.log").epochs
        last, metric = epochs[-1], epochs[-1].train_metric_name
        here = Figures(*(f"{100 * (1 - error):.2f}" for error in (last.val_err_top1, last.val_err_top5)))
        yield (f"| {run.title} | {paper} | {here} | {metric} {last.train_metric:.4f} | "
               f"{sum(record.time_s for record in epochs) / len(epochs):.1f} |")


def acts_table(runs, out):
    """The effect of each trick as logged: batch, rates, zero gammas, decay, precision."""
    yield ("| row | global batch | rates logged: first / highest / last | gammas at zero | weight decay | "
           "type | targets |")
    yield "| --- " * 7 + "|"
    for run in runs:
        text = (out / run.slug / "train.log").read_text(encoding="utf-8")
        opening = re.search(r"(\d+ of \d+) gammas start at zero; weight decay on (.*)", text)
        gammas, decayed = opening.groups() if opening else ("", "")
        lrs = [rate for _, rate in rates(out / run.slug)]
        shown = f"{lrs[0]:.3g} / {max(lrs):.3g} / {lrs[-1]:.3g}" if lrs else ""
        targets = [name for key, name in (("label_smoothing", "smoothed"), ("mixup", "mixed"),
                                          ("teacher", "teacher"))
                   if run.flags.get(key)]
        yield (f"| {run.title} | {run.batch} | {shown} | {gammas} | {decayed} | "
               f"{run.flags.get('dtype', 'float32')} | {', '.join(targets) or 'labels'} |")


def left_out_words(rows):
    """`rows 2, 5: inceptionv3 ...`: the rows whose nets have no replacement."""
    models = ", ".join(dict.fromkeys(row.flags["model"] for row in rows))
    numbers = ", ".join(str(row.number) for row in rows)
    return f"rows {numbers}: {models} needs larger images and has no small relative"


def commands(runs):
    """Lines for a shell: what all rows have in common once, then each row."""
    same = {key: value for key, value in runs[0].flags.items()
            if all(run.flags.get(key) == value for run in runs)}
    yield f"    COMMON=\"{' '.join(words(same))}\""
    for run in runs:
        own = {key: value for key, value in run.flags.items() if key not in same}
        yield f"    python train_imagenet.py $COMMON {' '.join(words(own))}"


def rates(folder):
    """`(updates done, rate)` of every interval in a row's metrics.jsonl."""
    records = read_metrics(Path(folder) / "metrics.jsonl")
    return [(record["num_update"], record["lr"]) for record in records if record["kind"] == "interval"]


def made_on(folder, seconds):
    """Versions, processor and data of the runs."""
    facts = read_facts(folder / "run.json")
    versions = facts["versions"]
    return (f"Made by commit {facts['commit']} with mxnet "
            f"{versions.get('mxnet') or versions.get('mxnet-cu112')}, Python {versions['python']}, on "
            f"{facts['cpus']} processors ({facts['processor']}), {facts['threads']} operator threads, seed "
            f"{facts['seed']}; data root hash {facts['data_root_hash'] or 'none'}. This command took "
            f"{seconds / 60:.1f} minutes.")


def plot_curves(table, profile, runs, path):
    """Validation error and rate of every row, each over its own training."""
    figure, (errors, lrs) = pictures.panels((13, 6), columns=2,
                                            title=f"Table {table.number}, profile {profile.name}")
    styles = dict(zip(dict.fromkeys(run.column for run in runs), pictures.LINES))
    colors = {name: pictures.color_of(i) for i, name in enumerate(dict.fromkeys(run.name for run in runs))}
    for run in runs:
        look = dict(color=colors[run.name], label=run.title, linestyle=styles[run.column])
        epochs = read_log(path.parent / run.slug / "train.log").epochs
        errors.plot([record.epoch for record in epochs], [100 * record.val_err_top1 for record in epochs],
                    **pictures.marker(len(epochs)), **look)
        per_epoch = run.flags[
            "num_training_samples"] // run.batch if "num_training_samples" in run.flags else 1251
        steps = rates(path.parent / run.slug)
        lrs.plot([done / per_epoch for done, _ in steps], [rate for _, rate in steps], **look)
    pictures.label(errors, "epoch", "validation error, top-1, %")
    pictures.epoch_axis(errors, 0, max(line.get_xdata()[-1] for line in errors.lines))
    pictures.label(lrs, "epochs done", "learning rate")
    pictures.legend(errors)
    pictures.save(figure, path)
