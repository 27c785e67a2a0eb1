"""The five best classes of each image as a text file, as publishers of test sets without labels ask for.

    Places365_test_00000001.jpg 104 237 333 302 364

A line for each image in the order of the data, the most confident class first; of equal outputs the lower index comes
first, as in `tally`. That is the format of Places365's development kit (places_devkit, "Submission format"); its order is
that of the names, in which data_prep/places365.py packs.
"""

import hashlib
from pathlib import Path

import numpy as np

from gluon_tricks.errors import UserError

PER_IMAGE = 5


def best_classes(output):
    """The `PER_IMAGE` highest classes of each row, highest first: int array, shape (n, min(PER_IMAGE, classes)).

    Raises
    ------
    UserError
        If an output is not finite.
    """
    if not np.isfinite(output).all():
        raise UserError("the net's outputs are not finite: the parameters are those of a training that diverged, or do not "
                        "suit the images")
    return np.argsort(-output, axis=1, kind="stable")[:, :PER_IMAGE]


def lines_of(names, classes):
    """The file's lines."""
    assert len(names) == len(classes), "an answer for each image"
    return [" ".join([name, *map(str, row)]) for name, row in zip(names, classes)]


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
