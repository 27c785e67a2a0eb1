"""`.pth` files of PyTorch, read without PyTorch.

A `.pth` file is a pickle whose tensors refer to storages: in an uncompressed zip archive (since PyTorch 1.6),
or behind the pickle in one file. A pickle can call any function. As `torch.load(weights_only=True)`, this
reader knows a few by name, those that put tensors together, and refuses every other one.
"""

import collections
import io
import math
import mmap
import pickle
import pickletools
import struct
import zipfile
from typing import NamedTuple

import numpy as np

from gluon_tricks.errors import UserError
from gluon_tricks.files import open_file
from gluon_tricks.models.stored import BFLOAT16, Damaged, widened

STORAGES = {"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": BFLOAT16,
            "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1",
            "ByteStorage": "u1", "BoolStorage": "?"}
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
# Where scripts keep the parameters in a checkpoint; timm's order
KEYS = ("state_dict_ema", "model_ema", "state_dict", "model")
MOST_DIMENSIONS, MOST_OBJECTS = 32, 1 << 22
TENSORS = {"_rebuild_tensor", "_rebuild_tensor_v2"}            # functions of torch._utils
UNREADABLE = (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, AttributeError, ImportError, IndexError,
              KeyError, NotImplementedError, OverflowError, RecursionError, RuntimeError, TypeError,
              ValueError, struct.error)


class Tensor(NamedTuple):
    """A tensor of the pickle: a window into a storage."""
    dtype: np.dtype
    key: str                 # of the storage
    numel: int               # values in the storage
    offset: int              # of the first value
    shape: tuple
    stride: tuple            # in values


def read_pth(what, path):
    """The tensors of a state dict: {name: array}, bfloat16 as float32.

    Of a checkpoint, the entry that timm takes: `state_dict_ema`, `model_ema`, `state_dict` or `model`. The
    prefix `module.` of data-parallel training is taken off.

    Parameters
    ----------
    what : str
        The flag that names the file, for messages.

    Raises
    ------
    UserError
        If it is missing or damaged, or holds something other than tensors.
    """
    with open_file(f"{what} ", path) as stream:
        try:
            is_zip = stream.read(2) == b"PK"
            stream.seek(0)
            tree, storage = (_zipped if is_zip else _legacy)(stream)
            arrays = {name: _array(name, one, storage) for name, one in _state(tree).items()}
        except (*UNREADABLE, OSError) as error:
            reason = str(error).strip() or type(error).__name__
            raise UserError(f"{what} {path}: is no state dict of PyTorch, or a damaged one ({reason}); save "
                            "only the tensors, with torch.save(model.state_dict(), FILE)") from error
    return arrays


def _state(tree):
    """The tensors in what was unpickled: {name: Tensor}. Raises `Damaged`."""
    if isinstance(tree, dict):
        tree = next((tree[key] for key in KEYS if isinstance(tree.get(key), dict)), tree)
    if not isinstance(tree, dict) or not tree:
        raise Damaged("it has no dictionary of tensors")
    for name, one in tree.items():
        if not isinstance(name, str) or not name.isprintable() or not isinstance(one, Tensor):
            raise Damaged(f"its entry {name!r} is no tensor")
    if all(name.startswith("module.") for name in tree):
        return {name[len("module."):]: one for name, one in tree.items()}
    return tree


def _array(name, tensor, storage):
    """The values of a tensor. Raises `Damaged` if they are not all inside its storage."""
    sizes = tensor.offset, *tensor.shape, *tensor.stride
    if len(tensor.shape) != len(tensor.stride) or len(tensor.shape) > MOST_DIMENSIONS or not all(
            type(one) is int and one >= 0 for one in sizes):
        raise Damaged(f"{name} has shape {tensor.shape} and strides {tensor.stride}")
    values = storage(tensor.key, tensor.dtype, tensor.numel)
    last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride))
    if math.prod(tensor.shape) > len(values) or last >= len(values) and math.prod(tensor.shape):
        raise Damaged(f"{name} is larger than its storage")
    if tensor.dtype == BFLOAT16:
        values = widened(values.view("<u2"))
    steps = [step * values.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(values[tensor.offset:], tensor.shape, steps, writeable=False)


# --- The two containers -------------------------------------------------------------------------------------
# Each returns what was unpickled, and a function (key, dtype, numel) -> array of the storage's values.

def _zipped(stream):
    archive = zipfile.ZipFile(stream)
    names = {name.partition("/")[2]: name for name in archive.namelist()}
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED:
            raise Damaged(f"{info.filename} is compressed, and PyTorch compresses nothing")
    if "byteorder" in names and archive.read(names["byteorder"]) != b"little":
        raise Damaged("its numbers are big-endian")

    def storage(key, dtype, numel):
        values = np.frombuffer(archive.read(names[f"data/{key}"]), dtype)
        if len(values) != numel:
            raise Damaged(f"storage {key} has {len(values)} values, not {numel}")
        return values

    return unpickled(io.BytesIO(archive.read(names["data.pkl"])))[0], storage


def _legacy(stream):
    content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    if unpickled(stream)[0] != LEGACY_MAGIC or unpickled(stream)[0] != LEGACY_PROTOCOL:
        raise Damaged("it does not begin as PyTorch's files do")
    if not unpickled(stream)[0].get("little_endian"):
        raise Damaged("its numbers are big-endian")
    (tree, storages), (keys, _) = unpickled(stream), unpickled(stream)
    places = {}
    for key in keys:                         # each storage: its number of values, then the values
        dtype, numel = storages[key]
        count, = struct.unpack("<q", stream.read(8))
        if count != numel:
            raise Damaged(f"storage {key} has {count} values, not {numel}")
        places[key] = stream.tell()
        stream.seek(numel * dtype.itemsize, io.SEEK_CUR)

    def storage(key, dtype, numel):
        return np.frombuffer(content, dtype, numel, places[key])

    return tree, storage


# --- The pickle ---------------------------------------------------------------------------------------------

class Bounded:
    """A stream that never reserves more than the file has, however much it is asked for."""

    def __init__(self, stream):
        self.readline, self.tell, self._stream = stream.readline, stream.tell, stream
        start = stream.tell()
        self._end = stream.seek(0, io.SEEK_END)
        stream.seek(start)

    def read(self, size):
        return self._stream.read(min(size, self._end - self._stream.tell()))


def unpickled(stream):
    """`(content, storages)` of the pickle at the place of a stream, which moves behind it.

    It is walked through first: Python's own reader believes lengths and numbers of remembered objects, and
    would reserve any amount of memory for a damaged one.
    """
    start = stream.tell()
    for opcode, argument, _ in pickletools.genops(Bounded(stream)):
        if opcode.name.endswith("PUT") and int(argument) > MOST_OBJECTS:
            raise Damaged(f"its object {argument} is one of too many")
    stream.seek(start)
    unpickler = Unpickler(stream)
    return unpickler.load(), unpickler.storages


class Unpickler(pickle.Unpickler):
    """Unpickles dictionaries of tensors and plain values; refuses every other class and function."""

    def __init__(self, stream):
        super().__init__(stream, encoding="utf-8")
        self.storages = {}                   # key -> (dtype, number of values)

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in TENSORS:
            return _tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        if module == "torch" and name in STORAGES:
            return np.dtype(STORAGES[name])
        raise pickle.UnpicklingError(f"it calls {module}.{name}, which is no part of a tensor")

    def persistent_load(self, pid):
        kind, dtype, key, _, numel, *view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or any(view) or not (
                isinstance(key, str) and type(numel) is int and numel >= 0):
            raise pickle.UnpicklingError("it has a storage that is not understood")
        self.storages[key] = dtype, numel
        return dtype, key, numel


def _tensor(storage, offset, shape, stride, *_):
    return Tensor(*storage, offset, tuple(shape), tuple(stride))


def _parameter(tensor, *_):
    return tensor
