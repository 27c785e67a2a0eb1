"""Label smoothing (§5.2).

    paper, Eq. 4:  q_i = 1 - eps          for the true class,  eps / (K - 1)  otherwise
    GluonCV:       q_i = 1 - eta + eta/K  for the true class,  eta / K        otherwise   <- default here

Equal when eps = eta (K - 1) / K; for K = 10, eta = 0.1 that is eps = 0.09. Mixup blends these rows, so both
tricks share this function; eta = 0 gives plain one-hot rows.
"""

import math


def smooth_one_hot(labels, classes, eta=0.1, rule="gluoncv"):
    """Smoothed training targets.

    Parameters
    ----------
    labels : NDArray, shape (N,)
        Class indices in [0, classes).
    classes : int
    eta : float in [0, 1)
        Probability mass spread evenly over all classes ("gluoncv"), or over all but the true one ("paper").
    rule : "gluoncv" or "paper"

    Returns
    -------
    NDArray, shape (N, classes)
        Rows sum to 1.

    Raises
    ------
    ValueError
        If eta is outside [0, 1).
    """
    if not 0.0 <= eta < 1.0:
        raise ValueError(f"eta must be in [0, 1), got {eta}")
    if rule == "paper":
        return labels.one_hot(classes, on_value=1 - eta, off_value=eta / (classes - 1))
    return labels.one_hot(classes, on_value=1 - eta + eta / classes, off_value=eta / classes)


def optimal_gap(eta, classes, rule="gluoncv"):
    """Gap between the true class's output and the others at the least loss (Eq. 5): log(q_true / q_other).

    paper:    log((K - 1)(1 - eps) / eps)            9.104 for K = 1000, eps = 0.1
    GluonCV:  log((1 - eta) K / eta + 1)             9.105
    """
    if not 0.0 < eta < 1.0:
        raise ValueError(f"eta must be in (0, 1), got {eta}")
    other = eta / (classes - 1) if rule == "paper" else eta / classes
    return math.log((1 - eta if rule == "paper" else 1 - eta + other) / other)
