"""Which images a validation of GluonCV's script counts.

With record files the script's iterator fills the last batch of a pass from the start of the file, and the next pass goes on
behind that: pass k (from 1) of N images in batches of B ends at image ceil(k N / B) B, counted on through the passes.
"""

import numpy as np


def val_window(number, images, batch_size):
    """Positions that pass `number` (from 1) counts, in order; some twice, or some not at all."""
    first, last = (-(-k * images // batch_size) * batch_size for k in (number - 1, number))
    return np.arange(first, last) % images
