"""Fetch, check, read and unpack a publisher's archives.

Only regular files with plain names are read. Every file is written under a temporary name and renamed; a file
that is there with the same content is kept. So the same command continues an interrupted run.
"""

import contextlib
import hashlib
import http.client
import lzma
import re
import struct
import tarfile
import urllib.request
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gluon_tricks.data.folders import HIDDEN, is_hidden
from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_path, atomic_write
from gluon_tricks.training.status import progress_bar

MOST_MEMBER_BYTES, MOST_HEADER_BYTES = 1 << 28, 1 << 20     # far above those of all publishers' archives
SPECIAL_FILE = "is a link, a device or the like; the publisher's archive has none, so this is not it"
# of the decompressors, and of headers whose numbers make no sense
READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, struct.error, ValueError, OverflowError)


# --- fetching and checking ----------------------------------------------------------------------------------

def download(url, path, context, remedy, check=lambda part: None):
    """Fetch a file to `path`, with a progress bar; on an error nothing is left there.

    Parameters
    ----------
    url : str
    path : Path
    context, remedy : str
        What the message says before and after the failed URL.
    check : callable
        Gets the path of the complete temporary file, and may raise to refuse it.

    Raises
    ------
    UserError
        If the file cannot be fetched or written.
    """
    try:
        with atomic_path(path) as part:
            with urllib.request.urlopen(url, timeout=60) as answer, open(part, "wb") as stream, \
                    progress_bar(length := int(answer.headers.get("Content-Length") or 0), path.name,
                                 "B") as bar:
                while chunk := answer.read(1 << 18):
                    stream.write(chunk)
                    bar.update(len(chunk))
            if (received := part.stat().st_size) < length:  # urllib takes a broken connection for the end
                raise OSError(f"{received} of {length} bytes arrived")
            check(part)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"{context}{url} cannot be fetched ({error}); {remedy}") from error


def digests_of(path, algorithms):
    """Algorithm -> hexadecimal digest of a file, which is read once, with a progress bar."""
    digests = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
    with open(path, "rb") as stream, progress_bar(path.stat().st_size, f"checking {path.name}", "B") as bar, \
            ThreadPoolExecutor(len(digests)) as pool:
        while chunk := stream.read(1 << 22):
            list(pool.map(lambda digest, chunk=chunk: digest.update(chunk), digests.values()))
            bar.update(len(chunk))
    return {algorithm: digest.hexdigest() for algorithm, digest in digests.items()}


def check_digests(where, found, published):
    """Refuse a file of which no digest is the published one.

    Parameters
    ----------
    where : str
        Flag and path, for the message.
    found, published : dict
        Algorithm -> hexadecimal digest. The message names the first of `published`.
    """
    if not any(found[algorithm] == digest for algorithm, digest in published.items()):
        algorithm, digest = next(iter(published.items()))
        raise UserError(f"{where}: {algorithm.upper()} {found[algorithm]}, published {digest}: the download "
                        f"is damaged or another file; get it again, or give --no-checksum")


# --- reading ------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def open_tar(where, path):
    """The tar archive as a `TarFile`; errors in reading it become a `UserError` that starts with `where`."""
    try:
        with tarfile.open(path, tarinfo=Member) as tar:
            yield tar
    except UserError:
        raise
    except (tarfile.TarError, *READ_ERRORS) as error:
        raise UserError(f"{where}: cannot be read as a tar archive ({error}); is the download "
                        "complete?") from error


class Member(tarfile.TarInfo):
    """A member whose long name or extended header, which `tarfile` reads whole, has a sensible size."""

    def _proc_member(self, archive):
        read_whole = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
                      tarfile.SOLARIS_XHDTYPE)
        if self.type in read_whole and self.size > MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)


def read_member(where, tar, member):
    """The bytes of a file in a tar archive, unless it is too large; `where` names the archive."""
    check_size(f"{where}: member {member.name!r}", member.size)
    return tar.extractfile(member).read()


def check_size(member, size):
    """Refuse a member before it is read; `member` is how the message names it."""
    if not 0 <= size <= MOST_MEMBER_BYTES:
        raise UserError(f"{member} has {size} bytes, more than the {MOST_MEMBER_BYTES} that are read; the "
                        "publisher's has none so large, so this is not it")


def tar_members(flag, path, needed=lambda name: True):
    """`(name, bytes)` of each needed file in a tar archive.

    Links, names outside the archive and files that are too large are refused.
    """
    where = f"{flag} {path}"
    with open_tar(where, path) as tar:
        for member in tar:
            check_name(f"{where}: member {member.name!r}", member.name)
            if member.isdir():
                continue
            if not member.isfile() or member.issparse():
                raise UserError(f"{where}: member {member.name!r} {SPECIAL_FILE}")
            if needed(member.name):
                yield member.name, read_member(where, tar, member)


def zip_members(flag, path, needed=lambda name: True):
    """`(name, bytes)` of each needed file in a zip archive; refuses what `tar_members` does."""
    where = f"{flag} {path}"
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                check_name(f"{where}: member {member.filename!r}", member.filename)
                if member.is_dir():
                    continue
                if member.external_attr >> 28 not in (0, 8):  # Unix file type: unknown, or a regular file
                    raise UserError(f"{where}: member {member.filename!r} {SPECIAL_FILE}")
                if needed(member.filename):
                    check_size(f"{where}: member {member.filename!r}", member.file_size)
                    yield member.filename, archive.read(member)
    except UserError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, *READ_ERRORS) as error:
        raise UserError(f"{where}: cannot be read as a zip archive ({error}); is the download "
                        "complete?") from error


def check_name(member, name):
    """Refuse a name that points out of the archive; `member` is how the message names it."""
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
        raise UserError(f"{member} points out of the archive; the publisher's has no such names, so this is "
                        "not it")


# --- unpacking ----------------------------------------------------------------------------------------------

def unpack(members, out, layout, archive):
    """Write the needed members to a folder.

    Parameters
    ----------
    members : iterable of (name, bytes)
    out : Path
    layout : re.Pattern
        Matches the whole name of a needed member; its group 1 is the path under `out`. Hidden names and
        those of the system (`is_hidden`) are left out.
    archive : str
        Name for the progress bar.

    Returns
    -------
    int
        Number of files that were written or already there.
    """
    for leftover in Path(out).rglob(".*.part*"):           # of a killed run; the caller is the only writer
        leftover.unlink()
    count, hidden = 0, 0
    with progress_bar(None, f"unpacking {archive}", "files") as bar:
        for name, content in members:
            match = layout.fullmatch(name)
            if not match or is_hidden(match[1]):
                hidden += bool(match)
                continue
            path = Path(out) / match[1]
            if not (path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content):
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    atomic_write(path, content)
                except OSError as error:
                    raise UserError(f"--out {out}: {path} cannot be written ({error.strerror})") from error
            count += 1
            bar.update(1)
    if hidden:
        print(f"{archive}: {hidden} files left out, {HIDDEN}")
    return count
