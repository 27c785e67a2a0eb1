"""The README's table of results, made from `logs/ours`, the published curves and the catalogue."""

from gluon_tricks.judging.bands import metric_of, points
from gluon_tricks.judging.numbers import our_runs
from gluon_tricks.published.catalogue import catalogue, curve

BEGIN, END = "<!-- tables --readme -->", "<!-- end of tables --readme -->"


def readme_block():
    """The lines between (and with) the two comments of README.md."""
    lines = [BEGIN, "| row | epochs run | here | published | difference | evidence |", "| --- " * 6 + "|"]
    runs = [ours for ours in our_runs() if ours.verdict.match.reference]
    lines += [_row(ours) for ours in runs]
    referred = {ours.verdict.match.reference.name for ours in runs}
    cifar = [run for run in catalogue().values() if run.dataset == "cifar10" and run.name not in referred]
    imagenet = [run for run in catalogue().values() if run.dataset == "imagenet"]
    if cifar:
        lines.append(f"| the other {len(cifar)} CIFAR logs | not run | – | in `logs/published` | – | "
                     f"parameter names, outputs and gradients equal to GluonCV's |")
    if not referred & {run.name for run in imagenet}:
        lines.append("| every ImageNet log | not run | – | in `logs/published` | – | all 336,413 learning "
                     "rates printed in the 53 logs come out of this kit's schedule, digit for digit |")
    return "\n".join([*lines, END]) + "\n"


def _row(ours):
    """A run of this kit beside its published log at the last epoch that was run."""
    last, reference = ours.run.epochs[-1], ours.verdict.match.reference
    other = next(record for record in curve(reference.name) if record.epoch == last.epoch)
    here, there, apart = zip(*(_cell(last, other, witness, reference.dataset) for witness in ("train",
                                                                                              "val")))
    outcome = {"INSIDE": "inside the band", "OUTSIDE": "outside the band"}[ours.verdict.outcome]
    kept = " and ".join(
        dict.fromkeys(f"{c.inside.sum()} of {len(c.epochs)}" for c in ours.verdict.comparisons))
    name = f"`{reference.model}`" + (" + mixup" if reference.tricks["mixup"] else "")
    if (dtype := ours.run.args.get("dtype", "float32")) != reference.tricks["dtype"]:
        name += f" in {dtype}"
    if seed := ours.run.args.get("seed", 0):
        name += f", seed {seed}"
    evidence = f"{outcome}, {kept} epochs · [log](logs/ours/{ours.folder.name})"
    return f"| {name} | {ours.epochs} | {', '.join(here)} | {', '.join(there)} | {', '.join(apart)} | {evidence} |"


def _cell(record, other, witness, dataset):
    """`(here, published, difference)` of one figure, with units."""
    if metric_of(record, witness, dataset) == "rmse":
        return (f"train RMSE {record.train_metric:.4f}", f"{other.train_metric:.4f}",
                f"{record.train_metric - other.train_metric:+.4f}")
    here, there = (points(each, witness, dataset) for each in (record, other))
    return f"{witness} {here:.2f} %", f"{there:.2f} %", f"{here - there:+.2f} points"
