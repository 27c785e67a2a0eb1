"""The preparation steps that CIFAR and MNIST share.

The publisher's files, lossless records, closing lines.
"""

import hashlib
import sys

import cv2
import numpy as np

from data_prep.archives import check_digests, digests_of, download
from gluon_tricks.data.manifest import describe_split, record_row
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.files import atomic_path, make_folder, only_writer
from gluon_tricks.training.status import progress_bar

PNG = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]


# --- the publisher's files ----------------------------------------------------------------------------------
# `file` has the attributes dataset, archive (file name), url, md5 and mxnet_sha1 (of MXNet's own copy, or "")

def check_archive(path, file, part=None):
    """Refuse a file under the publisher's name that is neither the publisher's nor MXNet's own copy.

    `part` is the path to read while the file has a temporary name.
    """
    check_digests(str(path), digests_of(part or path, ["md5", "sha1"]),
                  {"md5": file.md5, "sha1": file.mxnet_sha1})


def download_archive(file, folder):
    """Fetch a file into `folder` and return its path; only a file with the published digest is kept."""
    target = folder / file.archive
    make_folder(f"--dataset {file.dataset}", folder)
    with only_writer(folder):
        if not target.is_file():           # otherwise another process has fetched it in the meantime
            print(f"downloading {file.url} to {target}", file=sys.stderr)
            download(file.url, target, f"--dataset {file.dataset}: not found in {folder}, and ",
                     f"put {file.archive} there or give "
                     "--source", lambda part: check_archive(target, file, part))
    return target


# --- records ------------------------------------------------------------------------------------------------

def write_split(out, name, images, total, classes, check=lambda per_class: None):
    """Write the `.rec`, `.idx` and table of records of a split; return its `Split`.

    Parameters
    ----------
    out : Path
    images : iterable of (label, superclass, pixels)
        Pixels are uint8, shape (H, W, 3) or (H, W, 1), in RGB order.
    total : int
        Expected number of images, for the progress bar.
    classes : sequence of str
    check : callable
        Gets the number of images of each class before the files get their names, and may raise.
    """
    rows, pixels_digest = [], hashlib.sha256()
    with atomic_path(out / f"{name}.rec") as rec, atomic_path(out / f"{name}.idx") as idx, \
            progress_bar(total, f"{name}.rec", "images") as bar:
        for key, label, payload in write_image_records(rec, idx, encoded(images, pixels_digest)):
            rows.append(record_row(key, label, payload))
            bar.update()
        check(np.bincount([row[1] for row in rows], minlength=len(classes)))
    return describe_split(out, name, classes, rows, pixels_sha256=pixels_digest.hexdigest())


def encoded(images, digest):
    """Yield `(key, label, superclass, PNG)`.

    Add each label and its pixels, three values each, to the digest.
    """
    for key, (label, superclass, image) in enumerate(images):
        three = np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))
        digest.update(bytes([label]) + three.tobytes())
        yield key, label, superclass, cv2.imencode(".png", image[..., ::-1], PNG)[1].tobytes()


def report(out, manifest, published):
    """Print the counts of each split next to the published ones; `published` maps a split to its images."""
    for name, split in manifest.splits.items():
        print(f"{name}.rec: {split.records} records (published {published[name]}), {min(split.per_class)} to "
              f"{max(split.per_class)} per class, {split.rec_bytes / 1e6:.1f} MB, order: {split.order}")
    print(f"{out}: {manifest.dataset}, root hash {manifest.root_hash}")
