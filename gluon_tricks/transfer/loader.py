"""Batches of images with boxes or masks, whose augmentation follows from (seed, epoch, image) alone.

GluonCV's transforms draw from `random` and `numpy.random`; both are set anew before each image, so neither the number of
workers nor a resumption changes what is drawn.
"""

import random

import numpy as np
from mxnet import gluon

from gluon_tricks.data.loaders import EqualEpochs
from gluon_tricks.randomness import AUGMENT, epoch_order, generator


class Seeded:
    """A data set asked by `(epoch, position)`.

    Parameters
    ----------
    dataset : sequence of (image, label)
    transform : callable
    seed : int
    mixed : sequence, optional
        Stands in for `dataset` in the first `mixed_epochs` epochs.
    """

    def __init__(self, dataset, transform, seed, mixed=None, mixed_epochs=0):
        self.dataset, self.transform, self.seed = dataset, transform, seed
        self.mixed, self.mixed_epochs = mixed, mixed_epochs

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, asked):
        epoch, position = asked
        words = generator(self.seed, AUGMENT, epoch, position).integers(1 << 31, size=2)
        random.seed(int(words[0]))
        np.random.seed(int(words[1]))
        dataset = self.mixed if epoch < self.mixed_epochs else self.dataset
        return self.transform(*dataset[position])


class EpochLoader(EqualEpochs):
    """Training batches: whole ones only, equally many on every process.

    Parameters
    ----------
    dataset : Seeded
    collate : callable
        `list of samples -> list of tuples of arrays`, a tuple for each device.
    batch_size : int
        Images per update on this process.
    ctx : list of Context
    num_workers : int
        MXNet's DataLoader forks so many processes; with 0 images are prepared when they are asked for.
    rank, world_size : int
        This process takes batches rank, rank + world_size, ... of the epoch's one order.
    """

    resumes_anywhere = True

    def __init__(self, dataset, collate, batch_size, ctx, num_workers=0, rank=0, world_size=1):
        self.records, self.batch_size, self.ctx = len(dataset), batch_size, ctx
        self.rank, self.world_size, self.seed = rank, world_size, dataset.seed
        self.batches_per_epoch = self.records // (batch_size * world_size)
        self._asked = []
        self._loader = gluon.data.DataLoader(dataset, batch_sampler=self, batchify_fn=collate, num_workers=num_workers,
                                             timeout=600)

    def positions(self, epoch, batch):
        """Images of this process's batch number `batch` in an epoch, shape (batch_size,)."""
        start = (batch * self.world_size + self.rank) * self.batch_size
        return epoch_order(self.seed, epoch, self.records)[start:start + self.batch_size]

    def __iter__(self):              # the DataLoader's sampler: what `epoch` has noted
        return iter(self._asked)

    def __len__(self):
        return len(self._asked)

    def epoch(self, epoch, start=0):
        """Batches `start`, `start` + 1, ... of an epoch: for each device a tuple of arrays."""
        self._asked = [[(epoch, int(position)) for position in self.positions(epoch, batch)]
                       for batch in range(start, self.batches_per_epoch)]
        for shares in self._loader:
            yield [tuple(array.as_in_context(ctx) for array in share) for share, ctx in zip(shares, self.ctx)]


def parts(batch_size, devices):
    """Slices that give each device an equal part of a batch."""
    share = batch_size // devices
    return [slice(i * share, (i + 1) * share) for i in range(devices)]
