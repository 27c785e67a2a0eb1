"""Learning rates as pure functions of `num_update`, the updates done so far (0 before the first).

Warm-up and decay have three conventions, `head`, `logs` and `paper`: see `tricks/lr_warmup.py`,
`tricks/cosine_decay.py`. GluonCV's CIFAR scripts have a fourth, `epoch_steps`: the rate changes at the first
update of an epoch.
"""

from gluon_tricks.tricks.cosine_decay import cosine_factor, decay_fraction, poly_factor
from gluon_tricks.tricks.lr_warmup import FORMULAS, exponential_factor, warmup_factor

MODES = ("step", "cosine", "poly", "linear", "constant")
WARMUPS = ("linear", "exponential")


def epoch_steps(base_lr, factor, decay_epochs, updates_per_epoch):
    """GluonCV's CIFAR rate: multiplied by `factor` when an epoch *equals* the next entry of `decay_epochs`.

    If the list is not ascending, the decay therefore stops at the first entry that is already past.

    Returns
    -------
    callable
        num_update -> learning rate
    """
    ascending = []
    for epoch in decay_epochs:
        if epoch <= (ascending[-1] if ascending else -1):
            break
        ascending.append(epoch)

    def rate(num_update):
        lr = base_lr
        for epoch in ascending:
            if num_update // updates_per_epoch >= epoch:
                lr *= factor
        return lr
    return rate


# So many parameters because each is a flag
def lr_schedule(mode, peak_lr, num_epochs, updates_per_epoch, warmup_epochs=0, factor=0.1, decay_epochs=(),
                power=2, formula="head"):
    """Linear warm-up from 0, then `mode` from `peak_lr` to 0 (step: by factors).

    Parameters
    ----------
    mode : one of MODES
    peak_lr : float
    num_epochs, warmup_epochs : int
        Warm-up counts as part of `num_epochs`.
    decay_epochs : sequence of int
        For mode "step", counted from the start of training. `head` steps one update before the epoch begins,
        for it counts updates from 1.
    formula : one of FORMULAS

    Returns
    -------
    callable
        num_update -> learning rate
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if formula not in FORMULAS:
        raise ValueError(f"formula must be one of {', '.join(FORMULAS)}, got {formula!r}")
    warmup, total = warmup_epochs * updates_per_epoch, num_epochs * updates_per_epoch
    steps = [epoch * updates_per_epoch for epoch in decay_epochs]

    def rate(num_update):
        if formula == "head":              # its counter starts at 1 and stays below the total
            num_update = min(num_update, total - 2)
            if num_update + 1 < warmup:
                return peak_lr * warmup_factor(num_update, warmup, formula)
        elif num_update < warmup:
            return peak_lr * warmup_factor(num_update, warmup, formula)
        fraction = decay_fraction(num_update, warmup, total, formula)
        if mode == "step":
            done = num_update + (formula == "head")
            return peak_lr * factor ** sum(step <= done for step in steps)
        return peak_lr * {"constant": 1.0, "cosine": cosine_factor(fraction),
                          "poly": poly_factor(fraction, power), "linear": poly_factor(fraction, 1)}[mode]
    return rate


def sgdr(peak_lr, updates_per_epoch, cycle_epochs, cycle_factor=1):
    """Cosine decay to 0, restarted (Loshchilov & Hutter 2016, arXiv 1608.03983).

    Parameters
    ----------
    cycle_epochs : int
        T_0, the length of the first cycle.
    cycle_factor : int
        T_mult: each cycle is longer than the one before by this factor.

    Returns
    -------
    callable
        num_update -> learning rate; the peak at the first update of each cycle.
    """
    def rate(num_update):
        start, length = 0, cycle_epochs * updates_per_epoch
        while num_update >= start + length:
            start, length = start + length, length * cycle_factor
        return peak_lr * cosine_factor((num_update - start) / length)
    return rate


def after_warmup(rate, peak_lr, warmup_updates):
    """`rate`, which starts at the peak, after a linear warm-up by the paper's formula."""
    def with_warmup(num_update):
        if num_update >= warmup_updates:
            return rate(num_update - warmup_updates)
        return peak_lr * warmup_factor(num_update, warmup_updates, "paper")
    return with_warmup


def exponential_warmup(rate, peak_lr, warmup_updates):
    """`rate` with the updates of its warm-up replaced by the exponential one."""
    return lambda n: rate(n) if n >= warmup_updates else peak_lr * exponential_factor(n, warmup_updates)
