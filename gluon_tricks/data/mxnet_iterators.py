"""MXNet's ImageRecordIter behind this kit's loader interface: the path that made the published logs."""

import logging

import mxnet as mx
import numpy as np

from gluon_tricks.data.augment import CIFAR_MEAN, CIFAR_STD, PAD
from gluon_tricks.data.imagenet_augment import JITTER, PCA_STD, ImagenetTestTransform
from gluon_tricks.data.loaders import Batch, EqualEpochs
from gluon_tricks.data.recordio import read_index
from gluon_tricks.data.val_window import batches_before, samples_in_pass
from gluon_tricks.errors import UserError

CIFAR_BACKENDS = ("ours", "mxnet")


class ImageNetRecordIter:
    """MXNet's `ImageRecordIter` with GluonCV's settings: the path that made the published logs, unchanged.

    The iterator is not rewound after a pass that ended in a filled-up batch, so passes over N images in batches of B
    differ by one in length: training epochs do, and validation sees a sliding window (`data/val_window.py`).
    `protocol="exact"` counts every validation image once instead. Several processes have a `Shard` each, exact validation,
    and training epochs of equally many batches; every process draws the same crops and colours one after the other, for
    MXNet seeds those by decoding thread.
    """

    resumes_anywhere = False

    def __init__(self, rec, idx, batch_size, train, size=224, crop_ratio=0.875, mean=None, std=None, num_workers=4,
                 protocol="gluoncv", rank=0, world_size=1):
        self.records = len(read_index(idx)[0])
        self.shard, self.world_size = Shard(self.records, rank, world_size), world_size
        if not train and world_size > 1:
            protocol, batch_size = "exact", min(batch_size, len(self.shard))
        self.batch_size, self.train, self.protocol = batch_size, train, protocol
        self.batches_per_epoch = self.shard.batches_per_epoch(batch_size, train)
        if not train and protocol == "gluoncv" and self.records < batch_size:
            raise UserError(f"{rec}: {self.records} validation images, less than a batch of {batch_size}: under "
                            f"--val-protocol gluoncv some passes would be empty; give --val-protocol exact")
        self._first_epoch, self._passes = None, 0      # complete passes
        common = {"path_imgrec": str(rec), "path_imgidx": str(idx), "preprocess_threads": max(1, num_workers),
                  "batch_size": batch_size, "data_shape": (3, size, size), "verbose": False, "device_id": -1,
                  "num_parts": world_size, "part_index": rank,
                  **dict(zip(("mean_r", "mean_g", "mean_b"), mean)), **dict(zip(("std_r", "std_g", "std_b"), std))}
        if train:
            common.update(shuffle=True, rand_mirror=True, random_resized_crop=True, max_aspect_ratio=4 / 3,
                          min_aspect_ratio=3 / 4, max_random_area=1, min_random_area=0.08, brightness=JITTER,
                          saturation=JITTER, contrast=JITTER, pca_noise=PCA_STD)
        else:
            # round_batch fills the last batch from the start of the file and lets the next pass begin behind that
            common.update(shuffle=False, resize=ImagenetTestTransform(size, crop_ratio).resize,
                          round_batch=protocol == "gluoncv")
        try:
            self._iter = mx.io.ImageRecordIter(**common)
        except mx.MXNetError as error:
            raise UserError(f"{rec}: MXNet's iterator cannot read it ({str(error).splitlines()[-1]}); check it with "
                            f"python -m data_prep.verify") from error

    def batches_in(self, epoch):
        """Batches of a training epoch; passes are counted from the epoch that this iterator began with."""
        if not self._wraps:
            return self.batches_per_epoch
        done = epoch - (self._first_epoch or 0)
        return batches_before(done + 1, self.records, self.batch_size) - batches_before(done, self.records, self.batch_size)

    @property
    def _wraps(self):
        return self.train and self.world_size == 1

    def epoch(self, epoch, start=0):
        if start >= self.batches_per_epoch:        # resumed between an epoch's training and its validation
            return
        if start:
            raise UserError(f"--data-backend mxnet: MXNet's iterator cannot go on at batch {start} of an epoch; "
                            f"resume at an epoch's start, or use --data-backend ours")
        if self._first_epoch is None:
            self._first_epoch = epoch
        else:                          # not before the first: reading ahead may have overrun the end of few records
            self._iter.reset()
        seen, equal = 0, self.train and not self._wraps
        while not equal or seen < self.batches_per_epoch * self.batch_size:
            try:
                batch = next_around(self._iter) if equal else self._iter.next()
            except StopIteration:
                self._end_pass(seen)
                return
            except mx.MXNetError as error:
                raise UserError(f"MXNet's iterator met a record that does not decode "
                                f"({str(error).splitlines()[-1]}); find it with python -m data_prep.verify, or use "
                                f"--data-backend ours --on-bad-record skip") from error
            valid, positions = self.batch_size, None
            if self.protocol == "exact" and not self.train:
                positions = self.shard.positions(seen, seen + valid)
                valid = len(positions)
            if not valid:
                return
            seen += valid
            yield Batch(batch.data[0][:valid].copy(), batch.label[0][:valid].copy(), positions)

    def _end_pass(self, seen):
        """Warn if MXNet's window is not the one that the published errors were counted over."""
        self._passes += 1
        expected = samples_in_pass(self._passes, self.records, self.batch_size)
        if not self.train and self.protocol == "gluoncv" and seen != expected:
            logging.warning(f"validation pass {self._passes} had {seen} samples, MXNet's sliding window has {expected}")


class MXNetLoader(EqualEpochs):
    """`ImageRecordIter` as the original recipes use it, for CIFAR-sized records.

    Order depends on `seed`; crops and flips come from generators of MXNet's decoding threads that ignore it and start
    afresh in every process, so a resumed run is not bit-equal and can only go on at the start of an epoch.

    Parameters
    ----------
    rec_path : path
        The index lies beside it.
    records : int
        Number of records in it; MXNet does not say.
    train : bool
        Pad, crop, mirror and shuffle; whole batches only. Otherwise every record once, in order.
    rank, world_size : int
        This process has the `Shard` of that number, in every epoch.
    """

    resumes_anywhere = False

    def __init__(self, rec_path, records, batch_size, train, seed=0, num_workers=2, shape=(3, 32, 32), rank=0, world_size=1):
        self.records, self.batch_size, self.train = records, batch_size, train
        self.shard = Shard(records, rank, world_size)
        self.batches_per_epoch = self.shard.batches_per_epoch(batch_size, train)
        mean, std = ([255 * x for x in values] for values in (CIFAR_MEAN, CIFAR_STD))
        augmentation = dict(rand_crop=True, rand_mirror=True, pad=PAD, fill_value=0, shuffle=True) if train else {}
        self._iter = mx.io.ImageRecordIter(
            path_imgrec=str(rec_path), path_imgidx=str(rec_path.with_suffix(".idx")), data_shape=shape,
            batch_size=batch_size, preprocess_threads=max(1, num_workers), seed=seed, verbose=False, device_id=-1,
            num_parts=world_size, part_index=rank,
            # MXNet fills the last batch up from the front and starts the next pass behind that. Training keeps it so:
            # a pass then never runs out before the last whole batch. Evaluation wants every record once.
            round_batch=train,
            **dict(zip(("mean_r", "mean_g", "mean_b"), mean)), **dict(zip(("std_r", "std_g", "std_b"), std)),
            **augmentation)

    def epoch(self, epoch, start=0):
        """The batches of the iterator's next pass; `epoch` is not looked at."""
        if start:
            raise UserError(f"--data-backend mxnet: MXNet's iterator cannot go on at batch {start} of an epoch; "
                            f"resume at an epoch's start, or use --data-backend ours")
        self._iter.reset()
        for number in range(self.batches_per_epoch):
            batch = next_around(self._iter) if self.train else self._iter.next()
            start, stop = number * self.batch_size, (number + 1) * self.batch_size
            positions = None if self.train else self.shard.positions(start, stop)
            valid = self.batch_size if self.train else len(positions)      # batch.pad cannot be trusted
            # copies: the iterator reuses its buffers
            yield Batch(batch.data[0][:valid].copy(), batch.label[0][:valid].copy(), positions)


def next_around(iterator):
    """The next batch; after the last one the first of another pass, for a short shard must take as many steps as others."""
    try:
        return iterator.next()
    except StopIteration:
        iterator.reset()
        return iterator.next()


class Shard:
    """The contiguous block of records that MXNet's iterators read with `num_parts=world_size, part_index=rank`.

    It never changes, so a process sees the same images in every epoch; the last block may be short.
    """

    def __init__(self, records, rank, world_size):
        block = -(-records // world_size)
        self.start = min(rank * block, records)
        self.stop = min(self.start + block, records)
        self._records, self._world_size = records, world_size
        if self.start == self.stop:
            raise UserError(f"--data-backend mxnet: {records} records are too few for {world_size} processes; use "
                            f"--data-backend ours, or fewer processes")

    def __len__(self):
        return self.stop - self.start

    def batches_per_epoch(self, batch_size, train):
        """Whole batches, equally many on every process; or as many as this block needs."""
        return self._records // (batch_size * self._world_size) if train else -(-len(self) // batch_size)

    def positions(self, start, stop):
        """Positions in the file of records `start` to `stop` of the block: int64, shape (at most stop - start,)."""
        return np.arange(self.start + start, min(self.start + stop, self.stop))
