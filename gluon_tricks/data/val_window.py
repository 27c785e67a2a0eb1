"""The images that a validation of GluonCV's script counts.

With record files the script's iterator fills the last batch of a pass from the start of the file. The next
pass continues after these images: pass k (from 1) of N images in batches of B ends at image ceil(k N / B) B,
counted through all passes. The 50,000 validation images of ImageNet in batches of 1024:

    pass 1: 49 batches, 50,176 samples        later: 49 or 48 batches, 50,176 or 49,152 samples

A published validation error is a share of that number, not of 50,000. By the same rule training epoch e (from
0) begins at update ceil(e N / B). Passes belong to one iterator: a resumed run begins with pass 1 again.
"""

import numpy as np


def batches_before(passes, images, batch_size):
    """Number of batches in the first `passes` passes."""
    return -(-passes * images // batch_size)


def samples_in_pass(number, images, batch_size):
    """Number of samples in pass `number` (from 1), repeated ones included."""
    before, after = (batches_before(passes, images, batch_size) for passes in (number - 1, number))
    return batch_size * (after - before)


def sample_counts(images, batch_size):
    """Possible numbers of samples in a pass, the larger first: two, or one if B divides N.

    With fewer images than a batch the smaller is 0: some passes are empty.
    """
    whole, rest = divmod(images, batch_size)
    return [batch_size * (whole + 1), batch_size * whole] if rest else [images]


def val_window(number, images, batch_size):
    """Positions of the images in pass `number` (from 1), in order; some occur twice, or some not at all."""
    first, last = (batch_size * batches_before(passes, images, batch_size) for passes in (number - 1, number))
    return np.arange(first, last) % images
