"""The verdict on a run: inside or outside the band of the published run that it repeats."""

from dataclasses import dataclass, field

from gluon_tricks.judging.bands import WITNESSES, band_of, compare_with, metric_of, series
from gluon_tricks.judging.gaps import missing_epochs
from gluon_tricks.log_lines.reading import RunLog, read_log
from gluon_tricks.published.reference import Match, find_reference

EXIT_CODES = {"INSIDE": 0, "OUTSIDE": 1, "none": 2}


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
    comparisons : list of Comparison
        Of the training metric and of validation, as far as both logs have them.
    """

    outcome: str
    line: str
    run: RunLog
    match: Match
    comparisons: list = field(default_factory=list)

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
    return judge_log(read_log(path), ref)


def judge_log(run, ref=None):
    """`judge` for a `RunLog` that has been read."""
    match = find_reference(run, ref)
    if match.reference is None:
        return Verdict("none", f"verdict: none: {match.reason}", run, match)
    comparisons, counts, because = compare_curves(run, match.reference)
    if not comparisons:
        why = "; ".join(because + counts) or "no epoch in common"
        return Verdict("none", f"verdict: none: nothing to compare with {match.reference.name}: {why}", run,
                       match)
    outcome = "OUTSIDE" if because else "INSIDE"
    first, last = (end(end(found.epochs) for found in comparisons) for end in (min, max))
    line = (f"verdict: {outcome} the band of {match.reference.name} over epochs {first}-{last} of "
            f"{match.reference.epochs} ({', '.join(counts)})")
    line += f": {'; '.join(because)}" if because else ""
    line += f"; departs from it in {', '.join(match.departures)}" if match.departures else ""
    return Verdict(outcome, line, run, match, comparisons)


def compare_curves(run, reference):
    """Compare a run's curves with the bands of a published run.

    Returns
    -------
    comparisons : list of Comparison
    counts : list of str
        Per witness: the number of epochs inside the band, with the published ones that the run's log lacks;
        or why it was not compared.
    because : list of str
        Why the run is outside; empty if it is inside.
    """
    comparisons, counts, because = [], [], []
    for witness in WITNESSES:
        band = band_of(reference.name, witness)
        metric = metric_of(run.epochs[-1], witness, reference.dataset)
        if band is None:
            counts.append(f"{witness} not compared: no measurement in the published log")
        elif metric != band.metric:                                  # soft targets in one of the runs only
            because.append(f"{witness} metric {metric}, published {band.metric}")
        else:
            found = compare_with(band, *series(run.epochs, witness, reference.dataset))
            if found is None:
                continue
            comparisons.append(found)
            there = band.epochs[(band.epochs >= run.epochs[0].epoch) & (band.epochs <= run.epochs[-1].epoch)]
            counts.append(f"{witness} {found.inside.sum()}/{len(found.epochs)}"
                          + missing_epochs(found.epochs.tolist(), there.tolist()))
            because += [found.because] if found.because else []
    return comparisons, counts, because
