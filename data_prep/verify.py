"""Compare a prepared folder with its manifest.

    python -m data_prep.verify ~/.mxnet/datasets/cifar10/rec

Reads every record, recomputes its hash and label, decodes every image, and compares files, counts, classes
and the root hash with manifest.json. It uses one thread per CPU and keeps a few records in memory. Prints the
differences; the exit code is 0 without differences, 1 with differences, 2 if the folder cannot be checked.
"""

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from data_prep.common import parser_of
from data_prep.packing import in_order
from gluon_tricks.compat import visible_cpus
from gluon_tricks.data.encoded import Undecodable, decode
from gluon_tricks.data.manifest import NO_LABEL, read_manifest, read_rows, record_row
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import sha256_of
from gluon_tricks.training.status import progress_bar

MOST_SHOWN = 20


def main(argv=None):
    parser = parser_of(__doc__)
    parser.add_argument("folder", help="folder with manifest.json")
    folder = Path(parser.parse_args(argv).folder).expanduser()
    cv2.setNumThreads(1)
    manifest = read_manifest(folder)
    differences = []
    for name, split in manifest.splits.items():
        differences += verify_split(folder, name, split, manifest.classes)
    for difference in differences[:MOST_SHOWN]:
        print(difference)
    if len(differences) > MOST_SHOWN:
        print(f"... and {len(differences) - MOST_SHOWN} more")
    records = sum(split.records for split in manifest.splits.values())
    print(f"{folder}: {records} records, {len(differences)} differences, root hash {manifest.root_hash}")
    return 1 if differences else 0


def verify_split(folder, name, split, classes):
    """A list of messages, one per difference between a split's files and the manifest."""
    try:
        reader = RecordReader(folder / f"{name}.rec")
        expected_rows = read_rows(folder, name, split)
    except UserError as error:
        return [str(error)]
    found = {"bytes": reader.bytes, "SHA-256": sha256_of(reader.path) if split.rec_sha256 else "",
             "SHA-256 of the index": sha256_of(folder / f"{name}.idx"), "records": len(reader)}
    stated = {"bytes": split.rec_bytes, "SHA-256": split.rec_sha256,
            "SHA-256 of the index": split.idx_sha256, "records": split.records}
    differences = [f"{reader.path}: {what} is {found[what]}, manifest {stated[what]}" for what in found
                   if found[what] != stated[what]]
    if len(reader) != len(expected_rows):
        expected_rows = [None] * len(reader)
    counts, pixels = np.zeros(len(classes), np.int64), hashlib.sha256()
    labels = (0, len(classes)) if split.labelled else (NO_LABEL, NO_LABEL + 1)
    checks = in_order(lambda position: check_record(reader, position, expected_rows[position], labels),
                      range(len(reader)), visible_cpus())
    with progress_bar(len(reader), f"{name}.rec", "images") as bar:
        for problems, label, image in checks:
            differences += problems
            if label is not None:
                counts[label] += split.labelled
                if image is not None and split.pixels_sha256:
                    pixels.update(bytes([label]) + np.ascontiguousarray(image[..., ::-1]).tobytes())
            bar.update()
    if counts.tolist() != split.per_class:
        differences.append(f"{reader.path}: counts per class differ from the manifest")
    if split.pixels_sha256 and pixels.hexdigest() != split.pixels_sha256:
        differences.append(f"{reader.path}: labels and decoded pixels differ from the manifest")
    return differences


def check_record(reader, position, expected_row, labels):
    """Check one record.

    Parameters
    ----------
    expected_row : row of the table of records, or None to skip this comparison
    labels : (int, int)
        Valid labels run from the first to below the second.

    Returns
    -------
    problems : list of str
    label : int, or None if it is invalid
    image : uint8 array, shape (H, W, 3), in BGR order, or None if it does not decode
    """
    try:
        payload = reader.read(position)
        label, encoded, _, _ = reader.read_image(position)
    except UserError as error:
        return [str(error)], None, None
    problems, image = [], None
    try:
        image = decode(encoded)
    except Undecodable as damage:
        problems.append(str(damage))
    if np.ndim(label) or not labels[0] <= label < labels[1] or label % 1:
        expected = f"none of {labels[1]} classes" if labels[1] else "not that of a set without labels"
        problems.append(f"label {label} is {expected}")
        label = None
    else:
        label = int(label)
        if expected_row is not None and record_row(int(reader.keys[position]), label,
                                                   payload) != expected_row.item():
            problems.append(f"the record is not the one in {reader.path.stem}.records.npy")
    return [f"{reader.describe(position)}: {problem}" for problem in problems], label, image


if __name__ == "__main__":
    run_main(main, "data_prep.verify")
