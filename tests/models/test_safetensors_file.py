"""`.safetensors` files: the documented layout, read and written; nothing in a header is believed."""

import json
import struct

import numpy as np
import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.models.safetensors_file import read_safetensors, safetensors_pieces

ARRAYS = {"a.weight": np.arange(6, dtype="f4").reshape(2, 3), "b": np.array(7, "i8"), "c": np.array([1.5, -2], "f2")}


def file_of(header, values):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + values


def written(path, content):
    path.write_bytes(content)
    return path


def test_what_is_written_is_read_and_every_array_is_aligned(tmp_path):
    path = written(tmp_path / "a.safetensors", b"".join(safetensors_pieces(ARRAYS, {"format": "pt"})))
    found = read_safetensors("--params-file", path)
    assert found.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        assert found[name].dtype == value.dtype and found[name].tobytes() == value.tobytes()
        assert found[name].ctypes.data % value.dtype.itemsize == 0
    content = path.read_bytes()
    header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"] == {"format": "pt"}
    assert header["a.weight"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]}


def test_bfloat16_is_read_as_float32(tmp_path):
    content = file_of({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}},
                      struct.pack("<HH", 0x3FC0, 0xC000))             # the upper halves of 1.5 and -2.0
    np.testing.assert_array_equal(read_safetensors("", written(tmp_path / "x", content))["x"], [1.5, -2])


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DAMAGE = {
    "empty": b"",
    "header longer than the file": struct.pack("<Q", 1 << 60) + b"{}",
    "no JSON": file_of(b"{]", b""),
    "a list": file_of([], b""),
    "no arrays": file_of({}, b""),
    "values missing": file_of({"x": ENTRY}, bytes(4)),
    "values left over": file_of({"x": ENTRY}, bytes(12)),
    "shape of another size": file_of({"x": {**ENTRY, "shape": [3]}}, bytes(8)),
    "overlap": file_of({"x": ENTRY, "y": ENTRY}, bytes(8)),
    "unknown type": file_of({"x": {**ENTRY, "dtype": "F8_E4M3"}}, bytes(8)),
    "negative": file_of({"x": {**ENTRY, "shape": [-2], "data_offsets": [0, -8]}}, bytes(8)),
    "twice": file_of(b'{"x": %s, "x": %s}' % ((json.dumps(ENTRY).encode(),) * 2), bytes(8)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_by_name(damage, tmp_path):
    path = written(tmp_path / "x.safetensors", DAMAGE[damage])
    with pytest.raises(UserError, match=r"^--params-file .*x\.safetensors: is no \.safetensors file, or a dam"):
        read_safetensors("--params-file", path)
