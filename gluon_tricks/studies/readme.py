"""The README's table of results, from `logs/ours`, the published curves and the catalogue."""

from gluon_tricks.judging.bands import metric_of, points
from gluon_tricks.judging.numbers import our_runs
from gluon_tricks.published.catalogue import catalogue, curve

BEGIN, END = "<!-- tables --readme -->", "<!-- end of tables --readme -->"


def readme_block():
    """The table with the two comments that enclose it in README.md."""
    lines = [BEGIN, "| row | epochs and figures here | published | verdict |", "| --- " * 4 + "|"]
    runs = [ours for ours in our_runs() if ours.verdict.match.reference]
    lines += [_row(ours) for ours in runs]
    referred = {ours.verdict.match.reference.name for ours in runs}
    cifar = [run for run in catalogue().values() if run.dataset == "cifar10" and run.name not in referred]
    imagenet = [run for run in catalogue().values() if run.dataset == "imagenet"]
    if cifar:
        lines.append(f"| the other {len(cifar)} CIFAR logs | not run | [published](logs/published) | none; "
                     f"parameter names, outputs and gradients are [equal](docs/evidence.md) to GluonCV's |")
    if not referred & {run.name for run in imagenet}:
        lines.append("| every ImageNet log | not run | [published](logs/published) | none; all 336,413 "
                     "learning rates printed in the 53 logs are [reproduced](docs/evidence.md), digit for "
                     "digit |")
    return "\n".join([*lines, END]) + "\n"


def _row(ours):
    """The README's row of one run of this kit: its last epoch next to the same epoch of the published log."""
    last, reference = ours.run.epochs[-1], ours.verdict.match.reference
    other = next(record for record in curve(reference.name) if record.epoch == last.epoch)
    here, published = (", ".join(_cell(record, witness, reference.dataset) for witness in ("train", "val"))
                       for record in (last, other))
    outcome = f"[{ours.verdict.outcome.lower()}](logs/ours/{ours.folder.name})"
    kept = " and ".join(
        dict.fromkeys(f"{c.inside.sum()} of {len(c.epochs)}" for c in ours.verdict.comparisons))
    name = f"`{reference.model}`" + (" + mixup" if reference.tricks["mixup"] else "")
    if (dtype := ours.run.args.get("dtype", "float32")) != reference.tricks["dtype"]:
        name += f", {dtype}"
    if seed := ours.run.args.get("seed", 0):
        name += f", seed {seed}"
    return f"| {name} | {ours.epochs}: {here} | {published} | {outcome}, {kept} epochs |"


def _cell(record, witness, dataset):
    """One figure with its unit, as `train 86.35 %`."""
    if metric_of(record, witness, dataset) == "rmse":
        return f"train RMSE {record.train_metric:.4f}"
    return f"{witness} {points(record, witness, dataset):.2f} %"
