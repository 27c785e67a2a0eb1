"""What a record file holds, found in one pass before a run: its labels, and the form and size of its images.

Labels stand in the first 36 bytes of a record, so `scan_labels` needs seconds for the 1.3 million records of
ImageNet and decodes nothing. `scan_images` reads every record whole: header, and the first rows of the image,
as the training reader (`photographs.Photograph`) would; of other formats than baseline JPEG all rows. MXNet's
iterator needs this, because a record that it cannot decode can end its process without a word.

Results are lists and texts only, so that `data/scan_memory.py` can keep them in a file.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from gluon_tricks.data.encoded import Undecodable
from gluon_tricks.data.photographs import Photograph
from gluon_tricks.data.recordio import CHUNK_BYTES, IMAGE_HEADER_BYTES, MAGIC
from gluon_tricks.errors import UserError

_LABELS_BLOCK, _IMAGES_BLOCK, _THREADS = 1 << 14, 1 << 8, 8
_BEGINNINGS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP", b"II*\0": "TIFF",
               b"MM\0*": "TIFF", b"GIF8": "GIF", b"RIFF": "WebP", b"\0\0\0\x0cjP  ": "JPEG 2000"}
_EXACT = 1 << 24                      # below it float32 holds every whole number


class Labels(NamedTuple):
    """The labels of a record file. A position is that in the index.

    Attributes
    ----------
    records : int
    table : list of [label, records, position of the first]
        Of the whole labels, in rising order.
    unusable, several : [records, position of the first, its label or number of labels] or None
        Records whose label is no whole number that float32 holds exactly, and those with several labels.
    damaged : list of [position, sentence]
        Records that cannot be read.
    uncovered : int
        Bytes of the file that belong to no record of the index.
    """
    records: int
    table: list
    unusable: list
    several: list
    damaged: list
    uncovered: int

    @property
    def counts(self):
        """{label: records} of the whole labels."""
        return {label: records for label, records, _ in self.table}


class Images(NamedTuple):
    """The encoded images of a record file; sizes in pixels, turned as EXIF says.

    Attributes
    ----------
    formats, squares : list of [name or side, records, position of the first]
        `squares` are images as high as wide.
    smallest : [pixels, position] or None
        The image with the fewest pixels.
    heights, widths : [least, most] or None
    damaged : list of [position, sentence]
        Records that cannot be read, or whose image does not decode.
    """
    formats: list
    squares: list
    smallest: list
    heights: list
    widths: list
    damaged: list


# --- labels -------------------------------------------------------------------------------------------------

def scan_labels(reader):
    """The `Labels` of a `RecordReader`'s file, from the records' headers."""
    with ThreadPoolExecutor(_THREADS) as pool:             # a disk answers several reads at once
        parts = list(pool.map(lambda start: _labels_of_block(reader, start),
                              range(0, len(reader), _LABELS_BLOCK)))
    numbers, ends, labels = (np.concatenate(arrays) for arrays in list(zip(*parts))[:3])
    damaged = [each for part in parts for each in part[3]]
    readable = np.ones(len(reader), bool)
    readable[[position for position, _ in damaged]] = False
    single = readable & (numbers == 1)
    whole = single & (np.abs(labels) < _EXACT) & (labels == np.floor(labels))
    offsets, unique = np.unique(reader.offsets, return_index=True)
    return Labels(len(reader), _counted(np.where(whole, labels, 0).astype(int), whole),
                  _first(single & ~whole, labels), _first(readable & ~single, numbers), damaged,
                  reader.bytes - int((ends[unique] - offsets).sum()))


def _labels_of_block(reader, start):
    """`(number of labels, end, label, damaged)` of a block of records; the first three are arrays."""
    heads = reader.heads(start, start + _LABELS_BLOCK)
    lengths = (heads["word"] & (1 << 29) - 1).astype(np.int64)
    ends = reader.offsets[start:start + len(heads)] + CHUNK_BYTES + (lengths + 3) // 4 * 4
    flags = heads["flag"].astype(np.int64)
    # in one chunk, which lies in the file and has space for the image header and the labels
    plain = (heads["magic"] == MAGIC) & (heads["word"] >> 29 == 0) & (ends <= reader.bytes) \
        & (lengths >= IMAGE_HEADER_BYTES + 4 * flags)
    numbers = np.where(flags == 0, 1, flags)
    labels = np.where(flags == 1, heads["first"], heads["label"])
    damaged = []
    for at in np.flatnonzero(~plain).tolist():
        try:
            ends[at] = reader.offsets[start + at]          # if it cannot be read
            _, ends[at] = reader.payload_and_end(start + at)
            label, _, _, _ = reader.read_image(start + at)
            numbers[at], labels[at] = np.size(label), np.ravel(label)[0]
        except UserError as damage:
            damaged.append([start + at, str(damage)])
    return numbers, ends, labels, damaged


def _first(mask, values):
    """`[records, position of the first, its value]` of the records in a mask, or None."""
    positions = np.flatnonzero(mask)
    return [len(positions), int(positions[0]), f"{values[positions[0]]:g}"] if len(positions) else None


def _counted(values, mask):
    """`[value, records, position of the first]` of each value in a mask."""
    found, first, records = np.unique(values[mask], return_index=True, return_counts=True)
    positions = np.flatnonzero(mask)[first]
    return [list(row) for row in zip(found.tolist(), records.tolist(), positions.tolist())]


# --- images -------------------------------------------------------------------------------------------------

def scan_images(reader):
    """The `Images` of a `RecordReader`'s file."""
    blocks = range(0, len(reader), _IMAGES_BLOCK)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        found = [image for block in pool.map(lambda start: _images_of_block(reader, start), blocks)
                 for image in block]
    damaged = [[position, damage] for position, (*_, damage) in enumerate(found) if damage]
    kinds, heights, widths = (np.array(column) for column in list(zip(*found))[:3])
    good = heights > 0
    pixels = np.where(good, heights * widths, np.iinfo(np.int64).max)
    if not good.any():
        return Images([], [], None, None, None, damaged)
    return Images(_counted(kinds, good), _counted(heights, good & (heights == widths)),
                  [int(pixels.min()), int(pixels.argmin())],
                  *([int(sides[good].min()), int(sides[good].max())] for sides in (heights, widths)), damaged)


def _images_of_block(reader, start):
    """`(format, height, width, what is wrong or "")` of each image of a block."""
    return [_image(reader, position) for position in range(start, min(start + _IMAGES_BLOCK, len(reader)))]


def _image(reader, position):
    try:
        _, encoded, _, _ = reader.read_image(position)
        photograph = Photograph(encoded)
        photograph.rows(1)                                 # its first rows decode
        return format_of(encoded), *photograph.shape, ""
    except Undecodable as damage:
        return "", 0, 0, f"{reader.describe(position)}: {damage}"
    except UserError as damage:
        return "", 0, 0, str(damage)


def format_of(encoded):
    """The name of an encoded image's format, by its first bytes."""
    return next((name for beginning, name in _BEGINNINGS.items() if encoded.startswith(beginning)),
                "another format")
