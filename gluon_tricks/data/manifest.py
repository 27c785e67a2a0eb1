"""`manifest.json`: the contents of a prepared data set, and one hash over all of it.

A folder holds `SPLIT.rec`, `SPLIT.idx`, `SPLIT.records.npy` with a row `(key, label, bytes, sha256)` per
record in file order, and one `manifest.json`. The root hash is SHA-256 over the class list and the rows of
every split. Data sets with the same root hash have the same bytes in the same order.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_path, atomic_write, open_file, parse_json, sha256_of

FORMAT = 1
RECORD = np.dtype([("key", "<u4"), ("label", "<u4"), ("bytes", "<u4"), ("sha256", "V32")])
HASH_WHOLE_FILES_BELOW = 1 << 30      # bytes; of larger files only the records are hashed, one by one
NO_LABEL = -1                         # of a test set whose labels are not published
_STORED_NO_LABEL = NO_LABEL % (1 << 32)


@dataclass
class Split:
    """One pair of `.rec` and `.idx` in a manifest."""
    records: int
    per_class: list
    rec_bytes: int
    rec_sha256: str                   # "" for a large file
    idx_sha256: str
    records_sha256: str               # over the rows of SPLIT.records.npy
    pixels_sha256: str = ""  # over label and decoded pixels, record by record; "" where encoding is lossy
    order: str = "as in the source"
    shuffle_seed: int = None
    encoding: str = "lossless"
    repaired: list = field(default_factory=list)  # "MEMBER: what was wrong with it" of images encoded again
    left_out: list = field(default_factory=list)      # ... and of members that became no record

    @property
    def labelled(self):
        """Whether the images have labels; all images of a split have, or none."""
        return not self.records or any(self.per_class)


@dataclass
class Manifest:
    """The contents of `manifest.json`."""
    dataset: str
    classes: list
    sources: dict                     # file name -> SHA-256, "" if not computed (folders, --no-checksum)
    splits: dict                      # name -> Split
    tool_version: str
    subset: str = ""                  # what was left out of the publisher's data; "" if nothing
    options: dict = field(default_factory=dict)       # of the preparation, those that decide the records
    format: int = FORMAT
    root_hash: str = field(default="")

    def __post_init__(self):
        self.splits = {name: s if isinstance(s, Split) else Split(**s) for name, s in self.splits.items()}
        self.root_hash = self.root_hash or root_hash(self.classes, self.splits)

    @property
    def classes_sha256(self):
        return classes_sha256(self.classes)


def classes_sha256(classes):
    """SHA-256 over the class names, one a line, in label order."""
    return hashlib.sha256("\n".join(classes).encode()).hexdigest()


def root_hash(classes, splits):
    """SHA-256 over the class list's hash and each split's record rows, splits in alphabetical order."""
    lines = [f"classes {classes_sha256(classes)}"]
    lines += [f"{name} {splits[name].records} {splits[name].records_sha256}" for name in sorted(splits)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def record_row(key, label, payload):
    """The row of one record for `SPLIT.records.npy`."""
    stored = _STORED_NO_LABEL if label == NO_LABEL else label
    return key, stored, len(payload), hashlib.sha256(payload).digest()


def describe_split(folder, name, classes, rows, rec_sha256=None, **more):
    """Write `NAME.records.npy` and return the `Split` of the finished `.rec` and `.idx` in `folder`.

    `rec_sha256` is the `.rec`'s, from a writer that computed it; without it the file is read.
    """
    folder = Path(folder)
    rows = np.array(rows, RECORD)
    with atomic_path(folder / f"{name}.records.npy") as part:
        np.save(part, rows, allow_pickle=False)
    rec = folder / f"{name}.rec"
    rec_bytes = rec.stat().st_size
    rec_sha256 = (rec_sha256 or sha256_of(rec)) if rec_bytes < HASH_WHOLE_FILES_BELOW else ""
    labels = rows["label"][rows["label"] != _STORED_NO_LABEL]
    assert len(labels) in (0, len(rows)), f"{name}: some records have labels, others none"
    return Split(records=len(rows), per_class=np.bincount(labels, minlength=len(classes)).tolist(),
                 rec_bytes=rec_bytes, rec_sha256=rec_sha256, idx_sha256=sha256_of(rec.with_suffix(".idx")),
                 records_sha256=hashlib.sha256(rows.tobytes()).hexdigest(), **more)


def write_manifest(folder, manifest):
    """Write `manifest.json`, the last file of a preparation: if it exists, all others are complete."""
    content = asdict(manifest)
    content["classes_sha256"] = manifest.classes_sha256
    atomic_write(Path(folder) / "manifest.json", json.dumps(content, indent=1) + "\n")


def check_types(content):
    """Raise ValueError if a part of a manifest's JSON that decides what is read has another type."""
    for name, kind in (("dataset", str), ("classes", list), ("sources", dict), ("splits", dict),
                       ("options", dict)):
        if not isinstance(content.get(name, kind()), kind):
            raise ValueError(f"{name} is no {kind.__name__}")
    if not all(isinstance(name, str) for name in content["classes"]):
        raise ValueError("a class has no name")
    for name, split in content["splits"].items():
        counts = [split["records"], split["rec_bytes"], *split["per_class"]]
        if not all(type(count) is int and 0 <= count < 1 << 62 for count in counts):
            raise ValueError(f"split {name!r} has a number that is no count")


def read_manifest(folder):
    """Read `manifest.json` and check its hashes.

    Raises
    ------
    UserError
        If it is missing, unreadable, of a newer format, or its hashes do not match its contents.
    """
    path = Path(folder) / "manifest.json"
    try:
        content = parse_json(path.read_bytes())
        if content["format"] == FORMAT:
            check_types(content)
            claimed = content.pop("classes_sha256"), content.pop("root_hash")
            manifest = Manifest(**content)
            computed = manifest.classes_sha256, manifest.root_hash
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); "
                        f"prepare the data with data_prep/cifar.py or imagenet.py") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: is no manifest ({error!r}); prepare the data again") from error
    if content["format"] != FORMAT:
        raise UserError(f"{path}: format {content['format']}, this version reads {FORMAT}; prepare the data "
                        f"again")
    if claimed != computed:
        raise UserError(f"{path}: its hashes do not follow from its contents, it was edited; prepare the "
                        f"data again")
    return manifest


def open_split(folder, name, manifest, idx_path=None):
    """Reader and labels of a split whose files agree with the manifest; the index by default next to it.

    Returns
    -------
    reader : RecordReader
    labels : int64 array, shape (records,)
        All `NO_LABEL` if the split has none.

    Raises
    ------
    UserError
        If a file is missing, damaged, or not the one that the manifest describes, or a label is out of range.
    """
    folder = Path(folder)
    split = manifest.splits.get(name)
    if split is None:
        raise UserError(f"{folder}/manifest.json: has no split {name!r}, only {', '.join(manifest.splits)}")
    reader = RecordReader(folder / f"{name}.rec", idx_path)
    checks = [(reader.path, "bytes", reader.bytes, split.rec_bytes),
              (reader.idx_path, "records", len(reader), split.records),
              (reader.idx_path, "SHA-256", sha256_of(reader.idx_path), split.idx_sha256)]
    if split.rec_bytes < HASH_WHOLE_FILES_BELOW:
        checks.append((reader.path, "SHA-256", sha256_of(reader.path), split.rec_sha256))
    for path, what, found, expected in checks:
        if found != expected:
            raise UserError(f"{path}: does not match manifest.json: {what} {found}, manifest {expected}; "
                            f"prepare it again")
    rows = read_rows(folder, name, split)
    if not split.labelled:
        return reader, np.full(len(rows), NO_LABEL)
    bad = np.flatnonzero(rows["label"] >= len(manifest.classes))
    if bad.size:
        raise UserError(f"{reader.describe(int(bad[0]))}: label {rows['label'][bad[0]]} is out of range for "
                        f"{len(manifest.classes)} classes ({bad.size} such records)")
    return reader, rows["label"].astype(np.int64)


def read_rows(folder, name, split):
    """The rows of `NAME.records.npy`, checked against the manifest's hash of them."""
    path = Path(folder) / f"{name}.records.npy"
    size = split.records * RECORD.itemsize
    with open_file("", path) as stream:
        begins = stream.read(6)
        content = stream.read()            # rows only: their form is known, so NumPy's header is not needed
    rows = content[len(content) - size:] if size else b""
    digest = hashlib.sha256(rows).hexdigest()
    if begins != b"\x93NUMPY" or len(content) < size or digest != split.records_sha256:
        raise UserError(f"{path}: does not match manifest.json; prepare the data again")
    return np.frombuffer(rows, RECORD)
