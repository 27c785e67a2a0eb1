"""MNIST, Fashion-MNIST and KMNIST from their IDX files to RecordIO, lossless, with a manifest.

    python data_prep/mnist.py --dataset mnist --source ~/Downloads/mnist --out ~/.mxnet/datasets/mnist/rec
    python data_prep/mnist.py --dataset kmnist                  # look in ~/.mxnet/datasets/kmnist, else download
    python data_prep/mnist.py --dataset mnist --source FOLDER --subset

A source is a folder with the publisher's four files, packed (.gz) or not. Writes train.rec, train.idx, test.rec, test.idx
(PNG of one channel), a table of record hashes for each, and manifest.json. Records stand in the source's order.
`python -m data_prep.verify DIR` recomputes everything.
"""

import argparse
import gzip
import hashlib
import struct
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import gluon_tricks
from data_prep.cifar import check_archive, download, encode, number, progress
from gluon_tricks.data.classes import FASHION_MNIST_CLASSES, KMNIST_CLASSES, MNIST_CLASSES
from gluon_tricks.data.manifest import Manifest, describe_split, read_manifest, record_row, write_manifest
from gluon_tricks.data.paths import default_record_dir, mxnet_dataset_dir
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_path, make_folder, only_writer

SIDE = 28
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049          # unsigned bytes in three dimensions, in one
PREFIX = {"train": "train", "test": "t10k"}
BALANCED = {"train": (6000,) * 10, "test": (1000,) * 10}


class IdxFile(NamedTuple):
    """A publisher's file; named as the layouts of cifar_sources are, so that the same code checks and fetches it."""
    archive: str
    md5: str
    base: str
    dataset: str
    mxnet_sha1: str = ""

    @property
    def url(self):
        return self.base + self.archive


class IdxDataSet(NamedTuple):
    base: str
    classes: tuple
    counts: dict             # per class, of each split
    md5: dict                # of the packed files: (images, labels) of each split

    def files(self, dataset, split):
        """The two files of a split, images and labels."""
        names = [f"{PREFIX[split]}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
        return [IdxFile(name, md5, self.base, dataset) for name, md5 in zip(names, self.md5[split])]


# Hashes as torchvision has them; those of MNIST's two test files were compared with the files themselves
DATASETS = {
    "mnist": IdxDataSet(
        "https://ossci-datasets.s3.amazonaws.com/mnist/", MNIST_CLASSES,
        {"train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
         "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)},
        {"train": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432"),
         "test": ("9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c")}),
    "fashion-mnist": IdxDataSet(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", FASHION_MNIST_CLASSES, BALANCED,
        {"train": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe"),
         "test": ("bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310")}),
    "kmnist": IdxDataSet(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/", KMNIST_CLASSES, BALANCED,
        {"train": ("bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344"),
         "test": ("5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134")}),
}


def main(argv=None):
    args = parse_args(argv)
    known = DATASETS[args.dataset]
    out = Path(args.out).expanduser() if args.out else default_record_dir(args.dataset)
    make_folder("--out", out)
    with only_writer(out):
        if (out / "manifest.json").exists() and not args.overwrite:
            manifest = read_manifest(out)
            if (manifest.dataset, manifest.subset) == (args.dataset, subset_of(args)):
                print(f"{out}: {args.dataset} is prepared already, root hash {manifest.root_hash}; check it with "
                      f"python -m data_prep.verify {out}, or give --overwrite")
                return 0
            raise UserError(f"--out {out}: holds {manifest.dataset} prepared otherwise; choose another folder or give "
                            f"--overwrite")
        arrays, sources = read_source(args, known)
        (out / "manifest.json").unlink(missing_ok=True)
        splits = {split: write_split(out, split, *arrays[split], known.classes) for split in PREFIX}
        manifest = Manifest(dataset=args.dataset, classes=list(known.classes), sources=sources, splits=splits,
                            tool_version=gluon_tricks.__version__, subset=subset_of(args))
        write_manifest(out, manifest)
    for name, split in manifest.splits.items():
        print(f"{name}.rec: {split.records} records (published {sum(known.counts[name])}), {min(split.per_class)} to "
              f"{max(split.per_class)} per class, {split.rec_bytes / 1e6:.1f} MB, order: {split.order}")
    print(f"{out}: {args.dataset}, root hash {manifest.root_hash}")
    return 0


def subset_of(args):
    return "given as a subset, counts not checked" if args.subset else ""


# --- the source ---------------------------------------------------------------------------------------------------

def read_source(args, known):
    """`({split: (images, labels)}, {file name: SHA-256})`, everything checked before anything is written."""
    folder = Path(args.source).expanduser() if args.source else mxnet_dataset_dir(args.dataset)
    arrays, sources = {}, {}
    for split in PREFIX:
        contents = []
        for file in known.files(args.dataset, split):
            path = find(folder, file, args)
            content = unpacked(path)
            sources[path.name.removesuffix(".gz")] = hashlib.sha256(content).hexdigest()
            contents.append((path, content))
        images, labels = parse_images(*contents[0]), parse_labels(*contents[1])
        check(args, split, images, labels, known, contents[1][0])
        arrays[split] = images, labels
    return arrays, dict(sorted(sources.items()))


def find(folder, file, args):
    """The path of a publisher's file, packed or not; without --source it is downloaded where it is missing."""
    plain = file.archive.removesuffix(".gz")
    for name in (plain, plain.replace("-idx", ".idx"), file.archive):
        if (folder / name).is_file():
            if name == file.archive and not (args.subset or args.no_checksum):
                check_archive(folder / name, file)
            return folder / name
    if args.source:
        raise UserError(f"--source {folder}: has no {file.archive}, nor {plain}")
    return download(file, folder)


def unpacked(path):
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); is the download complete?") from error


def parse_images(path, content):
    """uint8, shape (n, 28, 28, 1), of an IDX file of images."""
    count, height, width = header(path, content, IMAGES_MAGIC, 3)
    if (height, width) != (SIDE, SIDE):
        raise UserError(f"{path}: its images have {width} x {height} pixels, expected {SIDE} x {SIDE}")
    return np.frombuffer(content, np.uint8, offset=16).reshape(count, SIDE, SIDE, 1)


def parse_labels(path, content):
    """int64, shape (n,), of an IDX file of labels."""
    header(path, content, LABELS_MAGIC, 1)
    return np.frombuffer(content, np.uint8, offset=8).astype(np.int64)


def header(path, content, magic, dimensions):
    """The sizes in an IDX header: big-endian words after the magic number, which are followed by that many bytes."""
    length = 4 * (1 + dimensions)
    if len(content) < length or struct.unpack(">I", content[:4])[0] != magic:
        raise UserError(f"{path}: is no IDX file of {'images' if dimensions == 3 else 'labels'}")
    sizes = struct.unpack(f">{dimensions}I", content[4:length])
    if len(content) - length != np.prod(sizes, dtype=np.int64):
        raise UserError(f"{path}: {len(content) - length} bytes follow its header, which says "
                        f"{' x '.join(map(str, sizes))}; it is truncated or damaged")
    return sizes


def check(args, split, images, labels, known, path):
    """Labels in range, and as many images of each class as published; --subset accepts other counts."""
    if len(images) != len(labels):
        raise UserError(f"{path}: {len(labels)} labels for {len(images)} images")
    if labels.size and labels.max() >= len(known.classes):
        raise UserError(f"{path}: label {labels.max()} is out of range for {args.dataset}")
    counts = tuple(np.bincount(labels, minlength=len(known.classes)).tolist())
    if counts != known.counts[split] and not args.subset:
        raise UserError(f"{path}: {counts} images per class, published {known.counts[split]}; give --subset if that is "
                        f"meant")


# --- the output ---------------------------------------------------------------------------------------------------

def write_split(out, name, images, labels, classes):
    """Write one split's records; returns its `Split`."""
    rows, pixels = [], hashlib.sha256()
    with atomic_path(out / f"{name}.rec") as rec, atomic_path(out / f"{name}.idx") as idx, \
            progress(len(images), f"{name}.rec", "images") as bar:
        numbered = number((int(label), 0, image) for label, image in zip(labels, images))
        for key, label, payload in write_image_records(rec, idx, encode(numbered, pixels)):
            rows.append(record_row(key, label, payload))
            bar.update()
    return describe_split(out, name, classes, rows, pixels_sha256=pixels.hexdigest())


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=tuple(DATASETS), required=True, help="which of the three")
    parser.add_argument("--source", help="folder with the four IDX files; default ~/.mxnet/datasets/DATASET, and what is "
                                         "missing there is downloaded")
    parser.add_argument("--out", help="output folder; default ~/.mxnet/datasets/DATASET/rec")
    parser.add_argument("--subset", action="store_true", help="accept other counts than the published ones")
    parser.add_argument("--no-checksum", action="store_true", help="do not check the packed files' published MD5")
    parser.add_argument("--overwrite", action="store_true", help="replace what the output folder holds")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)
