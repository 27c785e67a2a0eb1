"""Atomic writing of files, locks on folders, and SHA-256 of files."""

import contextlib
import fcntl
import hashlib
import os
import re
import sys
from pathlib import Path

from gluon_tricks.errors import UserError

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent                       # has the training scripts and data_prep/, also when installed
LOGS = PACKAGE / "logs" if (PACKAGE / "logs" / "published").is_dir() else ROOT / "logs"


@contextlib.contextmanager
def atomic_path(path):
    """A temporary name in the folder of `path`; synced and renamed to `path` when the block ends without an
    error.

    For writers that need a file name (MXNet's `save_parameters`, matplotlib). After an error the temporary
    file is removed and `path` keeps its content.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")   # some writers look at the suffix
    try:
        yield part
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def atomic_write(path, content):
    """Write bytes or text to `path` through a temporary name."""
    with atomic_path(path) as part:
        if isinstance(content, str):
            part.write_text(content, encoding="utf-8")
        else:
            part.write_bytes(content)


def make_folder(flag, folder):
    """Make a folder that the user named and check that it is writable; return its path.

    Raises
    ------
    UserError
        If it cannot be made, or is not writable; `flag` is named.
    """
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag}: {folder} cannot be made ({error.strerror})") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"{flag}: {folder} is not writable")
    return folder


@contextlib.contextmanager
def only_writer(folder):
    """Be the only writer in a folder: wait for other writers, then remove the temporary files of killed ones.

    The lock is the operating system's and ends with the process, also with a killed one. Where a file system
    cannot lock folders (some network file systems), the block neither waits nor removes anything.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        if _lock(handle, folder):
            for path in Path(folder).iterdir():
                if _PART.fullmatch(path.name):
                    path.unlink()
        yield
    finally:
        os.close(handle)


_PART = re.compile(r"\..+\.(\d+)\.part(\..+)?")       # names made by `atomic_path`


def remove_leftovers(folder):
    """Remove temporary files whose process has ended; other processes may still write to the folder."""
    for path in Path(folder).iterdir():
        match = _PART.fullmatch(path.name)
        if match and not Path(f"/proc/{match.group(1)}").exists() and Path("/proc").exists():
            path.unlink(missing_ok=True)


def _lock(handle, folder):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting for another process that writes to {folder}", file=sys.stderr)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def sha256_of(path, chunk_bytes=1 << 20):
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    return digest_of(path, chunk_bytes).hexdigest()


def digest_of(path, chunk_bytes=1 << 20):
    """SHA-256 of a file's bytes, as a `hashlib` object that can be updated."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(chunk_bytes):
            digest.update(chunk)
    return digest
