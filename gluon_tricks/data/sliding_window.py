"""Which images a pass of MXNet's record iterator sees, as GluonCV's script sets it.

The last batch of a pass is filled from the start of the file, and the next pass begins behind the images so borrowed. So
k passes over N records in batches of B take ceil(k N / B) batches, and a pass sees a window of whole batches that slides
over the file. The 50,000 validation images of ImageNet in batches of 1024:

    pass 0: 49 batches, 50,176 samples        later: 49 or 48 batches, 50,176 or 49,152 samples

A published validation error is a share of that number, not of 50,000, and training epoch e begins at update
ceil(e N / B). Passes count from 0 and belong to one iterator: a resumed run begins with pass 0 again.
"""


def batches_before(index, records, batch_size):
    """Number of batches handed out before pass `index` begins."""
    return -(-index * records // batch_size)


def batches_in_pass(index, records, batch_size):
    """Number of batches of pass `index`: floor(N / B) or one more."""
    return batches_before(index + 1, records, batch_size) - batches_before(index, records, batch_size)


def samples_in_pass(index, records, batch_size):
    """Number of samples of pass `index`, images seen twice included."""
    return batch_size * batches_in_pass(index, records, batch_size)


def sample_counts(records, batch_size):
    """The numbers of samples that passes can have, the larger first: two, or one if B divides N.

    With fewer records than a batch the smaller is 0: some passes are empty.
    """
    whole, rest = divmod(records, batch_size)
    return [batch_size * (whole + 1), batch_size * whole] if rest else [records]


def is_counted_over(error, samples):
    """Whether `error`, a fraction printed with six decimals, is that of a whole number of wrong answers among `samples`.

    GluonCV prints 1 - accuracy, and so is the candidate computed, for the seventh decimal may be a tie.
    """
    right = round((1 - error) * samples)
    return 0 <= right <= samples and f"{1 - right / samples:.6f}" == f"{error:.6f}"
