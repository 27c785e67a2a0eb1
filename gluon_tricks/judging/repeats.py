"""Statistics of several runs of one recipe: limits for their mean, and a test of two means.

Of k runs with mean m and N reference runs with mean M of one figure, m - M has the variance

    sigma^2 (1/k + 1/N)

where sigma^2 is the variance between runs. Three results follow.

    limits        The part of a limit that allows for noise was made for one run and N reference runs. For the
                  mean of k it shrinks by  sqrt((1/k + 1/N) / (1 + 1/N)) : with one published curve 0.87 for
                  k = 2, 0.82 for k = 3, and never below 0.71, for the curve's own noise stays. Half a slope,
                  a systematic lead or lag, does not shrink.
    band of N     Limits from the spread s between N reference runs, without a published curve's scatter:
                  t s sqrt(1 + 1/N), t being Student's quantile of N - 1 degrees of freedom at 1 - alpha / 2.
                  A correct run leaves the band of one figure with probability alpha. Over all figures (epochs
                  times witnesses) alpha is FALSE_ALARM / figures, so that a correct run leaves it anywhere
                  with probability FALSE_ALARM at most (Bonferroni's inequality: the figures may depend on
                  each other in any way).
    test          The statistic of a run is its mean over the later half of the common epochs: the spread of
                  the first epochs is several times as large. t = (m - M) / (s sqrt(1/k + 1/N)) with the
                  pooled deviation s of both groups and k + N - 2 degrees of freedom. One published curve
                  (N = 1) adds nothing to s: the test asks whether it could be one more run of ours.

All three hold for normally distributed figures.
"""

import math
from dataclasses import dataclass

FALSE_ALARM = 0.01
CONFIDENCE = 0.95


def student_share(t, df):
    """Probability that |T| <= t, T being Student's of `df` degrees of freedom (a whole number).

    Finite sums: Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(df))
    cosine, odd = math.cos(angle), df % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for i in range(df // 2):
        total += term
        step = 2 * i + (2 if odd else 1)
        term *= cosine ** 2 * step / (step + 1)
    total *= math.sin(angle)
    return (angle + total) * 2 / math.pi if odd else total


def student_limit(share, df):
    """The t for which `student_share` is `share`."""
    low, high = 0.0, 1.0
    while student_share(high, df) < share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_share(middle, df) < share else (low, middle)
    return high


def shrinkage(runs, reference_runs):
    """Factor on the noise of a limit, for the mean of `runs` in the place of one run."""
    return math.sqrt((1 / runs + 1 / reference_runs) / (1 + 1 / reference_runs))


def band_limits(values, figures):
    """Limits on the distance of one more run from the mean of several, per epoch.

    Parameters
    ----------
    values : ndarray, shape (runs, epochs)
    figures : int
        Among how many figures the false alarms are shared.
    """
    runs = len(values)
    t = student_limit(1 - FALSE_ALARM / figures, runs - 1)
    return t * values.std(axis=0, ddof=1) * math.sqrt(1 + 1 / runs)


def mean_interval(values):
    """Half the width of the 95 % interval of the mean, per epoch; `values` has the shape (runs, epochs)."""
    runs = len(values)
    return student_limit(CONFIDENCE, runs - 1) * values.std(axis=0, ddof=1) / math.sqrt(runs)


@dataclass(frozen=True)
class MeanTest:
    """Student's test of the difference between two groups of runs.

    Attributes
    ----------
    difference : float
        Of the means of the statistic.
    deviation : float
        Pooled, between runs.
    half_width : float
        Of the 95 % interval of the difference.
    p : float
        Probability of such a difference, or a larger one, between runs of one kind.
    first, last : int
        Epochs over which the statistic is the mean.
    """

    difference: float
    deviation: float
    half_width: float
    p: float
    first: int
    last: int

    @property
    def says(self):
        """`-0.42 points in the mean of epochs 20-39`."""
        return f"{self.difference:+.2f} points in the mean of epochs {self.first}-{self.last}"


def compare_means(epochs, ours, theirs):
    """Compare two groups of runs.

    Parameters
    ----------
    epochs : ndarray of int, shape (epochs,)
    ours, theirs : ndarray, shape (runs, epochs)

    Returns
    -------
    MeanTest or None
        None for one run against one: nothing tells their spread.
    """
    df = len(ours) + len(theirs) - 2
    if df < 1:
        return None
    later = slice(len(epochs) // 2, None)
    groups = [group[:, later].mean(axis=1) for group in (ours, theirs)]
    difference = groups[0].mean() - groups[1].mean()
    deviation = math.sqrt(sum(((group - group.mean()) ** 2).sum() for group in groups) / df)
    error = deviation * math.sqrt(1 / len(ours) + 1 / len(theirs))
    p = 1 - student_share(abs(difference) / error, df) if error else float(difference == 0)
    half_width = student_limit(CONFIDENCE, df) * error
    return MeanTest(float(difference), deviation, half_width, p, int(epochs[later][0]), int(epochs[-1]))
