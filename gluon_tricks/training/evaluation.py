"""Count right answers over a validation set, with one top-k rule."""

import numpy as np
from mxnet import nd

from gluon_tricks.parameters import settle_weights
from gluon_tricks.training.progress import Stop


def evaluate(net, val_data, engine, dtype="float32", keep_going=lambda: True, top=(1,)):
    """Accuracies over what the processes' passes of `val_data` yield: every image once, but for MXNet's sliding window.

    Parameters and errors are those of `hits`.

    Returns
    -------
    list of float, one per entry of `top`
    """
    right, _ = _local_hits(net, val_data, engine, dtype, keep_going, top)
    *correct, count = engine.sum([*right.sum(axis=0), len(right)]).tolist()
    return [number / count for number in correct]


def hits(net, val_data, engine, dtype="float32", keep_going=lambda: True, top=(1,)):
    """Which images of a pass of `val_data` the net gets right.

    Parameters
    ----------
    top : sequence of int
        An answer counts if the label is among so many of the highest outputs.
    keep_going : callable
        Asked after each batch; evaluation is left with `Stop` when it returns False on any process.

    Returns
    -------
    bool array, shape (images, len(top)), in the order of the data, on every process
    """
    right, positions = _local_hits(net, val_data, engine, dtype, keep_going, top)
    if engine.world_size == 1:
        return right
    whole = np.zeros((val_data.records, len(top)))
    whole[positions] = right
    return engine.sum(whole) > 0


def _local_hits(net, val_data, engine, dtype, keep_going, top):
    """What this process's share of the images gives: `hits`' array, and the images' positions in the data."""
    right, positions, pending, batches = [], [], [], val_data.epoch(0)
    busy = True
    while busy:                                      # until no process has a batch left
        engine.beat("computing")
        batch = next(batches, None)
        if batch is not None:
            positions.append(batch.positions)
            for output, label in answers(net, batch, engine, dtype):
                pending.append(nd.stack(*[_among_top(output, label, k) for k in top], axis=1))
        while len(pending) > len(engine.ctx):          # one batch behind, as in training
            right.append(pending.pop(0).asnumpy())
        engine.beat("waiting")
        busy, stop = engine.sum([batch is not None, not keep_going()])
        if stop:
            raise Stop
    right += [value.asnumpy() for value in pending]
    settle_weights(net)
    known = positions and all(part is not None for part in positions)
    return (np.concatenate(right) > 0 if right else np.zeros((0, len(top)), bool),
            np.concatenate(positions) if known else np.arange(0))


def answers(net, batch, engine, dtype="float32"):
    """A net's outputs for a batch.

    Returns
    -------
    list of (output, label), one pair per device, in the data's order
        NDArrays of shape (n, classes) and (n,), still being computed.
    """
    parts = zip(engine.split(batch.data), engine.split(batch.label))
    return [(net(data.astype("float16") if dtype == "float16" else data), label) for data, label in parts]


def _among_top(output, label, k):
    """Whether each label is among the k highest outputs: float32, shape (N,)."""
    label = label.astype("float32")
    if k == 1:
        return output.argmax(axis=1).astype("float32") == label
    highest = output.astype("float32").topk(k=min(k, output.shape[1]), axis=1)
    return nd.broadcast_equal(highest, label.reshape((-1, 1))).max(axis=1)
