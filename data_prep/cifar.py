"""CIFAR-10 and CIFAR-100 to RecordIO, lossless, with a manifest.

    python data_prep/cifar.py --source cifar-10-binary.tar.gz --out ~/.mxnet/datasets/cifar10/rec
    python data_prep/cifar.py --dataset cifar100                   # look in ~/.mxnet/datasets/cifar100, else download
    python data_prep/cifar.py --source cifar-100-python --out /data/cifar100

Writes train.rec, train.idx, test.rec, test.idx (PNG, so every pixel is kept), a table of record hashes for each, and
manifest.json. Records stand in the source's order; the label is the class, `id2` the superclass of CIFAR-100.
An interrupted run is taken up by the same command. `python -m data_prep.verify DIR` recomputes everything.
"""

import argparse
import hashlib
import json
import os
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from tqdm import tqdm

import gluon_tricks
from data_prep.cifar_sources import CLASSES, LAYOUTS, PUBLISHED_COUNTS, find_source
from gluon_tricks.data.manifest import (
    Manifest,
    Split,
    describe_split,
    read_manifest,
    record_row,
    write_manifest,
)
from gluon_tricks.data.paths import default_record_dir, mxnet_dataset_dir
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_path, atomic_write, sha256_of

PNG = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]
JOURNAL = ".prepare.json"
SPLIT_FILES = ("{}.rec", "{}.idx", "{}.records.npy")


def main(argv=None):
    args = parse_args(argv)
    source = locate_source(args)
    out = Path(args.out).expanduser() if args.out else default_record_dir(source.layout.dataset)
    classes = list(CLASSES[source.layout.dataset])
    check_class_names(source, classes)
    journal = open_output(out, request_of(args, source), args.overwrite)
    if journal is None:
        return 0
    splits = {}
    for name, batches in source.splits().items():
        splits[name] = write_split(out, name, batches, source, classes, args, journal)
    manifest = Manifest(dataset=source.layout.dataset, classes=classes, sources=dict(sorted(source.hashes.items())),
                        splits=splits, tool_version=gluon_tricks.__version__, subset=describe_subset(args))
    write_manifest(out, manifest)
    (out / JOURNAL).unlink()
    report(out, manifest)
    return 0


# --- the source ---------------------------------------------------------------------------------------------------

def locate_source(args):
    """The archive or folder named by --source, else what lies in the default place, else a download."""
    if args.source:
        path = Path(args.source).expanduser()
        source = find_source(path, args.dataset)
        if path.name == source.layout.archive and not args.no_checksum:
            check_md5(path, source.layout)
        return source
    if not args.dataset:
        raise UserError("give --source ARCHIVE_OR_FOLDER, or --dataset cifar10|cifar100 to look in the default place")
    folder = mxnet_dataset_dir(args.dataset)
    layouts = [layout for layout in LAYOUTS if layout.dataset == args.dataset]
    for layout in layouts:
        if (folder / layout.archive).is_file():
            if not args.no_checksum:
                check_md5(folder / layout.archive, layout)
            return find_source(folder / layout.archive, args.dataset)
    if folder.is_dir():
        try:
            return find_source(folder, args.dataset)
        except UserError:
            pass                           # nothing complete there: download
    return find_source(download(layouts[0], folder), args.dataset)


def check_md5(path, layout):
    """Refuse an archive under the publisher's name whose MD5 is not the published one."""
    digest = hashlib.md5()
    with open(path, "rb") as stream, progress(path.stat().st_size, f"checking {path.name}", "B") as bar:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            bar.update(len(chunk))
    if digest.hexdigest() != layout.md5:
        raise UserError(f"{path}: MD5 {digest.hexdigest()}, published {layout.md5}: the download is damaged or another "
                        f"file; fetch {layout.url} again, or give --no-checksum")


def download(layout, folder):
    """Fetch an archive into `folder`, checked before it gets its name."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / layout.archive
    print(f"downloading {layout.url} to {target}", file=sys.stderr)
    try:
        with atomic_path(target) as part:
            with urllib.request.urlopen(layout.url, timeout=60) as answer, open(part, "wb") as stream, \
                    progress(int(answer.headers.get("Content-Length") or 0), layout.archive, "B") as bar:
                while chunk := answer.read(1 << 18):
                    stream.write(chunk)
                    bar.update(len(chunk))
            check_md5(part, layout)
    except OSError as error:
        raise UserError(f"--dataset {layout.dataset}: not found in {folder}, and {layout.url} cannot be fetched ({error}); "
                        f"put {layout.archive} there or give --source") from error
    return target


def check_class_names(source, classes):
    names = source.class_names()
    if names is None:
        print(f"note: {source.path} has no {source.layout.names_file}; the known names of {source.layout.dataset} are used",
              file=sys.stderr)
    elif names != classes:
        odd = next((f"{i} is {n!r}, expected {c!r}" for i, (n, c) in enumerate(zip(names, classes)) if n != c),
                   f"{len(names)} names, expected {len(classes)}")
        raise UserError(f"{source.path}: {source.layout.names_file}: class {odd}")


# --- the output ---------------------------------------------------------------------------------------------------

def request_of(args, source):
    """What decides the output's bytes; a journal of another request is not taken up."""
    return {"source": str(source.path.resolve()), "dataset": source.layout.dataset, "encoding": source.layout.encoding,
            "subset": args.subset, "per_class": args.per_class, "tool_version": gluon_tricks.__version__}


def open_output(out, request, overwrite):
    """Prepare the output folder.

    Returns the splits that an interrupted run of the same request finished, or None if everything is there already.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be made ({error.strerror})") from error
    if not os.access(out, os.W_OK):
        raise UserError(f"--out {out}: is not writable")
    journal = {"request": request, "splits": {}}
    if (out / JOURNAL).is_file() and not overwrite:
        earlier = json.loads((out / JOURNAL).read_text())
        if earlier["request"] != request:
            raise UserError(f"--out {out}: holds an interrupted preparation of {earlier['request']['source']}; finish it "
                            f"with its own command, or give --overwrite")
        journal = earlier
    elif not overwrite:
        if (out / "manifest.json").exists():
            manifest = read_manifest(out)
            if manifest.dataset == request["dataset"] and request["per_class"] is None and not manifest.subset:
                print(f"{out}: {manifest.dataset} is prepared already, root hash {manifest.root_hash}; "
                      f"check it with python -m data_prep.verify {out}, or give --overwrite")
                return None
        present = [name for split in ("train", "test") for name in (f.format(split) for f in SPLIT_FILES)
                   if (out / name).exists()]
        if present or (out / "manifest.json").exists():
            raise UserError(f"--out {out}: holds {', '.join(present) or 'manifest.json'} of something else; "
                            f"choose another folder or give --overwrite")
    (out / "manifest.json").unlink(missing_ok=True)
    atomic_write(out / JOURNAL, json.dumps(journal))
    return journal


def write_split(out, name, batches, source, classes, args, journal):
    """Write one split and note it in the journal; a split that the journal has, intact, is only read through."""
    done = journal["splits"].get(name)
    if done and (out / f"{name}.rec").exists() and sha256_of(out / f"{name}.rec") == done["rec_sha256"]:
        for _ in batches:                  # the source's hashes and labels are still checked
            pass
        return Split(**done)
    rows, pixels_digest = [], hashlib.sha256()
    expected = args.per_class_counts[name] * len(classes) if args.per_class else None
    total = expected or PUBLISHED_COUNTS[source.layout.dataset][name]
    with atomic_path(out / f"{name}.rec") as rec, atomic_path(out / f"{name}.idx") as idx, \
            progress(total, f"{name}.rec", "images") as bar:
        images = number(select(batches, args.per_class_counts.get(name), len(classes)))
        for key, label, payload in write_image_records(rec, idx, encode(images, pixels_digest)):
            rows.append(record_row(key, label, payload))
            bar.update()
        check_counts(name, [row[1] for row in rows], classes, args, total)
    split = describe_split(out, name, classes, rows, pixels_sha256=pixels_digest.hexdigest())
    journal["splits"][name] = vars(split)
    atomic_write(out / JOURNAL, json.dumps(journal))
    return split


def select(batches, per_class, classes):
    """The images of all batches in order, or only the first `per_class` of each class."""
    taken = np.zeros(classes, np.int64)
    for fine, coarse, pixels in batches:
        for label, superclass, image in zip(fine, coarse, pixels):
            if per_class is None or taken[label] < per_class:
                taken[label] += 1
                yield int(label), int(superclass), image


def number(images):
    for key, (label, superclass, image) in enumerate(images):
        yield key, label, superclass, image


def encode(images, digest):
    """PNG-encode images, adding label and pixels to the digest."""
    for key, label, superclass, image in images:
        digest.update(bytes([label]) + np.ascontiguousarray(image).tobytes())
        yield key, label, superclass, cv2.imencode(".png", image[..., ::-1], PNG)[1].tobytes()


def check_counts(name, labels, classes, args, total):
    """Published counts, balanced classes; --subset lifts both."""
    if args.subset:
        return
    counts = np.bincount(labels, minlength=len(classes))
    if len(labels) != total:
        raise UserError(f"{name}: {len(labels)} images, published {total}; give --subset if that is meant")
    uneven = np.flatnonzero(counts != total // len(classes))
    if uneven.size:
        raise UserError(f"{name}: class {classes[uneven[0]]} has {counts[uneven[0]]} images, published "
                        f"{total // len(classes)}; give --subset if that is meant")


def describe_subset(args):
    if args.per_class:
        return "the first {train} training and {test} test images of each class".format(**args.per_class_counts)
    return "given as a subset, counts not checked" if args.subset else ""


def report(out, manifest):
    for name, split in manifest.splits.items():
        published = PUBLISHED_COUNTS[manifest.dataset][name]
        print(f"{name}.rec: {split.records} records (published {published}), {min(split.per_class)} to "
              f"{max(split.per_class)} per class, {split.rec_bytes / 1e6:.1f} MB, order: {split.order}")
    print(f"{out}: {manifest.dataset}, root hash {manifest.root_hash}")


def progress(total, what, unit):
    """A progress bar with rate and ETA, on a terminal only."""
    return tqdm(total=total or None, desc=what, unit=unit, unit_scale=unit == "B", disable=None)


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", help="the publisher's archive, or the folder it unpacks to")
    parser.add_argument("--dataset", choices=sorted(CLASSES),
                        help="without --source: look in the default place, ~/.mxnet/datasets/DATASET, else download")
    parser.add_argument("--out", help="output folder; default ~/.mxnet/datasets/DATASET/rec")
    parser.add_argument("--subset", action="store_true", help="accept other counts than the published ones")
    parser.add_argument("--per-class", metavar="TRAIN,TEST",
                        help="keep only the first TRAIN training and TEST test images of each class, as 200,50")
    parser.add_argument("--no-checksum", action="store_true", help="do not check the archive's published MD5")
    parser.add_argument("--overwrite", action="store_true", help="replace what the output folder holds")
    args = parser.parse_args(argv)
    args.per_class_counts = {}
    if args.per_class:
        try:
            train, test = (int(n) for n in args.per_class.split(","))
            if min(train, test) < 1:
                raise ValueError
        except ValueError:
            raise UserError(f"--per-class {args.per_class}: give two positive numbers, as 200,50") from None
        args.per_class_counts = {"train": train, "test": test}
    return args


if __name__ == "__main__":
    run_main(main)
