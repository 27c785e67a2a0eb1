"""The verdict on one or several runs of a recipe: inside or outside the band of the run that they repeat."""

from dataclasses import dataclass, field

import numpy as np

from gluon_tricks.errors import UserError
from gluon_tricks.judging.bands import (
    WITNESSES,
    band_of,
    compare_with,
    metric_of,
    series,
    together,
)
from gluon_tricks.judging.gaps import missing_epochs
from gluon_tricks.judging.repeats import FALSE_ALARM, compare_means
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.published.recipe import departures, recipe
from gluon_tricks.published.reference import Match, dataset_of, find_reference, repeats_of

EXIT_CODES = {"INSIDE": 0, "OUTSIDE": 1, "none": 2}


@dataclass(frozen=True)
class Held:
    """Runs held against one reference.

    Attributes
    ----------
    reference : PublishedRun
    comparisons : list of Comparison
        Of the training metric and of validation, as far as both have them. Of several runs it is their mean.
    counts : list of str
        Per witness: the number of epochs inside the band, with the reference's that the log lacks; or why it
        was not compared.
    because : list of str
        Why the runs are outside; empty if they are inside.
    tests : dict
        witness -> MeanTest, where there are enough runs.
    """

    reference: object
    comparisons: list
    counts: list
    because: list
    tests: dict

    @property
    def outcome(self):
        return "OUTSIDE" if self.because else "INSIDE"

    @property
    def where(self):
        """`over epochs 0-14 of 200 (train 15/15, val 15/15)`."""
        first, last = (end(end(found.epochs) for found in self.comparisons) for end in (min, max))
        return f"over epochs {first}-{last} of {self.reference.epochs} ({', '.join(self.counts)})"


@dataclass(frozen=True)
class Verdict:
    """The result of a comparison.

    Attributes
    ----------
    outcome : 'INSIDE', 'OUTSIDE' or 'none'
    line : str
        The result in one line, starting with `verdict:`.
    exit_code : int
        0 inside, 1 outside, 2 none.
    runs : list of RunLog
    run : RunLog
        The first of them.
    match : Match
        The reference.
    held : list of Held
        Against the reference first, then against GluonCV's own runs of this recipe; empty without a verdict.
    """

    outcome: str
    line: str
    runs: list
    match: Match
    held: list = field(default_factory=list)

    @property
    def run(self):
        return self.runs[0]

    @property
    def comparisons(self):
        """Those with the reference: list of Comparison."""
        return self.held[0].comparisons if self.held else []

    @property
    def exit_code(self):
        return EXIT_CODES[self.outcome]


def judge(path, ref=None):
    """Compare a log with the published run that it should repeat.

    Parameters
    ----------
    path : path
        Log of a run, finished or not.
    ref : str, optional
        Name of the published log to compare with, without regard to the run's arguments.

    Returns
    -------
    Verdict

    Raises
    ------
    UserError
        If the log is unusable or `ref` is no published log.
    """
    return judge_logs([read_log(path)], ref)


def judge_logs(runs, ref=None):
    """`judge` for one or several `RunLog`s of one recipe, which get one verdict.

    Raises
    ------
    UserError
        If `ref` is no published log, the recipes differ, or two logs are of one run.
    """
    check_same_recipe(runs)
    match = find_reference(runs[0], ref)
    if match.reference is None:
        return Verdict("none", f"verdict: none: {match.reason}", runs, match)
    first = hold_against(runs, match.reference)
    if not first.comparisons:
        why = "; ".join(first.because + first.counts) or "no epoch in common"
        return Verdict("none", f"verdict: none: nothing to compare with {match.reference.label}: {why}", runs,
                       match)
    others = [] if ref or match.departures else [
        hold_against(runs, other) for other in repeats_of(runs[0].args, dataset_of(runs[0]))
        if other.name != match.reference.name]
    held = [first, *(each for each in others if each.comparisons)]
    outcome = "OUTSIDE" if any(each.because for each in held) else "INSIDE"
    return Verdict(outcome, _line(held, runs, match), runs, match, held)


def _line(held, runs, match):
    """The result in one line; a reference whose band the runs leave comes first."""
    first, *others = sorted(held, key=lambda each: not each.because)
    mean = f" (mean of {len(runs)} runs)" if len(runs) > 1 else ""
    line = f"verdict: {first.outcome} the band of {first.reference.label}{mean} {first.where}"
    line += "".join(f"; {each.outcome} that of {each.reference.label} {each.where}" for each in others)
    because = [reason for each in held for reason in each.because]
    line += f": {'; '.join(because)}" if because else ""
    return line + (f"; departs from it in {', '.join(match.departures)}" if match.departures else "")


def check_same_recipe(runs):
    """Refuse logs of different recipes, and the same run twice."""
    first, *others = runs
    wanted = recipe(first.args, dataset_of(first))
    for i, other in enumerate(others, start=1):
        here = recipe(other.args, dataset_of(other))
        found = [*departures(here, wanted, "there"), *sorted(here.keys() - wanted.keys())]
        if found:
            shown = ", ".join(found)
            raise UserError(f"{other.path}: is of another recipe than {first.path}: {shown}; several logs "
                            "must be seeds of one recipe, so compare them one by one")
        for before in runs[:i]:
            if other.epochs == before.epochs:
                raise UserError(f"{other.path}: is the same run as {before.path}; give each run once")


def hold_against(runs, reference):
    """Compare the curve of a run, or the mean curve of several, with the bands of a reference: `Held`."""
    held = Held(reference, [], [], [], {})
    for witness in WITNESSES:
        band = band_of(reference.name, witness)
        metric = metric_of(runs[0].epochs[-1], witness, reference.dataset)
        if band is None:
            held.counts.append(f"{witness} not compared: no measurement in the published log")
        elif metric != band.metric:                                  # soft targets in one of the runs only
            held.because.append(f"{witness} metric {metric}, published {band.metric}")
        else:
            _hold(runs, band, witness, held)
    return held


def _hold(runs, band, witness, held):
    """Add the comparison of one witness to `held`."""
    dataset = held.reference.dataset
    curves = [dict(zip(*series(run.epochs, witness, dataset))) for run in runs]
    epochs = sorted(set.intersection(*map(set, curves)))
    ours = together([run.epochs for run in runs], epochs, witness, dataset)
    found = compare_with(band.of_mean(len(runs)), epochs, ours) if epochs else None
    if found is None:
        return
    held.comparisons.append(found)
    there = band.epochs[(band.epochs >= runs[0].epochs[0].epoch)
                        & (band.epochs <= min(run.epochs[-1].epoch for run in runs))]
    held.counts.append(f"{witness} {found.inside.sum()}/{len(found.epochs)}"
                       + missing_epochs(found.epochs.tolist(), there.tolist()))
    held.because.extend([found.because] if found.because else [])
    test = compare_means(found.epochs, found.runs, band.runs[:, np.isin(band.epochs, found.epochs)])
    if test:
        held.tests[witness] = test
    # One run is judged by the band alone, whose rate of false alarms is stated
    if test and len(runs) > 1 and test.p < FALSE_ALARM / len(WITNESSES):
        held.because.append(f"{witness} {found.metric} {test.says} from {band.source}, p = {test.p:.2g}")
