"""Learning-rate warm-up (§3.1): linear from 0 to the peak rate over the first m updates.

With n updates done (n = 0 before the first):

    paper   (n + 1) / m         "at batch i, 1 <= i <= m, the rate is i eta / m"
    logs    n / m               GluonCV before 2019-03-12 and most published logs: the first update has rate 0
    head    (n + 1) / (m - 1)   GluonCV since: the peak comes one update early and lasts two

The peak is reached at n = m - 1 (paper), m (logs), m - 2 (head).

The CIFAR-10 collection also has an "exponential" warm-up, which starts lower and rises late: 0.001 + 0.999 (n
/ m)^4.
"""

FORMULAS = ("head", "logs", "paper")


def warmup_factor(num_update, warmup_updates, formula="head"):
    """Share of the peak rate during warm-up.

    Parameters
    ----------
    num_update : int
        Updates done so far.
    warmup_updates : int > 0
    formula : "head", "logs" or "paper"

    Returns
    -------
    float in [0, 1]
        1 from the end of warm-up on.
    """
    if formula == "paper":
        return min((num_update + 1) / warmup_updates, 1.0)
    if formula == "logs":
        return min(num_update / warmup_updates, 1.0)
    if formula == "head":          # a warm-up of one update would divide by zero in GluonCV
        return min((num_update + 1) / (warmup_updates - 1), 1.0) if warmup_updates > 1 else 1.0
    raise ValueError(f"formula must be one of {', '.join(FORMULAS)}, got {formula!r}")


def exponential_factor(num_update, warmup_updates, exponent=4, start=1e-3):
    """Share of the peak rate during the collection's warm-up; 1 from its end on."""
    return min(start + (1 - start) * (num_update / warmup_updates) ** exponent, 1.0)
