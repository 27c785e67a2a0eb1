"""Batches of images with boxes or masks; the augmentation follows from (seed, epoch, image) alone.

GluonCV's transforms draw from `random` and `numpy.random`. Both are seeded before each image, so the draws
depend neither on the number of workers nor on resumptions.
"""

import random

import numpy as np
from mxnet import gluon

from gluon_tricks.data.loaders import EqualEpochs
from gluon_tricks.randomness import AUGMENT, epoch_order, generator


class Seeded:
    """A data set with the index `(epoch, position)`; returns the transformed sample.

    Parameters
    ----------
    dataset : sequence of (image, label)
    transform : callable
    seed : int
    mixed : sequence, optional
        Replaces `dataset` in the first `mixed_epochs` epochs.
    """

    def __init__(self, dataset, transform, seed, mixed=None, mixed_epochs=0):
        self.dataset, self.transform, self.seed = dataset, transform, seed
        self.mixed, self.mixed_epochs = mixed, mixed_epochs

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        epoch, position = index
        words = generator(self.seed, AUGMENT, epoch, position).integers(1 << 31, size=2)
        random.seed(int(words[0]))
        np.random.seed(int(words[1]))
        dataset = self.mixed if epoch < self.mixed_epochs else self.dataset
        return self.transform(*dataset[position])


class EpochLoader(EqualEpochs):
    """Training batches: complete ones only, the same number on every process.

    Parameters
    ----------
    dataset : Seeded
    collate : callable
        `list of samples -> list of tuples of arrays`, one tuple for each device.
    batch_size : int
        Images per update on this process.
    ctx : list of Context
    num_workers : int
        Number of processes that MXNet's DataLoader forks; with 0 this process prepares the images.
    rank, world_size : int
        This process takes batches rank, rank + world_size, ... of the order that all share.
    """

    resumes_anywhere = True

    def __init__(self, dataset, collate, batch_size, ctx, num_workers=0, rank=0, world_size=1):
        self.records, self.batch_size, self.ctx = len(dataset), batch_size, ctx
        self.rank, self.world_size, self.seed = rank, world_size, dataset.seed
        self.batches_per_epoch = self.records // (batch_size * world_size)
        self._indices = []
        self._loader = gluon.data.DataLoader(dataset, batch_sampler=self, batchify_fn=collate,
                                             num_workers=num_workers,
                                             timeout=600)

    def positions(self, epoch, batch):
        """Positions of the images in batch number `batch` of this process, shape (batch_size,)."""
        start = (batch * self.world_size + self.rank) * self.batch_size
        return epoch_order(self.seed, epoch, self.records)[start:start + self.batch_size]

    def __iter__(self):  # this object is the DataLoader's sampler, with the batches set by `epoch`
        return iter(self._indices)

    def __len__(self):
        return len(self._indices)

    def epoch(self, epoch, start=0):
        """Yield batches `start`, `start` + 1, ... of an epoch: a list with one tuple of arrays per device."""
        self._indices = [[(epoch, int(position)) for position in self.positions(epoch, batch)]
                         for batch in range(start, self.batches_per_epoch)]
        for shares in self._loader:
            yield [tuple(array.as_in_context(ctx) for array in share) for share, ctx in zip(shares, self.ctx)]


def parts(batch_size, devices):
    """A list of slices: each device's equal part of a batch."""
    share = batch_size // devices
    return [slice(i * share, (i + 1) * share) for i in range(devices)]
