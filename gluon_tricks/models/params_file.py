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
import mmap
import struct
from typing import NamedTuple

import numpy as np

from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_write, check_trailer, open_file, trailer

LIST_MAGIC, V1, V2, V3 = 0x112, 0xF993FAC8, 0xF993FAC9, 0xF993FACA
BFLOAT16 = np.dtype([("bfloat16", np.uint16)])                   # MXNet's name for it
TYPES = (*map(np.dtype, ("f4", "f8", "f2", "u1", "i4", "i1", "i8", "?", "i2", "u2", "u4", "u8")), BFLOAT16)
FLOATS = ("float16", "float32", "float64")
MOST_DIMENSIONS = 32
DEVICES = (1, 2, 3, 5)           # CPU, GPU, pinned and shared memory; where the array was does not matter


class Damaged(ValueError):
    """A file is not what its format asks for; the message has the place."""


# --- Reading ------------------------------------------------------------------------------------------------

class Stored(NamedTuple):
    """The place of an array's values in a file."""
    shape: tuple
    dtype: np.dtype
    start: int

    def array(self, content):
        """The values: a view of `content`; bfloat16 as float32."""
        count = math.prod(self.shape)
        if self.dtype == BFLOAT16:
            halves = np.frombuffer(content, "<u2", count, self.start)
            return (halves.astype("<u4") << 16).view("<f4").reshape(self.shape)
        return np.frombuffer(content, self.dtype, count, self.start).reshape(self.shape)


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
    with open_file(f"{what} ", path) as stream:
        try:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            stored = named_arrays(content)
        except (ValueError, OSError) as error:             # an empty file cannot be mapped
            raise UserError(f"{what} {path}: is no parameter file, or a damaged one ({error}); give a whole "
                            "file of net.save_parameters") from error
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


# --- Names and nets -----------------------------------------------------------------------------------------

def structural_names(names, net, optional=()):
    """{name in a file: structural name}; names that the net does not have stay as they are.

    Of the structural names in `optional`, all or none may be missing in the file.

    `net.save_parameters` writes structural names (`features.0.weight`). `collect_params().save` writes
    Gluon's (`resnet0_conv0_weight`, or without the net's prefix), `export` those with `arg:` and `aux:`
    before them. The prefix has a number that counts the nets of the process that wrote it.
    """
    plain = {name: name.partition(":")[2] if name.startswith(("arg:", "aux:")) else name for name in names}
    own = {param.name.removeprefix(net.prefix): name
           for name, param in net._collect_params_with_prefix().items()}
    lacking = set(), {name for name, one in own.items() if one in optional}
    first = next(iter(plain.values()), "")
    for end in (0, *(i + 1 for i, letter in enumerate(first) if letter == "_")):
        inner = {name: one.removeprefix(first[:end]) for name, one in plain.items()}
        if set(own).difference(inner.values()) in lacking and own.keys() >= set(inner.values()):
            return {name: own[one] for name, one in inner.items()}
    return {name: name for name in names}


def load_params(net, what, path, ctx, head=()):
    """Load a `.params` file into a net; values are cast to the net's types.

    Parameters
    ----------
    what : str
        The flag that names the file, for messages.
    ctx : Context or list of Context
    head : sequence of str
        Structural names of the last layer's parameters. They stay as they are if the file has none or has
        them for another number of classes.

    Returns
    -------
    dict of name -> tuple or None
        The parameters that stay as they are, and their shapes in the file.

    Raises
    ------
    UserError
        If the file cannot be read or does not fit the net.
    """
    from mxnet import nd

    arrays = read_params(what, path)
    names = structural_names(arrays, net, head)
    arrays = {names[name]: value for name, value in arrays.items()}
    params = net._collect_params_with_prefix()
    kept = {}
    if any(name not in arrays or len(arrays[name]) != params[name].shape[0] for name in head):
        kept = {name: arrays[name].shape if name in arrays else None for name in head}
        params, arrays = ({name: one for name, one in part.items() if name not in kept}
                          for part in (params, arrays))
    reason = misfit(params, arrays)
    if reason:
        raise UserError(f"{what} {path}: does not load into this model ({reason})")
    for name, value in arrays.items():
        params[name]._load_init(nd.array(value, dtype=value.dtype), ctx, cast_dtype=True)
    return kept


def misfit(params, arrays):
    """Why arrays are not those of a net's parameters by structural name; "" if they are."""
    shared = {}
    for name, param in params.items():             # a parameter of several blocks may stand there once
        shared.setdefault(id(param), []).append(name)
    for name, param in params.items():
        if not any(other in arrays for other in shared[id(param)]):
            return f"it has no {name}"
    for name, value in arrays.items():
        if name not in params:
            return f"the model has no {name}"
        param = params[name]
        ours = tuple(param.shape or value.shape)           # 0: not known before the first forward
        if len(ours) != value.ndim or any(one not in (0, other) for one, other in zip(ours, value.shape)):
            return f"{name} has shape {value.shape}, the model's has {tuple(param.shape)}"
        kind = np.dtype(param.dtype).name
        if value.dtype.name != kind and not (value.dtype.name in FLOATS and kind in FLOATS):
            return f"{name} is {value.dtype.name}, the model's is {kind}"
    doubles = [name for name, value in arrays.items() if value.dtype == np.float64]
    if 0 < len(doubles) < len(arrays):         # no net mixes them: a header is damaged
        return f"{doubles[0]} is float64 and other arrays are not"
    return ""
