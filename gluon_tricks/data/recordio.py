"""RecordIO files, as MXNet reads and writes them.

A `.rec` file is a sequence of chunks, each `magic (4 bytes) | flag and length (4 bytes) | payload | zeros up
to 4 bytes`. A payload with the magic number at an aligned place is cut there into several chunks (flags 1, 2,
3), which happens about eight times in ImageNet; the reader joins them again. An image record's payload is
MXNet's `IRHeader` (flag, label, id, id2) and the encoded image. The `.idx` next to it has a line
`key<TAB>offset` per record.

Reading uses `os.pread`, so any number of threads or forked processes can share one reader. Damage is reported
with file, key and offset, where MXNet's own reader would abort or return garbage.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gluon_tricks.errors import UserError

MAGIC = 0xCED7230A
_CHUNK = struct.Struct("<II")
_IMAGE_HEADER = struct.Struct("<IfQQ")
CHUNK_BYTES, IMAGE_HEADER_BYTES = _CHUNK.size, _IMAGE_HEADER.size
_WHOLE, _FIRST, _MIDDLE, _LAST = 0, 1, 2, 3
_MOST_CHUNK_BYTES = (1 << 29) - 1
# The first bytes of an image record that lies in one chunk: chunk header, image header, and the label that
# follows the image header if `flag` is 1
HEAD = np.dtype([("magic", "<u4"), ("word", "<u4"), ("flag", "<u4"), ("label", "<f4"), ("key", "<u8"),
                 ("key2", "<u8"), ("first", "<f4")])


def frame(payload):
    """A payload as a record of a `.rec` file, byte for byte as MXNet's writer makes it.

    For code that cannot use MXNet's writer, which neither appends to a file nor returns what it wrote.
    """
    if len(payload) > _MOST_CHUNK_BYTES:
        raise ValueError(f"{len(payload)} bytes are too many for a record, which holds at most "
                         f"{_MOST_CHUNK_BYTES}")
    words = np.frombuffer(payload, "<u4", len(payload) // 4)
    cuts = (4 * np.flatnonzero(words == MAGIC)).tolist()
    starts, ends = [0, *(cut + 4 for cut in cuts)], [*cuts, len(payload)]
    flags = [_FIRST, *[_MIDDLE] * (len(cuts) - 1), _LAST] if cuts else [_WHOLE]
    pieces = []
    for flag, start, end in zip(flags, starts, ends):
        pieces += [_CHUNK.pack(MAGIC, flag << 29 | end - start), payload[start:end]]
    return b"".join([*pieces, bytes(-len(payload) % 4)])


def read_frames(stream):
    """`(payload, offset)` of each record in a binary file, up to the first damaged or incomplete one.

    For files whose index is not written yet; `RecordReader` reads finished ones.
    """
    parts, offset = [], stream.tell()
    while len(head := stream.read(_CHUNK.size)) == _CHUNK.size:
        magic, word = _CHUNK.unpack(head)
        flag, length = word >> 29, word & _MOST_CHUNK_BYTES
        padded = stream.read((length + 3) // 4 * 4)
        if magic != MAGIC or flag not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)) or \
                len(padded) < (length + 3) // 4 * 4 or any(padded[length:]):
            return
        parts.append(padded[:length])
        if flag in (_WHOLE, _LAST):
            yield MAGIC.to_bytes(4, "little").join(parts), offset
            parts, offset = [], stream.tell()


def image_payload(key, label, image):
    """The payload of an image record with one label."""
    return _IMAGE_HEADER.pack(0, label, key, 0) + image


def key_and_label(payload):
    """Key and label of an image record with one label."""
    _, label, key, _ = _IMAGE_HEADER.unpack_from(payload)
    return key, label


class Chunk(NamedTuple):
    """The header of a chunk, and where the chunk ends."""
    magic: int
    flag: int
    length: int
    end: int


def chunk_at(handle, offset):
    """The `Chunk` at an offset of an open file, or None if the file ends inside its header."""
    head = os.pread(handle, _CHUNK.size, offset)
    if len(head) < _CHUNK.size:
        return None
    magic, word = _CHUNK.unpack(head)
    length = word & _MOST_CHUNK_BYTES
    return Chunk(magic, word >> 29, length, offset + _CHUNK.size + (length + 3) // 4 * 4)


class RecordReader:
    """Random access to a `.rec` file through its `.idx`.

    Parameters
    ----------
    rec_path : path
    idx_path : path, optional
        Default: next to it, under the same name.
    index : (keys, offsets), optional
        Two int64 arrays instead of an index file.

    Raises
    ------
    UserError
        If a file is missing, the index is malformed, or an offset points beyond the end of the file.
    """

    def __init__(self, rec_path, idx_path=None, index=None):
        self.path = Path(rec_path)
        self.idx_path = Path(idx_path) if idx_path else self.path.with_suffix(".idx")
        self.keys, self.offsets = index or read_index(self.idx_path, self.path)
        try:
            self._fd = os.open(self.path, os.O_RDONLY)
            os.pread(self._fd, 1, 0)                       # a folder can be opened, but not read
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror}); prepare it with "
                            f"data_prep") from error
        status = os.fstat(self._fd)
        self.bytes, self.mtime_ns = status.st_size, status.st_mtime_ns
        beyond = np.flatnonzero(self.offsets >= self.bytes)
        if beyond.size:
            first = int(beyond[0])
            raise UserError(
                f"{self.path}: truncated: {self.bytes} bytes, but {beyond.size} records begin beyond its "
                f"end, the first with key {self.keys[first]} at offset {self.offsets[first]}; prepare it "
                f"again")

    def __len__(self):
        return len(self.keys)

    def __del__(self):
        if getattr(self, "_fd", None) is not None:
            os.close(self._fd)

    def read(self, position):
        """Payload of the record at `position` in the index, as bytes."""
        return self.payload_and_end(position)[0]

    def payload_and_end(self, position):
        """Payload of a record, and the offset behind it."""
        offset = int(self.offsets[position])
        parts, expected = [], (_WHOLE, _FIRST)
        while True:
            chunk = chunk_at(self._fd, offset)
            if chunk is None:
                raise self._damage(position, offset, "the file ends inside the record")
            if chunk.magic != MAGIC or chunk.flag not in expected:
                raise self._damage(position, offset, "no record begins there")
            # checked before it is read: a wrong length would reserve up to 512 MB
            if offset + _CHUNK.size + chunk.length > self.bytes:
                raise self._damage(position, offset, "the file ends inside the record")
            payload = os.pread(self._fd, chunk.length, offset + _CHUNK.size)
            if len(payload) < chunk.length:
                raise self._damage(position, offset, "the file became shorter")
            parts.append(payload)
            if chunk.flag in (_WHOLE, _LAST):
                # the cut-out magic numbers go back in
                return MAGIC.to_bytes(4, "little").join(parts), chunk.end
            expected = (_MIDDLE, _LAST)
            offset = chunk.end

    def bytes_at(self, offset, count):
        """`count` bytes of the file, fewer at its end."""
        return os.pread(self._fd, count, offset)

    def heads(self, start, stop):
        """The first bytes of the records at these positions: an array of `HEAD`, 0 beyond the file's end."""
        heads = [self.bytes_at(offset, HEAD.itemsize) for offset in self.offsets[start:stop].tolist()]
        return np.frombuffer(b"".join(head.ljust(HEAD.itemsize, b"\0") for head in heads), HEAD)

    def read_image(self, position):
        """`(label, encoded image bytes, id, id2)` of a record; several labels come as a float32 array."""
        payload = self.read(position)
        if len(payload) < _IMAGE_HEADER.size:
            raise self._damage(position, int(self.offsets[position]),
                               f"{len(payload)} bytes are no image record")
        flag, label, key, key2 = _IMAGE_HEADER.unpack_from(payload)
        image_start = _IMAGE_HEADER.size + 4 * flag
        if flag > 0:                      # MXNet stores `flag` labels after the header
            if len(payload) < image_start:
                raise self._damage(position, int(self.offsets[position]),
                                   f"{len(payload)} bytes cannot hold {flag} labels")
            label = np.frombuffer(payload, "<f4", flag, _IMAGE_HEADER.size)
        return label, payload[image_start:], key, key2

    def describe(self, position):
        """`FILE, key K, offset O`: a record's name in messages."""
        return f"{self.path}, key {self.keys[position]}, offset {self.offsets[position]}"

    def _damage(self, position, offset, what):
        return UserError(f"{self.describe(position)}: {what} (at byte {offset} of {self.bytes}); prepare "
                         f"the file again")


def read_index(idx_path, rec_path=None):
    """Keys and offsets of an `.idx` file, two int64 arrays in the file's order.

    Errors name the command that makes the index again, from `rec_path`.
    """
    idx_path = Path(idx_path)
    remedy = rebuild_command(rec_path or idx_path.with_suffix(".rec"), idx_path)
    try:
        text = idx_path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"{idx_path}: cannot be read ({reason}); each .rec needs an .idx: "
                        f"{remedy}") from error
    keys, offsets = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            key, offset = (int(field) for field in line.split("\t"))
            if not (0 <= key < 1 << 63 and 0 <= offset < 1 << 63):
                raise ValueError
            keys.append(key)
            offsets.append(offset)
        except ValueError:
            raise UserError(f"{idx_path}, line {number}: {line[:80]!r} is not 'key<TAB>offset'; make it "
                            f"again: {remedy}") from None
    if not keys:
        raise UserError(f"{idx_path}: holds no record; make it again: {remedy}")
    return np.array(keys, np.int64), np.array(offsets, np.int64)


def rebuild_command(rec_path, idx_path):
    """The command that makes an index from its record file."""
    overwrite = " --overwrite" if Path(idx_path).exists() else ""
    return f"python -m gluon_tricks records {rec_path} --index {idx_path}{overwrite}"


def write_image_records(rec_path, idx_path, records):
    """Write image records with MXNet's own writer.

    Parameters
    ----------
    rec_path, idx_path : path
    records : iterable of (key, label, id2, image bytes)
        `label` is one class index; `id2` is free (CIFAR-100 keeps the coarse label there).

    Yields
    ------
    (key, label, payload bytes) after each record is written.
    """
    from mxnet import recordio

    writer = recordio.MXIndexedRecordIO(str(idx_path), str(rec_path), "w")
    try:
        for key, label, id2, image in records:
            payload = recordio.pack(recordio.IRHeader(0, float(label), key, id2), image)
            writer.write_idx(key, payload)
            yield key, label, payload
    finally:
        writer.close()
