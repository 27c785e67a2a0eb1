"""Training and validation batches of ImageNet-like data: record files, class folders, or synthetic images."""

import logging
import math
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_tricks.data.imagenet_augment import JITTER, PCA_STD, ImagenetTestTransform, ImagenetTrainTransform
from gluon_tricks.data.loaders import Batch, EqualEpochs, RecordLoader, Shard, next_around
from gluon_tricks.data.manifest import NO_LABEL
from gluon_tricks.data.photographs import Decoded, Photograph, Undecodable
from gluon_tricks.data.recordio import RecordReader, read_index
from gluon_tricks.data.val_window import batches_before, samples_in_pass
from gluon_tricks.errors import UserError

# GluonCV normalises images from folders by these, 0.485 ... and 0.229 ... on the 0..1 scale
FOLDER_MEAN, FOLDER_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp")

# What stands for an image that does not decode where no other may take its place; no count includes that label
BLACK, LEFT_OUT = Decoded(np.zeros((1, 1, 3), np.uint8)), -1


class DamagedRecord(Exception):
    """A record that cannot be read from its file."""


class ImagenetData(NamedTuple):
    train: object
    val: object
    classes: int             # as the data have it; None where nothing says
    root_hash: str
    exact: object            # makes the validation loader that yields every image once


def whole(number, photograph):
    """What is taken of a photograph where nothing else is said: all its pixels."""
    return photograph.pixels()


class RecordImages:
    """Images of a record file, decoded when they are read.

    Parameters
    ----------
    rec_path : path
    on_bad_record : "fail", "skip" or "leave out"
        What a record that does not decode does: end the run with a sentence, or be named, counted, and either replaced by
        the next one that does or by a black image labelled `LEFT_OUT`.
    expected : int array, shape (records,), optional
        Labels as the manifest has them; a record that says otherwise ends the run. Only here may an image have none.
    """

    def __init__(self, rec_path, on_bad_record="fail", expected=None):
        self.reader, self.on_bad_record, self.expected = RecordReader(rec_path), on_bad_record, expected
        self.bad = {}

    def __len__(self):
        return len(self.reader)

    def read(self, positions, take=whole):
        """`take(n, photograph)` of the n-th position's `Photograph`, for each, as a list; and labels, shape (N,).

        A photograph decodes as far as `take` asks.
        """
        taken, labels = zip(*(self._one(int(position), number, take) for number, position in enumerate(positions)))
        return list(taken), np.array(labels, np.int64)

    def _one(self, position, number, take):
        for step in range(len(self)):
            here = (position + step) % len(self)
            try:
                label, encoded = self._record(here)
                return take(number, Photograph(encoded)), label
            except Undecodable as damage:
                what = f"{self.reader.describe(here)}: {damage}"
            except DamagedRecord as damage:
                what = str(damage)
            if self.on_bad_record == "fail":
                raise UserError(f"{what}; prepare the data again, or give --on-bad-record skip")
            if here not in self.bad:
                self.bad[here] = what
                logging.warning(f"{what}; skipped ({len(self.bad)} so far)")
            if self.on_bad_record == "leave out":
                return take(number, BLACK), LEFT_OUT
        raise UserError(f"{self.reader.path}: no record decodes")

    def _record(self, position):
        """Label and encoded image."""
        try:
            label, encoded, _, _ = self.reader.read_image(position)
        except UserError as damage:
            if self.on_bad_record == "fail":
                raise
            raise DamagedRecord(str(damage)) from damage
        unlabelled = self.expected is not None and self.expected[position] == NO_LABEL
        if np.ndim(label) or not (label >= 0 or unlabelled) or label != int(label):
            raise UserError(f"{self.reader.describe(position)}: label {label} is no class index")
        if self.expected is not None and label != self.expected[position]:
            raise UserError(f"{self.reader.describe(position)}: label {label:g}, manifest {self.expected[position]}; "
                            f"prepare the data again")
        return int(label), encoded

    def labels(self):
        """Labels of all records, read from their headers."""
        with ThreadPoolExecutor(4) as pool:
            return np.array(list(pool.map(lambda i: int(self.reader.read_image(i)[0]), range(len(self)))))


class FolderImages:
    """Images in class folders; labels are the folders' places in alphabetical order, as everywhere in GluonCV.

    Parameters
    ----------
    folder : path
    flag : str
        What an error names.
    on_bad_record : "fail" or "leave out"
        As in `RecordImages`.
    """

    def __init__(self, folder, flag="--data-dir", on_bad_record="fail"):
        folder, self.on_bad_record, self.bad = Path(folder).expanduser(), on_bad_record, {}
        self.classes = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
        self.files = [(path, label) for label, name in enumerate(self.classes)
                      for path in sorted((folder / name).iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES]
        if not self.files:
            raise UserError(f"{flag}: {folder} has no class folders with images (flat folders have no labels)")

    def __len__(self):
        return len(self.files)

    def read(self, positions, take=whole):
        """As in `RecordImages`."""
        taken, labels = zip(*(self._one(int(position), number, take) for number, position in enumerate(positions)))
        return list(taken), np.array(labels, np.int64)

    def _one(self, position, number, take):
        path, label = self.files[position]
        try:
            return take(number, Photograph(path.read_bytes())), label
        except Undecodable as damage:
            what = f"{path}: {damage}"
        if self.on_bad_record == "fail":
            raise UserError(what)
        if position not in self.bad:
            self.bad[position] = what
            logging.warning(f"{what}; skipped ({len(self.bad)} so far)")
        return take(number, BLACK), LEFT_OUT


class BatchMemory:
    """Memory for batches that is used again: fresh from the system, with its pages to be mapped and cleared, it took a tenth
    of the loader's time.
    """

    def __init__(self):
        self._spare = deque()

    def array(self, shape):
        """A float32 array with anything in it. Its memory comes back when nobody holds this array any more."""
        size = math.prod(shape)
        memory = self._spare.pop() if self._spare else np.empty(size, np.float32)
        if memory.size < size:
            memory = np.empty(size, np.float32)
        array = memory[:size].reshape(shape)
        weakref.finalize(array, self._spare.append, memory).atexit = False       # by MXNet's thread, if that was the last
        return array


class PhotographLoader(RecordLoader):
    """A `RecordLoader` of photographs: each goes from its bytes to its place in the batch in one go.

    `images` is a `RecordImages` or `FolderImages`, `transform` one of `imagenet_augment`.
    """

    def __init__(self, images, transform, *args, **options):
        super().__init__(images, transform, *args, **options)
        self._memory = BatchMemory()
        cv2.setNumThreads(1)                             # each worker has its own image; OpenCV would start more of them

    def _prepare(self, epoch, batch):
        positions, size = self.positions(epoch, batch), self.transform.size
        data = self._memory.array((len(positions), 3, size, size))

        def fill(number, photograph):
            self.transform.fill(data[number], photograph, int(positions[number]), epoch)

        _, labels = self.images.read(positions, fill)
        return data, labels, positions


class SyntheticLoader(EqualEpochs):
    """The same random batch again and again, another on each process: what the net does when data cost nothing."""

    resumes_anywhere = True

    def __init__(self, records, batch_size, size, classes, batches_per_epoch=None, rank=0, world_size=1):
        self.records, self.batch_size = records, batch_size
        self.batches_per_epoch = batches_per_epoch or records // (batch_size * world_size)
        rng = np.random.default_rng(rank)
        self._batch = Batch(nd.array(rng.normal(size=(batch_size, 3, size, size))),
                            nd.array(rng.integers(0, classes, batch_size)), rank * batch_size + np.arange(batch_size))

    def epoch(self, epoch, start=0):
        for _ in range(start, self.batches_per_epoch):
            yield self._batch


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


def record_loaders(train_rec, val_rec, batch_size, seed, size, crop_ratio, mean, std, num_workers, on_bad_record="fail",
                   law="rec", colors="gluoncv", auto_aug=False, rank=0, world_size=1):
    """This kit's own loaders over two record files."""
    train, val = RecordImages(train_rec, on_bad_record), RecordImages(val_rec, on_bad_record)
    share = {"num_workers": num_workers, "rank": rank, "world_size": world_size}
    augment = ImagenetTrainTransform(seed, size, mean, std, law, colors, auto_aug)
    central = ImagenetTestTransform(size, crop_ratio, mean, std, law)
    return (PhotographLoader(train, augment, batch_size, seed, **share),
            PhotographLoader(val, central, batch_size, None, "keep", **share))


def folder_loaders(data_dir, batch_size, seed, size, crop_ratio, num_workers, law="folder", colors="gluoncv",
                   auto_aug=False, rank=0, world_size=1):
    """This kit's loaders over `train/` and `val/` class folders, with GluonCV's folder law and normalisation."""
    train, val = (FolderImages(Path(data_dir).expanduser() / part) for part in ("train", "val"))
    if train.classes != val.classes:
        odd = sorted(set(train.classes).symmetric_difference(val.classes))[0]
        raise UserError(f"--data-dir {data_dir}: class {odd} is in only one of train/ and val/")
    mean, std = FOLDER_MEAN, FOLDER_STD
    share = {"num_workers": num_workers, "rank": rank, "world_size": world_size}
    augment = ImagenetTrainTransform(seed, size, mean, std, law, colors, auto_aug)
    central = ImagenetTestTransform(size, crop_ratio, mean, std, law)
    return (PhotographLoader(train, augment, batch_size, seed, **share),
            PhotographLoader(val, central, batch_size, None, "keep", **share),
            len(train.classes))
