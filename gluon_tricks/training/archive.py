"""Arrays by name in one `.npz` file, without pickles, and the SHA-256 of all of them.

NumPy writes it and can read it. This reader believes nothing: sizes are compared with the file's length
before a member is read, a member's header must be one that NumPy writes, and the member `sha256` is the hash
of names, types, shapes and values of the others.
"""

import errno
import hashlib
import math
import re
import zipfile

import numpy as np

from gluon_tricks.files import atomic_path, open_file, sync

HASH = "sha256"
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
    digest = digest_of(arrays)
    with atomic_path(path) as part:
        with open(part, "wb") as stream:
            np.savez(stream, **arrays, **{HASH: np.frombuffer(digest, np.uint8)})
        sync(part)
        try:
            read_archive("", part)
        except Damaged as error:
            raise OSError(errno.EIO, f"what was read back is not what was written: {error}") from error
        before_rename()


def digest_of(arrays):
    """SHA-256 over names, types, shapes and values of arrays by name."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        digest.update(value.reshape(-1).view(np.uint8))
    return digest.digest()


def read_archive(what, path):
    """The arrays of an archive, and whether it has their hash: `(dict, bool)`.

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
    stored = arrays.pop(HASH, None)
    if stored is not None and stored.tobytes() != digest_of(arrays):
        raise Damaged(f"its contents are not what was written: the SHA-256 differs from its member {HASH!r}")
    return arrays, stored is not None


def read_member(what, path, name):
    """One array of an archive, unchecked by the hash of all; errors as of `read_archive`."""
    return _read(what, path, lambda names: [one for one in names if one == name]).get(name)


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
