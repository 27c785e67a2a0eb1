"""`.safetensors` files, read and written without the package of that name.

    length of the header (8 bytes) | header, JSON | values

    header:  {"__metadata__": {name: text}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}

Offsets count from the end of the header; the arrays fill the rest of the file without gaps. Everything that
the header says is compared with the file's length before an array is made, and arrays are views of the mapped
file.
"""

import json
import math

import numpy as np

from gluon_tricks.files import parse_json, parse_mapped
from gluon_tricks.models.stored import BFLOAT16, Damaged, Stored

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16, "I64": "<i8", "I32": "<i4",
          "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?", "U64": "<u8", "U32": "<u4", "U16": "<u2"}
WORDS = {np.dtype(dtype): word for word, dtype in DTYPES.items()}
METADATA = "__metadata__"
MOST_HEADER = 100_000_000            # bytes; the limit of the format
ALIGNMENT = 8                        # of the values in files that we write


def read_safetensors(what, path):
    """The arrays of a `.safetensors` file: {name: view of the mapped file}, bfloat16 as float32.

    Parameters
    ----------
    what : str
        The flag that names the file, for messages.

    Raises
    ------
    UserError
        If it is missing or damaged.
    """
    content, stored = parse_mapped(what, path, stored_arrays, ".safetensors", "give a whole one")
    return {name: one.array(content) for name, one in stored.items()}


def stored_arrays(content):
    """{name: `Stored`} of a file's bytes. Raises `Damaged`, or ValueError for a header that is no JSON."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, MOST_HEADER):
        raise Damaged(f"a header of {length} bytes does not fit into its {len(content)}")
    header = parse_json(bytes(content[8:8 + length]))
    if not isinstance(header, dict):
        raise Damaged("its header is no JSON object")
    header.pop(METADATA, None)
    places = sorted((_place(name, entry) for name, entry in header.items()), key=lambda place: place[1:3])
    end, stored = 0, {}
    for name, first, last, shape, dtype in places:
        if first != end or last - first != math.prod(shape) * dtype.itemsize:
            raise Damaged(f"{name}: {list(shape)} values of {dtype} do not fill bytes {first} to {last}, or "
                          f"another array ends at byte {end}")
        stored[name] = Stored(shape, dtype, 8 + length + first)
        end = last
    if end != len(content) - 8 - length or not stored:
        raise Damaged(f"its {len(stored)} arrays have {end} bytes, the file has {len(content) - 8 - length}")
    return stored


def _place(name, entry):
    """`(name, first byte, end, shape, dtype)` of an entry of the header. Raises `Damaged`."""
    try:
        first, last = entry["data_offsets"]
        shape, dtype = tuple(entry["shape"]), np.dtype(DTYPES[entry["dtype"]])
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{name}: its entry in the header is not understood ({error!r})") from None
    if not name.isprintable() or not all(type(one) is int and one >= 0 for one in (first, last, *shape)):
        raise Damaged(f"{name}: has shape {list(shape)} and bytes {first} to {last}")
    return name, first, last, shape, dtype


def safetensors_pieces(arrays, metadata):
    """The bytes of a `.safetensors` file, piece by piece.

    Parameters
    ----------
    arrays : dict of name -> array
        Larger numbers come first in the file, so that all are aligned.
    metadata : dict of str
    """
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header, end = {METADATA: metadata}, 0
    for name in order:
        value = arrays[name]
        header[name] = {"dtype": WORDS[value.dtype], "shape": list(value.shape),
                        "data_offsets": [end, end + value.nbytes]}
        end += value.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return [len(text).to_bytes(8, "little"), text,
            *(np.ascontiguousarray(arrays[name]).tobytes() for name in order)]
