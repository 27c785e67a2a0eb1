"""`.params` files of MXNet and GluonCV, read and written without MXNet.

    magic 0x112 (8 bytes) | 0 (8) | number of arrays (8) | arrays | number of names (8) | names
    array:  magic (4) | storage (4) | dimensions (4) | sizes (8 each) | device (8) | type (4) | values
    name:   length (8) | UTF-8

This is version 2 of an array, and 3 (NumPy semantics); version 1 has no storage, and the oldest begins with
the dimensions and has sizes of 4 bytes. MXNet's own reader believes sizes and counts: one wrong bit in a
shape makes it reserve any amount of memory. Here everything is compared with the file's length first, and
arrays are views of the mapped file.

Our files are those of MXNet, byte for byte, and one line more, which MXNet does not read: `sha256` and the
hash of what stands before it (`files.trailer`). It shows damage that the format itself cannot show, within
the values.
"""

import math
import struct

import numpy as np

from gluon_tricks.files import atomic_write, check_trailer, parse_mapped, trailer
from gluon_tricks.models.stored import BFLOAT16, Damaged, Stored

LIST_MAGIC, V1, V2, V3 = 0x112, 0xF993FAC8, 0xF993FAC9, 0xF993FACA
TYPES = (*map(np.dtype, ("f4", "f8", "f2", "u1", "i4", "i1", "i8", "?", "i2", "u2", "u4", "u8")), BFLOAT16)
MOST_DIMENSIONS = 32
DEVICES = (1, 2, 3, 5)           # CPU, GPU, pinned and shared memory; where the array was does not matter


# --- Reading ------------------------------------------------------------------------------------------------

class _Cursor:
    """A place in bytes that moves on with each reading."""

    def __init__(self, content):
        self.content, self.at = content, 0

    def take(self, layout, what):
        """The numbers of a little-endian `struct` layout."""
        layout = struct.Struct(f"<{layout}")
        return layout.unpack_from(self.content, self.skip(layout.size, what))

    def skip(self, size, what):
        """Pass over `size` bytes, which must be there; returns where they begin."""
        start = self.at
        if size > len(self.content) - start:
            raise Damaged(f"{what}: needs {size} bytes at byte {start}, the file has {len(self.content)}")
        self.at += size
        return start


def read_params(what, path):
    """The arrays of a `.params` file.

    Parameters
    ----------
    what : str
        The flag that names the file, for messages.

    Returns
    -------
    dict of name -> array
        Views of the mapped file, not writable; bfloat16 as float32.

    Raises
    ------
    UserError
        If it is missing, damaged, or its arrays have no names.
    """
    content, stored = parse_mapped(what, path, named_arrays, "parameter",
                                   "give a whole file of net.save_parameters")
    return {name: one.array(content) for name, one in stored.items()}


def named_arrays(content):
    """{name: `Stored`} of a file's bytes. Raises `Damaged`."""
    cursor = _Cursor(content)
    magic, _, count = cursor.take("QQQ", "the header")
    if magic != LIST_MAGIC:
        raise Damaged("it does not begin as MXNet's files do")
    arrays = []
    while len(arrays) < count:                     # a wrong count ends at the end of the file
        arrays.append(read_array(cursor, f"array {len(arrays) + 1} of {count}"))
    names = {}
    number, = cursor.take("Q", "the number of names")
    if number != count:
        raise Damaged(f"it has {count} arrays and {number} names")
    for one in arrays:
        length, = cursor.take("Q", "a name")
        start = cursor.skip(length, "a name")
        try:
            name = bytes(content[start:start + length]).decode()
        except UnicodeDecodeError:
            raise Damaged(f"the name at byte {start} is no text") from None
        if not name.isprintable() or name in names:
            raise Damaged(f"the name {name!r} at byte {start} stands there twice or is no name")
        names[name] = one
    if not names:
        raise Damaged("it has no arrays")
    check_trailer(content, cursor.at)
    return names


def single_array(content):
    """The array in the bytes of one array, as `.states` files hold it. Raises `Damaged`."""
    cursor = _Cursor(content)
    stored = read_array(cursor, "an array")
    if cursor.at != len(content):
        raise Damaged(f"{len(content) - cursor.at} bytes follow an array")
    return stored.array(content)


def read_array(cursor, what):
    """The `Stored` array at the cursor, which moves behind its values. Raises `Damaged`."""
    magic, = cursor.take("I", what)
    if magic in (V2, V3):
        storage, = cursor.take("i", what)
        if storage != 0:
            raise Damaged(f"{what}: is sparse, and parameters are not")
    if magic in (V1, V2, V3):
        dimensions, size = cursor.take("i", what)[0], "q"
    else:
        dimensions, size = magic, "I"
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise Damaged(f"{what}: has {dimensions} dimensions")
    shape = cursor.take(f"{dimensions}{size}", what)
    if min(shape) < 1:
        raise Damaged(f"{what}: has the shape {shape}")
    device, _, kind = cursor.take("iii", what)
    if device not in DEVICES or not 0 <= kind < len(TYPES):
        raise Damaged(f"{what}: has device {device} and type {kind}")
    return Stored(shape, TYPES[kind], cursor.skip(math.prod(shape) * TYPES[kind].itemsize, what))


# --- Writing ------------------------------------------------------------------------------------------------

def write_params(path, arrays):
    """Write NumPy arrays by name as a `.params` file, read it back, and give it its name.

    Raises
    ------
    OSError
        If it cannot be written whole; an earlier file keeps its content.
    """
    pieces = list(params_pieces(arrays))
    atomic_write(path, [*pieces, trailer(pieces)])


def params_pieces(arrays):
    """Yield the bytes of MXNet's file with these arrays, piece by piece."""
    yield struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays))
    for value in arrays.values():
        value = np.ascontiguousarray(value)
        yield struct.pack(f"<Iii{value.ndim}qiii", V2, 0, value.ndim, *value.shape, 1, 0,
                          TYPES.index(value.dtype))
        yield value.reshape(-1).view(np.uint8).data
    yield struct.pack("<Q", len(arrays))
    for name in arrays:
        encoded = name.encode()
        yield struct.pack("<Q", len(encoded)) + encoded
