"""Names of the images in a record file."""

import hashlib
from pathlib import Path

from gluon_tricks.errors import UserError


def names_path(rec):
    """Where the names of a record file's images are: a line for each key from 0."""
    return Path(rec).with_suffix(".names.txt")


def names_sha256(names):
    """SHA-256 over the names, one a line, for the manifest."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def names_of_records(rec, keys, manifest=None):
    """The images' names in the order of the records; without a file of names, their keys.

    Raises
    ------
    UserError
        If the file is not the one that was prepared with the records.
    """
    path = names_path(rec)
    if not path.is_file():
        return [str(key) for key in keys]
    names = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    expected = manifest and manifest.options.get("names", {}).get(Path(rec).stem)
    if max(keys, default=-1) >= len(names) or expected and names_sha256(names) != expected:
        raise UserError(f"{path}: is not the file that was prepared with {Path(rec).name}; prepare the data again")
    return [names[key] for key in keys]
