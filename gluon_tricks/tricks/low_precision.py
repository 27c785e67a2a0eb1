"""Low-precision training (§3.2): compute in float16, update in float32.

    paper:    parameters and activations in float16, a float32 copy of the parameters for the update; the loss
              may be multiplied by a scalar to use float16's range
    GluonCV:  the net is cast, BatchNorm stays in float32, `multi_precision` keeps the copy; the loss is
              computed in float16 and never scaled

Here logits are cast to float32 before the loss, and the loss may be scaled, by a constant or by
`DynamicLossScale`. bfloat16 has float32's range and needs no scaling. On CPUs float16 is emulated
(`models/float16_graph.py`).
"""

import math


def all_finite(arrays):
    """Whether no element of the NDArrays of one device is nan or infinite; waits for them.

    MXNet's operator takes arrays of one type only, and in a float16 net BatchNorm's gradients are float32.
    """
    from mxnet import nd

    of_type = {}
    for array in arrays:
        of_type.setdefault(array.dtype, []).append(array)
    return all(nd.multi_all_finite(*same, num_arrays=len(same)).asscalar() == 1 for same in of_type.values())


class DynamicLossScale:
    """A scale that halves when a gradient overflows and doubles after `window` updates in a row that did not.

    Mixed Precision Training (arXiv 1710.03740); starting value and window are those of MXNet's amp, which
    halves one update late and has no upper limit. `scale` multiplies the loss; the optimizer's gradients must
    be divided by it.
    """

    lowest, highest = 1.0, 2.0**24

    def __init__(self, scale=2.0**16, window=2000, factor=2.0):
        self.scale, self.window, self.factor = scale, window, factor
        self.good_updates = self.skipped = 0

    def update(self, finite):
        """Adapt the scale to whether the gradients were finite; returns whether to apply the update."""
        if not finite:
            self.scale, self.good_updates = max(self.scale / self.factor, self.lowest), 0
            self.skipped += 1
            return False
        self.good_updates += 1
        if self.good_updates == self.window:
            self.good_updates = 0
            if self.scale < self.highest:
                self.scale *= self.factor
        return True

    def state(self):
        """The numbers that a resumed run needs."""
        return {"scale": self.scale, "good_updates": self.good_updates, "skipped": self.skipped}

    def restore(self, state):
        """Continue from a `state()`."""
        self.scale, self.good_updates, self.skipped = (state[key]
                                                       for key in ("scale", "good_updates", "skipped"))


class StaticLossScale(DynamicLossScale):
    """A constant scale; an update whose gradients overflow is still skipped."""

    lowest = 0.0                           # an overflow never ends the run

    def __init__(self, scale=1.0):
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"scale must be positive, got {scale}")
        super().__init__(scale, window=0, factor=1.0)


def create_loss_scale(name):
    """The loss scale of that name: "none", "dynamic", or a number for a constant one.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if name == "none":
        return None
    return DynamicLossScale() if name == "dynamic" else StaticLossScale(float(name))
