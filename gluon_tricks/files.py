"""Atomic writing of files, whole lines, one way to open a user's files, locks, and SHA-256 of files."""

import contextlib
import errno
import fcntl
import hashlib
import json
import mmap
import os
import re
import socket
import stat
import sys
from pathlib import Path

from gluon_tricks.errors import UserError, printable

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent                       # has the training scripts and data_prep/, also when installed
LOGS = PACKAGE / "logs" if (PACKAGE / "logs" / "published").is_dir() else ROOT / "logs"


@contextlib.contextmanager
def atomic_path(path):
    """A temporary name in the folder of `path`; synced and renamed to `path` when the block ends without an
    error.

    For writers that need a file name (matplotlib); `atomic_write` also reads back what it wrote. After an
    error the temporary file is removed and `path` keeps its content.

    Raises
    ------
    OSError
        If the system refuses to write; the message names `path`.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")   # some writers look at the suffix
    try:
        with refusals_named(path):
            yield part
            with open(part, "rb") as written:
                os.fsync(written.fileno())
            os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


# A full disk or quota, a limit on the size of files, a disk that has become read-only or fails
_REFUSALS = errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO


@contextlib.contextmanager
def refusals_named(path):
    """Within the block, the message of an error that writing `path` can have names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS and Path(path).parent.is_dir():
            raise
        reason = error.strerror if Path(path).parent.is_dir() else "its folder does not exist any more"
        raise OSError(error.errno, reason, str(path)) from error


class LineFile:
    """A text file to which lines are added, each of them whole or not at all.

    Parameters
    ----------
    path : path
    overwrite : bool
        Start with an empty file.
    """

    def __init__(self, path, overwrite=False):
        self.path, how = Path(path), os.O_TRUNC if overwrite else 0
        with refusals_named(self.path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | how, 0o666)

    def add(self, line):
        """Write a line.

        Raises
        ------
        OSError
            If the system refuses; no part of the line is left. Also if the file has been deleted: the line
            would be lost.
        """
        with refusals_named(self.path):
            before = os.fstat(self._handle)
            if not before.st_nlink:
                raise FileNotFoundError(errno.ENOENT, "has been deleted or replaced", str(self.path))
            rest = f"{line}\n".encode(errors="backslashreplace")
            try:
                while rest:
                    rest = rest[os.write(self._handle, rest):]
            except OSError:
                with contextlib.suppress(OSError):       # a terminal or pipe has no size
                    os.ftruncate(self._handle, before.st_size)
                raise

    def sync(self):
        """Wait until the lines are on the disk; raises OSError if some cannot be written there."""
        with refusals_named(self.path):
            try:
                os.fsync(self._handle)
            except OSError as error:
                if error.errno != errno.EINVAL:          # a terminal or pipe
                    raise

    def close(self):
        """Close the file; no lines can be added any more."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def atomic_write(path, content):
    """Write bytes, text or a sequence of buffers to `path` through a temporary name, and read them back.

    MXNet's own writers do not notice when the end of a file no longer fits on the disk. So its files are made
    in memory and written here.

    Raises
    ------
    OSError
        If not everything was written, or what was read back is something else; `path` keeps its content.
    """
    pieces = [content.encode()] if isinstance(content, str) else content
    pieces = [pieces] if isinstance(pieces, (bytes, bytearray, memoryview)) else pieces
    meant = hashlib.sha256()
    with atomic_path(path) as part:
        with open(part, "wb") as stream:
            for piece in pieces:
                stream.write(piece)
                meant.update(piece)
        sync(part)
        if sha256_of(part) != meant.hexdigest():
            raise OSError(errno.EIO, "what was read back is not what was written")


def sync(path):
    """Send a file that was just written to its disk; what is read from it next comes from there."""
    with open(path, "rb") as written:
        os.fsync(written.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(written.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def keep_aside(path):
    """Give a damaged file another name, `NAME.damaged` with a number if needed; returns that path."""
    path = Path(path)
    names = (path.with_name(f"{path.name}.damaged{number or ''}") for number in range(1000))
    aside = next(name for name in names if not name.exists())
    os.replace(path, aside)
    return aside


# --- Files of users and of other tools ----------------------------------------------------------------------

def open_file(what, path, remedy=""):
    """Open a user's file for reading bytes, only if it is a regular file: a pipe or a device may never end.

    Parameters
    ----------
    what : str
        Start of the message: a flag with a space, or "".
    remedy : str
        End of the message if the system cannot open the file.

    Raises
    ------
    UserError
        If there is none, or it cannot be read.
    """
    path = Path(path).expanduser()
    try:
        kind = os.stat(path).st_mode
        if not stat.S_ISREG(kind):
            reason = "is a folder" if stat.S_ISDIR(kind) else "is no regular file"
            raise UserError(f"{what}{path}: cannot be read: {reason}; name a file")
        return open(path, "rb")
    except (OSError, ValueError) as error:         # ValueError: a zero byte in the name
        if isinstance(error, UserError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{what}{path}: cannot be read ({reason})" + f"; {remedy}" * bool(remedy)) from error


def parse_mapped(what, path, parse, kind, remedy):
    """`(content, parse(content))` of a user's file, whose content is mapped into memory.

    Parameters
    ----------
    what : str
        The flag that names the file, for messages.
    parse : callable (bytes)
        Raises ValueError for a damaged file.
    kind, remedy : str
        What the file is to be, and what the user can do if it is not, for messages.

    Raises
    ------
    UserError
        If it is missing or damaged.
    """
    with open_file(f"{what} ", path) as stream:
        try:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            return content, parse(content)
        except (ValueError, OSError, RecursionError) as error:     # an empty file cannot be mapped
            raise UserError(f"{what} {path}: is no {kind} file, or a damaged one ({error}); "
                            f"{remedy}") from error


def read_file(path, most_bytes, remedy="", what=""):
    """The bytes of a user's file; parameters and errors as those of `open_file`.

    Raises
    ------
    UserError
        Also if it is larger than `most_bytes`.
    """
    with open_file(what, path, remedy) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most_bytes:
            raise UserError(f"{what}{path}: {size} bytes, at most {most_bytes} are read; is it the right "
                            "file?")
        return stream.read(most_bytes)


def parse_json(content):
    """The value in JSON text or UTF-8 bytes; a ValueError for everything that is not JSON of one meaning.

    Raises
    ------
    ValueError
        If it is no JSON or no UTF-8, a key stands twice in an object, or it is nested too deeply.
    """
    text = content if isinstance(content, str) else bytes(content).decode("utf-8")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _whole(digits):
    if len(digits) > 100:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


TRAILER = re.compile(rb"\nsha256 ([0-9a-f]{64})\n")
TRAILER_BYTES = 73


def trailer(pieces):
    """A line to append to a file of another program's format, with the SHA-256 of all before it.

    For formats whose readers stop at the end of the data: MXNet's parameters, and pickles.
    """
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return f"\nsha256 {digest.hexdigest()}\n".encode()


def check_trailer(content, end):
    """Compare the bytes after `end`, where a file's data end, with the data: nothing, or a true `trailer`.

    Raises
    ------
    ValueError
        If there is something else.
    """
    match = TRAILER.fullmatch(bytes(content[end:end + TRAILER_BYTES + 1]))
    if len(content) > end and not match:
        raise ValueError(f"{len(content) - end} bytes follow its end")
    if match and hashlib.sha256(memoryview(content)[:end]).hexdigest() != match[1].decode():
        raise ValueError("its contents are not what was written: the SHA-256 at its end differs")


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


def output_files(paths):
    """Make the folders of files that the user named, and check that they can be written there.

    Parameters
    ----------
    paths : dict
        Flag -> path, or None where the flag is not given.

    Returns
    -------
    dict
        Flag -> Path of each flag that is given.

    Raises
    ------
    UserError
        If a path is a folder, its folder cannot be made or is not writable, or two flags name one file.
    """
    found = {}
    for flag, path in paths.items():
        if not path:
            continue
        path = Path(path).expanduser()
        make_folder(flag, path.parent)
        if path.is_dir():
            raise UserError(f"{flag} {path}: is a folder; name a file in it")
        same = [other for other, earlier in found.items() if earlier.resolve() == path.resolve()]
        if same:
            raise UserError(f"{flag} {path}: is also the file of {same[0]}; give another name")
        found[flag] = path
    return found


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
    locked = _try_lock(handle)
    if locked is False:
        print(f"waiting for another process that writes to {folder}", file=sys.stderr)
        fcntl.flock(handle, fcntl.LOCK_EX)
        return True
    return locked


def _try_lock(handle):
    """Lock an open file, without waiting.

    Returns
    -------
    bool or None
        False if another process holds the lock, None if the file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


class Claim:
    """The right to be the only process that writes a file, until `close` or the end of this process.

    The claim is a lock on the file `.NAME.lock`, which holds our process number and command for others. The
    lock is the operating system's and ends with the process, also with a killed one. Processes that this one
    forks do not keep it.

    Parameters
    ----------
    flag : str
        The flag that names the file or its folder, for the message.
    path : path
    command : str
        This process's command line, for the message to others.

    Attributes
    ----------
    is_sure : bool
        False where the file system has no locks.

    Raises
    ------
    UserError
        If another process has the claim; the message has its number and command.
    """

    _handles, _handle = set(), None

    def __init__(self, flag, path, command):
        self._path = Path(path).with_name(f".{Path(path).name}.lock")
        while True:
            with refusals_named(self._path):
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            locked = _try_lock(self._handle)
            if locked is False:
                holder = printable(os.pread(self._handle, 1000, 0).decode(errors="replace")) or "unknown"
                os.close(self._handle)
                raise UserError(f"{flag}: {path} belongs to a run that has not ended ({holder}); wait for it "
                                f"or end it, or give another {flag}")
            if self._is_in_place():
                break
            os.close(self._handle)         # its last holder removed the file before we had the lock
        self.is_sure = bool(locked)
        self._handles.add(self._handle)
        with contextlib.suppress(OSError):               # on a full disk the claim has no description
            os.ftruncate(self._handle, 0)
            holder = f"process {os.getpid()} on {socket.gethostname()}: {command}"
            os.pwrite(self._handle, holder.encode(errors="replace"), 0)

    def _is_in_place(self):
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._handle))
        except OSError:
            return False

    def close(self):
        """Give the file to others."""
        if self._handle in self._handles:
            self._handles.remove(self._handle)
            with contextlib.suppress(OSError):
                self._path.unlink()
            with contextlib.suppress(OSError):
                os.close(self._handle)

    __del__ = close

    @classmethod
    def close_copies(cls):
        """Close the locks that a forked process has inherited; the parent's stay."""
        for handle in cls._handles:
            os.close(handle)
        cls._handles.clear()


os.register_at_fork(after_in_child=Claim.close_copies)


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
