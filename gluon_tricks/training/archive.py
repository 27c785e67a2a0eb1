"""Arrays by name in one `.npz` file, without pickles, and the SHA-256 of all of them.

NumPy writes it and can read it. This reader believes nothing: sizes are compared with the file's length
before a member is read, and a member's header must be one that NumPy writes. The member `meta` is JSON; its
first entry, `sha256`, is the hash of the JSON without this entry and of names, types, shapes and values of
all arrays.
"""

import errno
import hashlib
import math
import re
import zipfile

import numpy as np

from gluon_tricks.files import atomic_path, open_file, sync
from gluon_tricks.training.npz import save_arrays

META = "meta"
SEAL = re.compile(rb'\{"sha256": "([0-9a-f]{64})", ')
TYPES = ("<f2", "<f4", "<f8", "|u1", "|i1", "<i4", "<i8")
MAGIC = re.compile(rb"\x93NUMPY([\x01-\x03])\x00")
HEADER = re.compile(r"\{'descr': '([<|]\w\d)', 'fortran_order': (False|True), "
                    r"'shape': \(([\d, ]{0,200})\), \} *\n")


class Damaged(ValueError):
    """An archive is not what was written; the message has the member."""


def write_archive(path, arrays, before_rename=lambda: None):
    """Write arrays by name, read them back, and give the file its name.

    Parameters
    ----------
    before_rename : callable
        Called when the new file is whole and `path` still has its earlier content.

    Raises
    ------
    OSError
        If it cannot be written whole; `path` keeps its content.
    """
    with atomic_path(path) as part:
        with open(part, "wb") as stream:
            save_arrays(stream, sealed(arrays))
        sync(part)
        try:
            read_archive("", part)
        except Damaged as error:
            raise OSError(errno.EIO, f"what was read back is not what was written: {error}") from error
        before_rename()


def sealed(arrays):
    """The arrays, with their hash in `meta`."""
    seal = f'{{"sha256": "{digest_of(arrays)}", '.encode() + arrays[META].tobytes()[1:]
    return {**arrays, META: np.frombuffer(seal, np.uint8)}


def unsealed(meta):
    """The array `meta` without its hash, and the hash or None."""
    match = SEAL.match(meta.tobytes())
    if not match:
        return meta, None
    return np.frombuffer(b"{" + meta.tobytes()[match.end():], np.uint8), match[1].decode()


def digest_of(arrays):
    """SHA-256 over names, types, shapes and values of arrays by name, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        digest.update(value.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def read_archive(what, path):
    """The arrays of an archive, `meta` without the hash, and whether there was one: `(dict, bool)`.

    Parameters
    ----------
    what : str
        The flag that names the file, with a space, for messages.

    Raises
    ------
    UserError
        If the file cannot be opened.
    Damaged
        If it is not what was written.
    """
    arrays = _read(what, path, lambda names: names)
    if META not in arrays:
        raise Damaged("it has no member 'meta', so it is not a resume file of this kit")
    arrays[META], stored = unsealed(arrays[META])
    if stored and stored != digest_of(arrays):
        raise Damaged("its contents are not what was written: their SHA-256 differs from that in its 'meta'")
    return arrays, stored is not None


def read_text(what, path):
    """The JSON of an archive, as bytes, without comparing the hash; errors as of `read_archive`."""
    found = _read(what, path, lambda names: [name for name in names if name == META])
    if not found:
        raise Damaged("it has no member 'meta', so it is not a resume file of this kit")
    return unsealed(found[META])[0].tobytes()


def _read(what, path, choose):
    with open_file(what, path) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                members = members_of(archive, stream.seek(0, 2))
                return {name: array_of(archive.read(members[name]), name) for name in choose(list(members))}
        except Damaged:
            raise
        # a damaged archive can raise any exception
        except Exception as error:
            raise Damaged(f"is no archive of NumPy's, or a damaged one ({type(error).__name__}: "
                          f"{error})") from error


def members_of(archive, length):
    """{name: ZipInfo} of the arrays in a ZIP file of `length` bytes, whose stated sizes fit into it."""
    members = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise Damaged(f"its member {name!r} is compressed, which no file of this kit is")
        if name == info.filename or name in members:
            raise Damaged(f"its member {info.filename!r} stands there twice or is no array")
        members[name] = info
    if sum(info.file_size for info in members.values()) > length:
        raise Damaged("its members are longer than the file")
    return members


def array_of(content, name):
    """The array in the bytes of an `.npy` file, a view."""
    match = MAGIC.match(content)
    wide = match and match[1] != b"\x01"
    start = 12 if wide else 10
    end = start + int.from_bytes(content[8:start], "little")
    header = match and end - start < 1000 and HEADER.fullmatch(content[start:end].decode("latin-1"))
    if not header or header[1] not in TYPES:
        raise Damaged(f"its member {name!r} is no array of numbers")
    shape = tuple(int(length) for length in header[3].split(",") if length.strip())
    kind = np.dtype(header[1])
    if math.prod(shape) * kind.itemsize != len(content) - end:
        raise Damaged(f"its member {name!r} has {len(content) - end} bytes for the shape {shape}")
    return np.frombuffer(content, kind, offset=end).reshape(shape, order="F" if header[2] == "True" else "C")
