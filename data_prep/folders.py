"""Unpack the files of a publisher's archive that a data set needs, checked one by one.

Nothing but regular files with plain names is taken, every file is written under a temporary name and renamed, and a file
that is there with the same size and content is left: the same command goes on where it was stopped.
"""

import hashlib
import re
import tarfile
import zipfile
from pathlib import Path

from data_prep.packing import progress
from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_path, atomic_write, digest_of


def tar_members(flag, path):
    """`(name, bytes)` of each file of a tar archive, links and names that lead out of it refused."""
    where = f"{flag} {path}"
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                check_name(where, member.name)
                if member.isdir():
                    continue
                if not member.isfile() or member.issparse():
                    raise UserError(f"{where}: member {member.name!r} is a link, a device or the like; the publisher's "
                                    f"archive has none, so this is not it")
                yield member.name, tar.extractfile(member).read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{where}: cannot be read as a tar archive ({error}); is the download complete?") from error


def zip_members(flag, path):
    """The same of a zip archive."""
    where = f"{flag} {path}"
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                check_name(where, member.filename)
                if member.is_dir():
                    continue
                kind = member.external_attr >> 28
                if kind not in (0, 8):                     # Unix file type: unknown, or a regular file
                    raise UserError(f"{where}: member {member.filename!r} is a link, a device or the like; the publisher's "
                                    f"archive has none, so this is not it")
                yield member.filename, archive.read(member)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{where}: cannot be read as a zip archive ({error}); is the download complete?") from error


def check_name(where, name):
    """Refuse a member whose name leads out of the archive."""
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
        raise UserError(f"{where}: member {name!r} points out of the archive; the publisher's has no such names, so this is "
                        f"not it")


def unpack(members, out, wanted, what):
    """Write the wanted members to a folder.

    Parameters
    ----------
    members : iterable of (name, bytes)
    out : Path
    wanted : callable
        `name -> place under out`, or None for what is left alone.

    Returns
    -------
    int
        Files written or found there.
    """
    for leftover in Path(out).rglob(".*.part*"):           # of a killed run; the caller is the only writer
        leftover.unlink()
    count = 0
    with progress(None, f"unpacking {what}", "files") as bar:
        for name, content in members:
            place = wanted(name)
            if place is None:
                continue
            path = Path(out) / place
            if not (path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content):
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    atomic_write(path, content)
                except OSError as error:
                    raise UserError(f"--out {out}: {path} cannot be written ({error.strerror})") from error
            count += 1
            bar.update(1)
    return count


def download(url, path):
    """Fetch a file, with a bar; it appears whole or not at all.

    Raises
    ------
    UserError
        If it cannot be fetched or written.
    """
    import requests

    try:
        with requests.get(url, stream=True, timeout=30) as answer, atomic_path(path) as part, open(part, "wb") as stream, \
                progress(int(answer.headers.get("Content-Length", 0)) or None, f"fetching {path.name}", "B") as bar:
            answer.raise_for_status()
            for chunk in answer.iter_content(1 << 20):
                stream.write(chunk)
                bar.update(len(chunk))
    except (requests.RequestException, OSError) as error:
        raise UserError(f"--download: {url} cannot be fetched ({type(error).__name__}); get it elsewhere, and name "
                        f"that file") from error


def check_digest(flag, path, published, algorithm):
    """Refuse an archive whose digest is not the published one."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{flag} {path}: is no file")
    digest = hashlib.new(algorithm)
    with open(path, "rb") as stream, progress(path.stat().st_size, f"checking {path.name}", "B") as bar:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
            bar.update(len(chunk))
    if digest.hexdigest() != published:
        raise UserError(f"{flag} {path}: {algorithm.upper()} {digest.hexdigest()}, published {published}: the download is "
                        f"damaged or another file; get it again, or give --no-checksum")


def tree_hash(root, paths):
    """SHA-256 over names and contents of files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root)} ".encode() + digest_of(path).digest())
    return digest.hexdigest()
