"""Low-precision training (§3.2): compute in float16, update in float32.

    paper:    parameters and activations in float16, a float32 copy of the parameters for the update; the loss may be
              multiplied by a scalar to use float16's range
    GluonCV:  the net is cast, BatchNorm stays in float32, `multi_precision` keeps the copy; the loss is computed in float16
              and never scaled

Here logits are cast to float32 before the loss, and the loss may be scaled, by a constant or by `DynamicLossScale`.
bfloat16 has float32's range and needs no scaling.
"""

import math


class DynamicLossScale:
    """A scale that halves when a gradient overflows and doubles after `window` updates that did not.

    Mixed Precision Training (arXiv 1710.03740); starting value and window are those of MXNet's amp, which halves one
    update late. `scale` multiplies the loss; the optimizer's gradients must be divided by it.
    """

    def __init__(self, scale=2.0**16, window=2000, factor=2.0):
        self.scale, self.window, self.factor = scale, window, factor
        self.good_updates = 0

    def update(self, finite):
        """Take note of whether an update's gradients were finite; returns whether to apply the update."""
        if not finite:
            self.scale, self.good_updates = max(self.scale / self.factor, 1.0), 0
            return False
        self.good_updates += 1
        if self.good_updates == self.window:
            self.scale, self.good_updates = self.scale * self.factor, 0
        return True


class StaticLossScale:
    """A constant scale; updates whose gradients overflow are skipped all the same."""

    def __init__(self, scale=1.0):
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"scale must be positive, got {scale}")
        self.scale = scale

    def update(self, finite):
        return finite
