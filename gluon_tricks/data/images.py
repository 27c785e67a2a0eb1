"""Images of record files and class folders, decoded and augmented image by image into batches."""

import logging
import math
import weakref
from collections import Counter, deque
from pathlib import Path

import cv2
import numpy as np

from gluon_tricks.data.encoded import Undecodable
from gluon_tricks.data.folders import NO_IMAGE, class_order, is_image, left_out_line, sorted_entries
from gluon_tricks.data.loaders import RecordLoader
from gluon_tricks.data.manifest import NO_LABEL
from gluon_tricks.data.photographs import Decoded, Photograph
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.errors import UserError

# Replaces an image that does not decode where no other image may; no count includes that label
BLACK, LEFT_OUT = Decoded(np.zeros((1, 1, 3), np.uint8)), -1


class DamagedRecord(Exception):
    """A record that cannot be read from its file."""


def whole(number, photograph):
    """All pixels of a photograph: the default of `read`."""
    return photograph.pixels()


class Images:
    """Images that are decoded when they are read.

    Parameters
    ----------
    on_bad_record : "fail", "skip" or "leave out"
        For an image that does not decode. "fail" ends the run with an error. The others log and count it;
        "skip" takes the next image that decodes, "leave out" a black image labelled `LEFT_OUT`.
    """

    left_out = ""                    # a line on files that are no part of the data; "" if there are none

    def __init__(self, on_bad_record):
        self.on_bad_record, self.bad = on_bad_record, {}      # position -> what is wrong

    def read(self, positions, take=whole):
        """`take(n, photograph)` for each position's `Photograph`, as a list; and labels, shape (N,).

        A photograph decodes as far as `take` asks.
        """
        taken, labels = zip(*(self._one(int(position), number, take) for number,
                              position in enumerate(positions)))
        return list(taken), np.array(labels, np.int64)

    def _skip(self, position, what):
        """Log a bad image once."""
        if position not in self.bad:
            self.bad[position] = what
            logging.warning(f"{what}; skipped ({len(self.bad)} so far)")


class RecordImages(Images):
    """Images of a record file.

    Parameters
    ----------
    records : RecordReader, or path of a record file with its index next to it
    on_bad_record : "fail", "skip" or "leave out"
        See `Images`.
    expected : int array, shape (records,), optional
        Labels of the manifest; a record with another label ends the run. Without it every image must have a
        label.
    """

    def __init__(self, records, on_bad_record="fail", expected=None):
        super().__init__(on_bad_record)
        self.reader = records if isinstance(records, RecordReader) else RecordReader(records)
        self.expected = expected

    def __len__(self):
        return len(self.reader)

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
            self._skip(here, what)
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
        if np.size(label) == 1:                            # also where a list of one label was packed
            label = np.ravel(label)[0]
        unlabelled = self.expected is not None and self.expected[position] == NO_LABEL
        if np.ndim(label) or not (label >= 0 or unlabelled) or label != int(label):
            raise UserError(f"{self.reader.describe(position)}: label {label} is no class index")
        if self.expected is not None and label != self.expected[position]:
            raise UserError(f"{self.reader.describe(position)}: label {label:g}, manifest "
                            f"{self.expected[position]}; prepare the data again")
        return int(label), encoded


class FolderImages(Images):
    """Images in class folders; the label is the folder's place in `class_order`.

    Hidden names and those of the system are left out (`is_hidden`).

    Parameters
    ----------
    folder : path
    flag : str
        The flag that errors name.
    on_bad_record : "fail" or "leave out"
        See `Images`.
    """

    def __init__(self, folder, flag="--data-dir", on_bad_record="fail"):
        super().__init__(on_bad_record)
        folder, left_out = Path(folder).expanduser(), []
        entries = sorted_entries(folder, left_out) if folder.is_dir() else []
        self.classes, self.files = class_order([entry.name for entry in entries if entry.is_dir()]), []
        for label, name in enumerate(self.classes):
            for path in sorted_entries(folder / name, left_out):
                if is_image(path.name):
                    self.files.append((path, label))
                else:
                    left_out.append((f"{name}/{path.name}", NO_IMAGE))
        left_out += [(entry.name, "outside the class folders") for entry in entries if not entry.is_dir()]
        self.left_out = left_out_line(folder, left_out)
        if not self.files:
            raise UserError(f"{flag}: {folder} has no class folders with images (flat folders have no "
                            f"labels)")

    def __len__(self):
        return len(self.files)

    def label_counts(self):
        """{label: images}, without classes that have none."""
        return dict(Counter(label for _, label in self.files))

    def _one(self, position, number, take):
        path, label = self.files[position]
        try:
            return take(number, Photograph(path.read_bytes())), label
        except Undecodable as damage:
            what = f"{path}: {damage}"
        if self.on_bad_record == "fail":
            raise UserError(what)
        self._skip(position, what)
        return take(number, BLACK), LEFT_OUT


class BatchMemory:
    """Reused memory for batches: mapping and clearing new memory took a tenth of the loader's time."""

    def __init__(self):
        self._spare = deque()

    def array(self, shape):
        """An uninitialised float32 array. Its memory is reused when nothing refers to the array any more."""
        size = math.prod(shape)
        memory = self._spare.pop() if self._spare else np.empty(size, np.float32)
        if memory.size < size:
            memory = np.empty(size, np.float32)
        array = memory[:size].reshape(shape)
        # by MXNet's thread, if that was the last
        weakref.finalize(array, self._spare.append, memory).atexit = False
        return array


class PhotographLoader(RecordLoader):
    """A `RecordLoader` of photographs: each is decoded and augmented directly into its place in the batch.

    `images` is a `RecordImages` or `FolderImages`, `transform` one of `imagenet_augment`.
    """

    def __init__(self, images, transform, *args, **options):
        super().__init__(images, transform, *args, **options)
        self.left_out = images.left_out
        self._memory = BatchMemory()
        cv2.setNumThreads(1)  # each worker has its own image; OpenCV would start more of them

    def _prepare(self, epoch, batch):
        positions = self.positions(epoch, batch)
        data = self._memory.array((len(positions), *self.transform.shape))

        def fill(number, photograph):
            self.transform.fill(data[number], photograph, int(positions[number]), epoch)

        _, labels = self.images.read(positions, fill)
        return data, labels, positions
