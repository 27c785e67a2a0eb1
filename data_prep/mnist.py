"""MNIST, Fashion-MNIST and KMNIST from their IDX files to RecordIO, lossless, with a manifest.

    python data_prep/mnist.py --dataset mnist --source ~/Downloads/mnist --out ~/.mxnet/datasets/mnist/rec
    python data_prep/mnist.py --dataset kmnist          # look in ~/.mxnet/datasets/kmnist, else download
    python data_prep/mnist.py --dataset mnist --source FOLDER --subset

A source is a folder with the publisher's four files, packed (.gz) or not. Writes train.rec, train.idx,
test.rec, test.idx (PNG of one channel), a table of record hashes for each, and manifest.json. Records are in
the source's order. `python -m data_prep.verify DIR` checks the result.
"""

import gzip
import hashlib
import io
import struct
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import gluon_tricks
from data_prep.archives import MOST_MEMBER_BYTES, check_size
from data_prep.common import add_check_flags, add_overwrite_flag, parser_of, print_prepared, subset_note
from data_prep.small_images import check_archive, download_archive, report, write_split
from gluon_tricks.data.classes import FASHION_MNIST_CLASSES, KMNIST_CLASSES, MNIST_CLASSES
from gluon_tricks.data.manifest import Manifest, read_manifest, write_manifest
from gluon_tricks.data.paths import default_record_dir, mxnet_dataset_dir
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder, only_writer, read_file

SIDE = 28
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049          # unsigned bytes in three dimensions and in one
PREFIX = {"train": "train", "test": "t10k"}
BALANCED = {"train": (6000,) * 10, "test": (1000,) * 10}


class IdxFile(NamedTuple):
    """A publisher's file, with the attributes that small_images.py needs to check and fetch it."""
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
    counts: dict             # split -> images of each class
    md5: dict                # split -> MD5 of its packed files: (images, labels)

    def files(self, dataset, split):
        """The two files of a split, images and labels."""
        names = [f"{PREFIX[split]}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
        return [IdxFile(name, md5, self.base, dataset) for name, md5 in zip(names, self.md5[split])]


# Hashes as in torchvision; those of MNIST's two test files were compared with the files
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
    known, subset = DATASETS[args.dataset], subset_note(args.subset)
    out = Path(args.out).expanduser() if args.out else default_record_dir(args.dataset)
    make_folder("--out", out)
    with only_writer(out):
        if (out / "manifest.json").exists() and not args.overwrite:
            manifest = read_manifest(out)
            if (manifest.dataset, manifest.subset) == (args.dataset, subset):
                return print_prepared(out)
            raise UserError(f"--out {out}: holds {manifest.dataset} prepared with other options; choose "
                            f"another folder or give --overwrite")
        arrays, sources = read_source(args.source, args.dataset, args.subset, not args.no_checksum)
        (out / "manifest.json").unlink(missing_ok=True)
        splits = {}
        for name, (images, labels) in arrays.items():
            rows = ((int(label), 0, image) for label, image in zip(labels, images))
            splits[name] = write_split(out, name, rows, len(images), known.classes)
        manifest = Manifest(dataset=args.dataset, classes=list(known.classes), sources=sources, splits=splits,
                            tool_version=gluon_tricks.__version__, subset=subset)
        write_manifest(out, manifest)
    report(out, manifest, {name: sum(counts) for name, counts in known.counts.items()})
    return 0


def read_source(source, dataset, subset, checksum):
    """`({split: (images, labels)}, {file name: SHA-256})`, all checked; `source` is a folder or None."""
    known, folder = DATASETS[dataset], Path(source).expanduser() if source else mxnet_dataset_dir(dataset)
    arrays, sources = {}, {}
    for split in PREFIX:
        contents = []
        for file in known.files(dataset, split):
            path = find(folder, file, fetch=not source, checksum=checksum and not subset)
            content = unpacked(path)
            sources[path.name.removesuffix(".gz")] = hashlib.sha256(content).hexdigest()
            contents.append((path, content))
        images, labels = parse_images(*contents[0]), parse_labels(*contents[1])
        counts = class_counts(contents[1][0], images, labels, dataset)
        if counts != known.counts[split] and not subset:
            raise UserError(f"{contents[1][0]}: {counts} images per class, published {known.counts[split]}; "
                            f"give --subset if this is intended")
        arrays[split] = images, labels
    return arrays, dict(sorted(sources.items()))


def find(folder, file, fetch, checksum):
    """The path of a publisher's file, packed or not; with `fetch` a missing file is downloaded."""
    plain = file.archive.removesuffix(".gz")
    for name in (plain, plain.replace("-idx", ".idx"), file.archive):
        if (folder / name).is_file():
            if checksum and name == file.archive:
                check_archive(folder / name, file)
            return folder / name
    if not fetch:
        raise UserError(f"--source {folder}: has no {file.archive}, nor {plain}")
    return download_archive(file, folder)


def unpacked(path):
    """Bytes of a file, packed or not."""
    content = read_file(path, MOST_MEMBER_BYTES)
    if path.suffix != ".gz":
        return content
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            content = stream.read(MOST_MEMBER_BYTES + 1)
        check_size(f"{path}: its content", len(content))
        return content
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
    """The sizes in an IDX header: big-endian words after the magic number; so many bytes follow."""
    length = 4 * (1 + dimensions)
    if len(content) < length or struct.unpack(">I", content[:4])[0] != magic:
        raise UserError(f"{path}: is no IDX file of {'images' if dimensions == 3 else 'labels'}")
    sizes = struct.unpack(f">{dimensions}I", content[4:length])
    if len(content) - length != np.prod(sizes, dtype=np.int64):
        raise UserError(f"{path}: {len(content) - length} bytes follow its header, which says "
                        f"{' x '.join(map(str, sizes))}; it is truncated or damaged")
    return sizes


def class_counts(path, images, labels, dataset):
    """Images of each class, as a tuple; labels out of range are refused."""
    classes = len(DATASETS[dataset].classes)
    if len(images) != len(labels):
        raise UserError(f"{path}: {len(labels)} labels for {len(images)} images")
    if labels.size and labels.max() >= classes:
        raise UserError(f"{path}: label {labels.max()} is out of range for {dataset}")
    return tuple(np.bincount(labels, minlength=classes).tolist())


def parse_args(argv):
    parser = parser_of(__doc__)
    parser.add_argument("--dataset", choices=tuple(DATASETS), required=True, help="which of the three")
    parser.add_argument("--source", help="folder with the four IDX files; default ~/.mxnet/datasets/DATASET, "
                                         "where missing files are downloaded")
    parser.add_argument("--out", help="output folder; default ~/.mxnet/datasets/DATASET/rec")
    add_check_flags(parser)
    add_overwrite_flag(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)
