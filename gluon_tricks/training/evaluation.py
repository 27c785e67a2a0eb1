"""Count right answers over a validation set.

An answer is among the top k if fewer than k classes come before the label's. A class comes before another if
its output is higher, or if the outputs are equal and its index is lower (as in argmax, for k = 1).
"""

import numpy as np

from gluon_tricks.parameters import settle_weights
from gluon_tricks.training.progress import Stop


def evaluate(net, val_data, engine, dtype="float32", keep_going=lambda: True, top=(1,)):
    """Accuracies over one pass of `val_data`, shared by all processes.

    Each image counts once, except with MXNet's iterator, whose passes wrap round. Parameters and errors are
    those of `hits`.

    Returns
    -------
    list of float, one per entry of `top`
    """
    right, _ = _local_hits(net, val_data, engine, dtype, keep_going, top)
    *correct, count = engine.sum([*right.sum(axis=0), len(right)]).tolist()
    return [number / count for number in correct]


def hits(net, val_data, engine, dtype="float32", keep_going=lambda: True, top=(1,)):
    """Whether the net's answer for each image is right.

    Parameters
    ----------
    val_data : loader
        `epoch(0)` yields batches.
    top : sequence of int
        The k of each top-k rule.
    keep_going : callable
        Called after each batch.

    Returns
    -------
    bool array, shape (images, len(top)), in the order of the data, on every process

    Raises
    ------
    Stop
        On all processes, as soon as `keep_going` returns False on one.
    """
    right, positions = _local_hits(net, val_data, engine, dtype, keep_going, top)
    if engine.world_size == 1:
        return right
    whole = np.zeros((val_data.records, len(top)))
    whole[positions] = right
    return engine.sum(whole) > 0


def _local_hits(net, val_data, engine, dtype, keep_going, top):
    """`hits` for this process's share of the images, and the images' positions in the data."""
    right, positions, pending, batches = [], [], [], val_data.epoch(0)
    busy = True
    while busy:                                      # until no process has a batch left
        engine.beat("computing")
        batch = next(batches, None)
        if batch is not None:
            positions.append(batch.positions)
            for output, label in answers(net, batch, engine, dtype):
                pending.append((output.astype("float32"), label))
        while len(pending) > len(engine.ctx):          # one batch behind, as in training
            right.append(_among_top(*pending.pop(0), top))
        engine.beat("waiting")
        busy, stop = engine.sum([batch is not None, not keep_going()])
        if stop:
            raise Stop
    right += [_among_top(output, label, top) for output, label in pending]
    settle_weights(net)
    known = positions and all(part is not None for part in positions)
    return (np.concatenate(right) if right else np.zeros((0, len(top)), bool),
            np.concatenate(positions) if known else np.arange(0))


def _among_top(output, label, top):
    """The top-k rule for NDArrays of one batch: bool array, shape (n, len(top))."""
    return ranks_of(output.asnumpy(), label.asnumpy().astype("int64"))[:, None] < np.array(top)


def answers(net, batch, engine, dtype="float32"):
    """A net's outputs for a batch.

    Returns
    -------
    list of (output, label), one pair per device, in the data's order
        NDArrays of shape (n, classes) and (n,), still being computed.
    """
    parts = zip(engine.split(batch.data), engine.split(batch.label))
    return [(net(data.astype("float16") if dtype == "float16" else data), label) for data, label in parts]


def ranks_of(output, label):
    """How many classes come before the label's.

    Parameters
    ----------
    output : float array, shape (n, classes)
    label : int array, shape (n,)

    Returns
    -------
    int array, shape (n,)
        `classes` where the label is none of them or its output is nan.
    """
    classes = output.shape[1]
    known = (label >= 0) & (label < classes)
    own = np.take_along_axis(output, np.where(known, label, 0)[:, None], axis=1)
    not_before = (output < own) | (output == own) & (np.arange(classes) >= label[:, None])
    return np.where(known, classes - not_before.sum(axis=1), classes)


def highest_classes(output, k):
    """The first k classes of each row: int array, shape (n, min(k, classes))."""
    return np.argsort(-output, axis=1, kind="stable")[:, :k]
