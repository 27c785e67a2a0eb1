"""Cosine learning-rate decay (§5.1, Eq. 1), and the other smooth decays of GluonCV's scripts.

    paper    eta_t = (1 + cos(t pi / T)) eta / 2     over the T updates after warm-up
    poly     eta_t = (1 - t / T)^2 eta               linear: power 1

The three conventions of `lr_warmup` differ in t / T. With n updates done, W of warm-up and N in all:

    paper   (n + 1 - W) / (N - W)          the rate is 0 only for the last update
    logs    (n - W) / (N - W)              the rate never reaches 0
    head    (n + 1 - W) / (N - W - 1)      clamped: the rate is 0 from the last but one update on
"""

import math


def decay_fraction(num_update, warmup_updates, total_updates, formula="head"):
    """Share t / T of the decay that is done, in [0, 1]."""
    n, length = num_update - warmup_updates, total_updates - warmup_updates
    fraction = {"paper": (n + 1, length), "logs": (n, length), "head": (n + 1, length - 1)}[formula]
    return min(max(fraction[0] / max(fraction[1], 1), 0.0), 1.0)


def cosine_factor(fraction):
    """Share of the peak rate after a share `fraction` of a cosine decay."""
    return (1 + math.cos(math.pi * fraction)) / 2


def poly_factor(fraction, power=2):
    """Share of the peak rate after a share `fraction` of a polynomial decay."""
    return (1 - fraction) ** power
