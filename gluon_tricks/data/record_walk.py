"""The places of the records in a `.rec` file, found without its index, also behind damaged ones.

A writer cuts a payload wherever it has the magic number at an aligned place. So in an undamaged file every
magic number at an offset that is a multiple of 4 begins a chunk, and the next record behind damage is found
by a search for it.
"""

import os
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.data.recordio import MAGIC, chunk_at
from gluon_tricks.errors import UserError

_WHOLE, _FIRST, _MIDDLE, _LAST = 0, 1, 2, 3
_MAGIC_BYTES = MAGIC.to_bytes(4, "little")
_BLOCK = 1 << 20                   # bytes per read of the search; a multiple of 4


class Place(NamedTuple):
    """A record, or bytes between records that are none."""
    start: int
    end: int
    damage: str                    # "" for a record


def walk(rec_path):
    """Yield the `Place`s of a `.rec` file in its order; together they cover the file.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    path = Path(rec_path)
    try:
        handle = os.open(path, os.O_RDONLY)
        size = os.fstat(handle).st_size
        os.pread(handle, 1, 0)                             # a folder can be opened, but not read
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        offset = 0
        while offset < size:
            end, damage = _record_at(handle, offset, size)
            if damage:
                end = _next_record(handle, offset + 4, size)
            yield Place(offset, end, damage)
            offset = end
    finally:
        os.close(handle)


def _record_at(handle, offset, size):
    """`(end, "")` of the record at an offset, or `(offset, what is wrong)`."""
    expected = (_WHOLE, _FIRST)
    while True:
        chunk = chunk_at(handle, offset)
        if chunk is None or chunk.end > size:
            return offset, "the file ends inside the record"
        if chunk.magic != MAGIC or chunk.flag not in expected:
            return offset, "no record begins there"
        offset = chunk.end
        if chunk.flag in (_WHOLE, _LAST):
            return offset, ""
        expected = (_MIDDLE, _LAST)


def _next_record(handle, offset, size):
    """Offset of the first whole record at or behind `offset`, or the file's size."""
    while offset < size:
        block = os.pread(handle, _BLOCK + len(_MAGIC_BYTES) - 1, offset)
        at = block.find(_MAGIC_BYTES)
        while at >= 0:
            if (offset + at) % 4 == 0 and not _record_at(handle, offset + at, size)[1]:
                return offset + at
            at = block.find(_MAGIC_BYTES, at + 1)
        offset += _BLOCK
    return size
