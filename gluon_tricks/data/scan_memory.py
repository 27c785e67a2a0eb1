"""What the scans of `record_scan` found, kept in a small file next to the record file for later runs."""

import contextlib
import hashlib
import json

import numpy as np

from gluon_tricks.data.record_scan import Images, Labels, scan_images, scan_labels
from gluon_tricks.files import atomic_write

FORMAT = 1                            # raised when a scan finds other things
REMEMBERED_FROM = 20_000              # records; fewer are scanned again in less than a second
_SAMPLES, _SAMPLE_BYTES = 256, 4096   # of the record file, for its fingerprint
_KINDS = {"labels": (scan_labels, Labels), "images": (scan_images, Images)}


def labels_of(reader):
    """`scan_labels` of a `RecordReader`, from memory if it was done before."""
    return remembered(reader, "labels")


def images_of(reader):
    """`scan_images` of a `RecordReader`, from memory if it was done before."""
    return remembered(reader, "images")


def remembered(reader, name):
    """The result of a scan, from the file next to the record file if that was written for the same bytes.

    The file is trusted if size, modification time and fingerprint of record file and index are those of then.
    It is not written for few records, nor where the folder is not writable.
    """
    scan, kind = _KINDS[name]
    if len(reader) < REMEMBERED_FROM:
        return scan(reader)
    path, tie = reader.path.with_name(f".{reader.path.name}.scan.json"), fingerprint(reader)
    known = _read(path, tie)
    if name not in known:
        known[name] = scan(reader)
        content = {"format": FORMAT, "file": tie, **known}
        with contextlib.suppress(OSError):         # read-only or full: the next run scans again
            atomic_write(path, json.dumps({**content, "sha256": _hash(content)}))
    return kind(*known[name])


def fingerprint(reader):
    """Size, modification time, and SHA-256 over the index and evenly spread blocks of a record file: dict."""
    digest = hashlib.sha256(reader.keys.tobytes() + reader.offsets.tobytes())
    for offset in np.linspace(0, max(0, reader.bytes - _SAMPLE_BYTES), _SAMPLES).astype(int).tolist():
        digest.update(reader.bytes_at(offset, _SAMPLE_BYTES))
    return {"bytes": reader.bytes, "mtime_ns": reader.mtime_ns, "sha256": digest.hexdigest()}


def _read(path, tie):
    """{name: fields} of the remembered scans; empty if the file is damaged, or of other bytes."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        own_hash = content.pop("sha256")
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {}
    if own_hash != _hash(content) or content.get("format") != FORMAT or content.get("file") != tie:
        return {}
    return {name: content[name] for name in _KINDS if name in content}


def _hash(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
