"""Loaders over MXNet's `ImageRecordIter`, which made the published logs, for CIFAR and ImageNet.

Its crops, flips and colours come from generators of the decoding threads. They start again with every
process, so a resumed run is not bit-equal, and it can only be resumed at the start of an epoch.
"""

import logging
from pathlib import Path

import mxnet as mx
import numpy as np

from gluon_tricks.data.augment import CIFAR_MEAN, CIFAR_STD, PAD
from gluon_tricks.data.imagenet_augment import JITTER, PCA_STD, ImagenetTestTransform
from gluon_tricks.data.loaders import Batch, EqualEpochs
from gluon_tricks.data.mxnet_limits import check_readable
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.data.val_window import batches_before, samples_in_pass
from gluon_tricks.errors import UserError


class Shard:
    """The contiguous block of records that one process of several reads from MXNet's iterator.

    It never changes, so a process sees the same images in every epoch; the last block may be short.

    Raises
    ------
    UserError
        If the block is empty.
    """

    def __init__(self, records, rank, world_size):
        block = -(-records // world_size)
        self.start = min(rank * block, records)
        self.stop = min(self.start + block, records)
        self.records, self.rank, self.world_size = records, rank, world_size
        if self.start == self.stop:
            raise UserError(f"--data-backend mxnet: {records} records are too few for {world_size} "
                            f"processes; use --data-backend ours, or fewer processes")

    def __len__(self):
        return self.stop - self.start

    def batches_per_epoch(self, batch_size, train):
        """Batches per epoch: in training whole ones, as many on each process; else all that are needed."""
        return self.records // (batch_size * self.world_size) if train else -(-len(self) // batch_size)

    def positions(self, start, stop):
        """Positions in the file of records `start` to `stop` of the block, as far as it reaches: int64."""
        return np.arange(self.start + start, min(self.start + stop, self.stop))


class RecordIter(EqualEpochs):
    """What both loaders share: the iterator over this process's shard, and its batches.

    The records are checked before the iterator is opened (`mxnet_limits`).

    Parameters
    ----------
    rec, idx : path
    batch_size : int
        Images per batch over all devices of this process.
    train : bool
    rank, world_size : int
        Number of this process, and number of processes.
    **sizes
        What `check_readable` must know of the images' sizes.
    """

    resumes_anywhere = False

    def __init__(self, rec, idx, batch_size, train, rank=0, world_size=1, **sizes):
        self.rec, self.idx, self.batch_size, self.train = rec, idx, batch_size, train
        reader = RecordReader(rec, idx)
        check_readable(reader, **sizes)
        self.records = len(reader)
        self.shard = Shard(self.records, rank, world_size)

    @property
    def batches_per_epoch(self):
        return self.shard.batches_per_epoch(self.batch_size, self.train)

    def _open(self, mean, std, num_workers, **settings):
        """Open the iterator; `mean` and `std` are three floats each, on the 0..255 scale."""
        try:
            self._iter = mx.io.ImageRecordIter(
                path_imgrec=str(self.rec), path_imgidx=str(self.idx), batch_size=self.batch_size,
                preprocess_threads=max(1, num_workers), verbose=False, device_id=-1,
                num_parts=self.shard.world_size,
                part_index=self.shard.rank, **dict(zip(("mean_r", "mean_g", "mean_b"), mean)),
                **dict(zip(("std_r", "std_g", "std_b"), std)), **settings)
        except mx.MXNetError as error:
            raise UserError(f"{self.rec}: MXNet's iterator cannot read it ({_cause(error)}); use "
                            f"--data-backend ours") from error

    def _next_around(self):
        """The next batch; after the last one the first of another pass.

        A process with a short shard must take as many steps as the others.
        """
        try:
            return self._iter.next()
        except StopIteration:
            self._iter.reset()
            return self._iter.next()

    def _batch(self, batch, start, exact):
        """The `Batch` at image `start` of the shard; if `exact`, without the images that fill it up."""
        positions, valid = None, self.batch_size
        if exact:                          # batch.pad cannot be trusted
            positions = self.shard.positions(start, start + self.batch_size)
            valid = len(positions)
        # MXNet reuses its buffers
        return Batch(batch.data[0][:valid].copy(), batch.label[0][:valid].copy(), positions)


def _cause(error):
    """The line of an MXNetError's text that says what failed."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "Check failed" in line or "Error:" in line), lines[-1])


def refuse_inside_epoch(start):
    """Refuse to start an epoch at a batch other than the first."""
    if start:
        raise UserError(f"--data-backend mxnet: MXNet's iterator cannot go on at batch {start} of an epoch; "
                        f"resume at an epoch's start, or use --data-backend ours")


class CifarRecordIter(RecordIter):
    """`ImageRecordIter` for CIFAR-sized records, as the original recipes use it.

    In training it pads, crops, mirrors and shuffles, and yields whole batches only; the order depends on
    `seed`. In validation it yields every record once, in order. Parameters as in `RecordIter`; the index has
    the name of `rec`.
    """

    def __init__(self, rec, batch_size, train, seed=0, num_workers=2, rank=0, world_size=1):
        super().__init__(rec, Path(rec).with_suffix(".idx"), batch_size, train, rank, world_size, side=32)
        mean, std = ([255 * x for x in values] for values in (CIFAR_MEAN, CIFAR_STD))
        augmentation = {}
        if train:
            augmentation = dict(rand_crop=True, rand_mirror=True, pad=PAD, fill_value=0, shuffle=True)
        # round_batch fills the last batch from the start of the file and lets the next pass begin after these
        # images. In training a pass then never ends before the last whole batch. Validation counts every
        # record once.
        self._open(mean, std, num_workers, data_shape=(3, 32, 32), seed=seed, round_batch=train,
                   **augmentation)

    def epoch(self, epoch, start=0):
        """The batches of the iterator's next pass; `epoch` is ignored."""
        refuse_inside_epoch(start)
        self._iter.reset()
        for number in range(self.batches_per_epoch):
            batch = self._next_around() if self.train else self._iter.next()
            yield self._batch(batch, number * self.batch_size, exact=not self.train)


class ImageNetRecordIter(RecordIter):
    """`ImageRecordIter` with GluonCV's settings for ImageNet, unchanged.

    The iterator is not rewound after a pass that ended in a filled-up batch, so passes over N images in
    batches of B differ by one in length: training epochs do, and validation sees a sliding window
    (`data/val_window.py`). Several processes have a `Shard` each, exact validation, and training epochs of
    equally many batches. Every process draws the same crops and colours one after the other, because MXNet
    seeds those by decoding thread.

    Parameters
    ----------
    protocol : "gluoncv" or "exact"
        "exact" counts every validation image once instead of GluonCV's window.
    size, crop_ratio, mean, std, num_workers
        As in train_imagenet.py's flags, hence so many parameters; the others as in `RecordIter`.

    Raises
    ------
    UserError
        If MXNet cannot read the file, or GluonCV's window over so few images would be empty in some passes.
    """

    # So many parameters because each is a flag
    def __init__(self, rec, idx, batch_size, train, size=224, crop_ratio=0.875, mean=None, std=None,
                 num_workers=4, protocol="gluoncv", rank=0, world_size=1):
        super().__init__(rec, idx, batch_size, train, rank, world_size, crop=size if train else None)
        if not train and world_size > 1:
            protocol, self.batch_size = "exact", min(batch_size, len(self.shard))
        self.protocol = protocol
        self._first_epoch, self._passes = None, 0      # complete passes
        if train:
            self._open(mean, std, num_workers, data_shape=(3, size, size), shuffle=True, rand_mirror=True,
                       random_resized_crop=True, max_aspect_ratio=4 / 3, min_aspect_ratio=3 / 4,
                       max_random_area=1, min_random_area=0.08, brightness=JITTER, saturation=JITTER,
                       contrast=JITTER, pca_noise=PCA_STD)
            return
        if protocol == "gluoncv" and self.records < batch_size:
            raise UserError(f"{rec}: {self.records} validation images, less than a batch of {batch_size}: "
                            f"under --val-protocol gluoncv some passes would be empty; give --val-protocol "
                            f"exact")
        # round_batch fills the last batch from the start of the file and lets the next pass begin after these
        # images
        self._open(mean, std, num_workers, data_shape=(3, size, size), shuffle=False,
                   resize=ImagenetTestTransform(size, crop_ratio).resize, round_batch=protocol == "gluoncv")

    @property
    def _wraps(self):
        return self.train and self.shard.world_size == 1

    def batches_in(self, epoch):
        """Batches of a training epoch; passes are counted from the epoch that this iterator began with."""
        if not self._wraps:
            return self.batches_per_epoch
        done = epoch - (self._first_epoch or 0)
        before, after = (batches_before(passes, self.records, self.batch_size) for passes in (done, done + 1))
        return after - before

    def epoch(self, epoch, start=0):
        """The batches of the iterator's next pass."""
        if start >= self.batches_per_epoch:        # resumed between an epoch's training and its validation
            return
        refuse_inside_epoch(start)
        if self._first_epoch is None:
            self._first_epoch = epoch
        else:  # not before the first: reading ahead may have overrun the end of few records
            self._iter.reset()
        seen, equal = 0, self.train and not self._wraps
        while not equal or seen < self.batches_per_epoch * self.batch_size:
            try:
                batch = self._next_around() if equal else self._iter.next()
            except StopIteration:
                self._end_pass(seen)
                return
            except mx.MXNetError as error:
                raise UserError(f"{self.rec}: MXNet's iterator met a record that it cannot read "
                                f"({_cause(error)}); use --data-backend ours --on-bad-record skip") from error
            batch = self._batch(batch, seen, exact=self.protocol == "exact" and not self.train)
            if not len(batch.data):
                return
            seen += len(batch.data)
            yield batch

    def _end_pass(self, seen):
        """Warn if MXNet's window is not the one that the published errors were counted over."""
        self._passes += 1
        expected = samples_in_pass(self._passes, self.records, self.batch_size)
        if not self.train and self.protocol == "gluoncv" and seen != expected:
            logging.warning(f"validation pass {self._passes} had {seen} samples, MXNet's sliding window has "
                            f"{expected}")
