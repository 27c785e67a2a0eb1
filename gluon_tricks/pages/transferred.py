"""What a report shows of a run of detection or segmentation. One run of each recipe was published, so no band
is known."""

from gluon_tricks.judging.gaps import missing_between
from gluon_tricks.pages.origin import facts_of, not_known
from gluon_tricks.pages.shown import Curve, Shown, columns, rate_of
from gluon_tricks.published.transfer import DECISIVE, reference_for, side_by_side, transfer_departures

SCORES = ("mAP", "mIoU", "pixAcc")
LOSSES = {"training loss of the RPN": ("RPN_Conf", "RPN_SmoothL1"),
          "training loss of the RCNN": ("RCNN_CrossEntropy", "RCNN_SmoothL1"),
          "training loss": ("training_loss",)}


def show(run, ref=None):
    """The `Shown` of a run.

    Parameters
    ----------
    run : RecordedRun
    ref : str, optional
        Name of the published log to compare with.
    """
    log = run.log
    verdict = side_by_side(log, ref)[1]
    reference, _ = reference_for(log, ref)
    rows = [{"epoch": epoch.epoch, "cost_s": epoch.cost_s, **epoch.figures, **epoch.scores}
            for epoch in log.epochs]
    curves = list(_curves(run.name, rows))
    published = [curve._replace(note="published") for curve in
                 _curves(reference["name"], reference["epochs"])] if reference else []
    course = [*rate_of(run, _rate(run)), *_speed(run.name, rows)]
    departs = transfer_departures(log.args, reference) if reference else []
    return Shown(
        name=run.name, outcome="none", verdict=verdict.removeprefix("verdict: "),
        reference=reference["name"] if reference else "", curves=curves, published=published,
        differences=list(_differences(curves, published)), course=course,
        recipe=_texts(log.args), published_recipe=_texts(reference["args"]) if reference else {},
        departs={departure.partition(" ")[0] for departure in departs}, findings=[],
        epochs=columns(_columns(rows, curves)), facts=[*_origin(run, reference), *facts_of(run)],
        not_known=list(_not_known(run, course)), is_complete=run.is_complete)


def _texts(flags):
    return {key: str(flags[key]) for key in DECISIVE if key in flags}


def _curves(name, rows):
    """Scores in percent, and losses."""
    for score in SCORES:
        yield from _curve(f"validation {score}, %", name, rows,
                          lambda row, score=score: 100 * row[score] if score in row else None)
    for panel, parts in LOSSES.items():
        yield from _curve(panel, name, rows,
                          lambda row, parts=parts: sum(row[part] for part in parts)
                          if all(part in row for part in parts) else None)


def _curve(panel, name, rows, figure):
    found = [(row["epoch"], figure(row)) for row in rows if figure(row) is not None]
    if found:
        yield Curve(panel, name, [epoch for epoch, _ in found], [round(value, 4) for _, value in found])


def _differences(curves, published):
    """Run minus published of the scores, over the epochs that both have."""
    there = {curve.panel: dict(zip(curve.epochs, curve.values)) for curve in published}
    for curve in curves:
        known = there.get(curve.panel, {})
        common = [(epoch, value - known[epoch]) for epoch, value in zip(curve.epochs, curve.values)
                  if epoch in known]
        if common and curve.panel.startswith("validation"):
            yield Curve(curve.panel, curve.name, [epoch for epoch, _ in common],
                        [round(value, 4) for _, value in common])


def _rate(run):
    """The rate of each validated epoch, from the header and the lines that set another."""
    epochs, values = [], []
    for epoch in run.log.epochs:
        steps = [at for at in run.log.rates if at <= epoch.epoch]
        rate = run.log.rates[max(steps)] if steps else run.log.args.get("lr")
        if rate is not None:
            epochs.append(epoch.epoch)
            values.append(rate)
    return Curve("learning rate", run.name, epochs, values,
                 note="As the header and the lines of the log set it; the warm-up is not logged.")


def _speed(name, rows):
    return list(_curve("seconds per epoch", name, rows, lambda row: row["cost_s"]))


def _columns(rows, curves):
    found = {curve.panel: dict(zip(curve.epochs, map("{:.3f}".format, curve.values))) for curve in curves}
    found["time, s"] = {row["epoch"]: f"{row['cost_s']:.1f}" for row in rows if row["cost_s"] is not None}
    return found


def _origin(run, reference):
    epochs = [epoch.epoch for epoch in run.log.epochs]
    planned = f" of {run.planned_epochs}" if run.planned_epochs else ""
    yield "validated epochs", f"{epochs[0]}-{epochs[-1]}{missing_between(epochs)}{planned}"
    net = run.log.args.get("network") or run.log.args.get("backbone") or "not known"
    yield "task and net", f"{run.log.task}, {net}"
    if reference:
        yield "compared with", f"{reference['name']}: {reference['log']}"
        yield from (("about that log", sentence) for sentence in reference["flags"].values())


def _not_known(run, course):
    yield "the band: one run of a recipe is published, and its noise is not known"
    if not any(found.panel == "learning rate" for found in course):
        yield "the learning rate: the log does not print it"
    yield from not_known(run)
