"""Which images a validation of GluonCV's script counts.

With record files the script's iterator fills the last batch of a pass from the start of the file, and the next pass goes on
behind that: pass k (from 1) of N images in batches of B ends at image ceil(k N / B) B, counted on through the passes. The
50,000 validation images of ImageNet in batches of 1024:

    pass 1: 49 batches, 50,176 samples        later: 49 or 48 batches, 50,176 or 49,152 samples

A published validation error is a share of that number, not of 50,000, and by the same rule training epoch e (from 0) begins
at update ceil(e N / B). Passes belong to one iterator: a resumed run begins with pass 1 again.
"""

import numpy as np


def batches_before(passes, images, batch_size):
    """Number of batches handed out in the first so many passes."""
    return -(-passes * images // batch_size)


def samples_in_pass(number, images, batch_size):
    """Number of samples that pass `number` (from 1) counts, those seen twice included."""
    return batch_size * (batches_before(number, images, batch_size) - batches_before(number - 1, images, batch_size))


def sample_counts(images, batch_size):
    """The numbers of samples that passes can have, the larger first: two, or one if B divides N.

    With fewer images than a batch the smaller is 0: some passes are empty.
    """
    whole, rest = divmod(images, batch_size)
    return [batch_size * (whole + 1), batch_size * whole] if rest else [images]


def val_window(number, images, batch_size):
    """Positions that pass `number` (from 1) counts, in order; some twice, or some not at all."""
    first, last = (batch_size * batches_before(passes, images, batch_size) for passes in (number - 1, number))
    return np.arange(first, last) % images
