"""What a report shows of a run, whatever wrote its log."""

from dataclasses import dataclass
from typing import NamedTuple, Optional


class Curve(NamedTuple):
    """Figures over epochs.

    `panel` is the name of its chart, with the unit. `limits` is the band around the figures. `note` says
    where they come from: of a run in a sentence, of a reference in the words of a legend.
    """

    panel: str
    name: str
    epochs: list
    values: list
    limits: Optional[list] = None
    note: str = ""


@dataclass(frozen=True)
class Shown:
    """One run of a report.

    Attributes
    ----------
    outcome : 'INSIDE', 'OUTSIDE' or 'none'
    verdict : str
        In one line.
    reference : str
        What the run is compared with: a published run, or GluonCV's own runs here; "" for nothing.
    curves, published : list of Curve
        Figures of the run, and of the published one; those of one panel belong together.
    differences : list of Curve
        Run minus published, with the band as limits where there is one.
    course : list of Curve
        Learning rate and speed, as far as they are logged.
    recipe, published_recipe : dict
        Flag -> text.
    departs : set of str
        Flags in which the recipes differ such that the runs are not repeats.
    findings : list of Finding
    epochs : (list of str, list of rows)
    facts : list of (str, str)
    not_known : list of str
    is_complete : bool
        Whether no further epochs will come.
    """

    name: str
    outcome: str
    verdict: str
    reference: str
    curves: list
    published: list
    differences: list
    course: list
    recipe: dict
    published_recipe: dict
    departs: set
    findings: list
    epochs: tuple
    facts: list
    not_known: list
    is_complete: bool


def columns(found):
    """Head and rows of a table with a row per epoch, from its columns; those without a figure are left out.

    Parameters
    ----------
    found : dict
        Head of a column -> dict of epoch to text.
    """
    filled = {head: cells for head, cells in found.items() if any(cells.values())}
    epochs = sorted({epoch for cells in filled.values() for epoch in cells})
    return ["epoch", *filled], [[epoch, *(cells.get(epoch, "") for cells in filled.values())]
                                for epoch in epochs]


def rate_of(run, logged):
    """The learning rate of a run: every one in metrics.jsonl, else the logged ones.

    Parameters
    ----------
    run : RecordedRun
    logged : Curve
        Of the log.

    Returns
    -------
    list of Curve
        Empty if the rate is not logged.
    """
    records = run.metrics or []
    ends = [(record["num_update"], record["epoch"]) for record in records
            if record["kind"] == "epoch" and record.get("num_update")]
    if ends:
        updates_per_epoch = ends[-1][0] / (ends[-1][1] + 1)
        rates = {record["num_update"]: record["lr"] for record in records
                 if record["kind"] == "interval" and record.get("num_update")}
        if rates:
            epochs = [round(update / updates_per_epoch, 3) for update in sorted(rates)]
            return [thinned(Curve(logged.panel, run.name, epochs, [rates[update] for update in sorted(rates)],
                                  note="Every logged interval."))]
    return [logged] if logged.epochs else []


def thinned(curve, most=1000):
    """A curve of at most so many points; its note says how many were left out."""
    step = -(-len(curve.epochs) // most)
    if step <= 1:
        return curve
    return curve._replace(epochs=curve.epochs[::step], values=curve.values[::step],
                          note=f"Every {step}th of {len(curve.epochs)} logged values.")
