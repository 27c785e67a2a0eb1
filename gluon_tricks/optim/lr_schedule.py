"""Learning rates as pure functions of `num_update`, the updates done so far (0 before the first).

Two conventions of GluonCV's scripts meet here:

    epoch_steps   the CIFAR scripts: a new rate from the first update of an epoch on
    head          `LRSequential` of today's ImageNet script, for warm-up and the smooth decays. It counts from 1, so with
                  k = num_update + 1 and N = stage length - 1:
                  linear warm-up   target k / N                  (reaches the target one update early, and keeps it for two)
                  cosine           target + (base - target) (1 + cos(pi T / N)) / 2,   T = k - warm-up updates
                  poly             target + (base - target) (1 - T / N)^2;   linear: power 1
                  Its last scheduled update, and all after it, have rate 0.

The paper (§3.1, §5.1) has i / m for update i of a warm-up of m, and divides by T where the code divides by T - 1.
"""

import math

MODES = ("step", "cosine", "poly", "linear", "constant")


def epoch_steps(base_lr, factor, decay_epochs, updates_per_epoch):
    """GluonCV's CIFAR rate: multiplied by `factor` when an epoch *equals* the next entry of `decay_epochs`.

    A list that is not ascending therefore stops decaying at the first entry that lies behind; entries are compared one at
    a time, as the scripts do.

    Returns
    -------
    callable
        num_update -> learning rate
    """
    def rate(num_update):
        epoch, lr, position = num_update // updates_per_epoch, base_lr, 0
        last = -1
        while position < len(decay_epochs) and last < decay_epochs[position] <= epoch:
            lr *= factor
            last = decay_epochs[position]
            position += 1
        return lr
    return rate


def head_schedule(mode, peak_lr, num_epochs, updates_per_epoch, warmup_epochs=0, factor=0.1, decay_epochs=(), power=2):
    """Linear warm-up from 0, then `mode` from `peak_lr` to 0 (step: by factors), as GluonCV's `LRSequential` computes it.

    Parameters
    ----------
    mode : one of MODES
    peak_lr : float
    num_epochs, warmup_epochs : int
        Warm-up counts as part of `num_epochs`.
    decay_epochs : sequence of int
        For mode "step", counted from the start of training.

    Returns
    -------
    callable
        num_update -> learning rate
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    warmup = warmup_epochs * updates_per_epoch
    total = num_epochs * updates_per_epoch
    steps = [(epoch - warmup_epochs) * updates_per_epoch for epoch in decay_epochs]

    def rate(num_update):
        k = min(num_update + 1, total - 1)
        if k < warmup:
            return peak_lr * k / (warmup - 1)
        t, n = k - warmup, max(total - warmup - 1, 1)
        if mode == "step":
            return peak_lr * factor ** sum(step <= t for step in steps)
        if mode == "constant":
            return peak_lr
        if mode == "cosine":
            return peak_lr * (1 + math.cos(math.pi * t / n)) / 2
        return peak_lr * (1 - t / n) ** (1 if mode == "linear" else power)
    return rate
