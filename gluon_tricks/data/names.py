"""Names of the images in a record file: a text file next to it, one line for each key."""

import hashlib
from pathlib import Path

from gluon_tricks.errors import UserError


def names_path(rec):
    """Path of the names of a record file's images: a line for each key from 0."""
    return Path(rec).with_suffix(".names.txt")


def names_sha256(names):
    """SHA-256 over the names, one per line, for the manifest."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def names_of_records(rec, keys, manifest=None):
    """Names of the images in the order of the records; without a file of names, the records' keys as text.

    Raises
    ------
    UserError
        If the file was not prepared together with the records.
    """
    path = names_path(rec)
    if not path.is_file():
        return [str(key) for key in keys]
    names = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    expected = manifest and manifest.options.get("names", {}).get(Path(rec).stem)
    if max(keys, default=-1) >= len(names) or expected and names_sha256(names) != expected:
        raise UserError(f"{path}: is not the file that was prepared with {Path(rec).name}; prepare the data "
                        f"again")
    return [names[key] for key in keys]
