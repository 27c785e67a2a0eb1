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
import http.client
import json
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
    read_rows,
    record_row,
    write_manifest,
)
from gluon_tricks.data.paths import default_record_dir, mxnet_dataset_dir
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_path, atomic_write, make_folder, only_writer, sha256_of

PNG = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]
JOURNAL = ".prepare.json"
SPLIT_FILES = ("{}.rec", "{}.idx", "{}.records.npy")


def main(argv=None):
    args = parse_args(argv)
    source = locate_source(args)
    out = Path(args.out).expanduser() if args.out else default_record_dir(source.layout.dataset)
    classes = list(CLASSES[source.layout.dataset])
    check_class_names(source, classes)
    make_folder("--out", out)
    with only_writer(out):
        journal = open_output(out, source, args)
        if journal is None:
            return 0
        splits = {name: write_split(out, name, batches, source, classes, args, journal)
                  for name, batches in source.splits().items()}
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
            check_archive(path, source.layout)
        return source
    if not args.dataset:
        raise UserError("give --source ARCHIVE_OR_FOLDER, or --dataset cifar10|cifar100 to look in the default place")
    folder = mxnet_dataset_dir(args.dataset)
    layouts = [layout for layout in LAYOUTS if layout.dataset == args.dataset]
    for layout in layouts:
        if (folder / layout.archive).is_file():
            if not args.no_checksum:
                check_archive(folder / layout.archive, layout)
            return find_source(folder / layout.archive, args.dataset)
    if folder.is_dir():
        try:
            return find_source(folder, args.dataset)
        except UserError:
            pass                           # nothing complete there: download
    return find_source(download(layouts[0], folder), args.dataset)


def check_archive(path, layout):
    """Refuse an archive under the publisher's name that is neither the publisher's nor the copy that MXNet downloads."""
    md5, sha1 = hashlib.md5(), hashlib.sha1()
    with open(path, "rb") as stream, progress(path.stat().st_size, f"checking {layout.archive}", "B") as bar:
        while chunk := stream.read(1 << 20):
            md5.update(chunk)
            sha1.update(chunk)
            bar.update(len(chunk))
    if md5.hexdigest() != layout.md5 and sha1.hexdigest() != layout.mxnet_sha1:
        raise UserError(f"{path.with_name(layout.archive)}: MD5 {md5.hexdigest()}, published {layout.md5}: the download is "
                        f"damaged or another file; fetch {layout.url} again, or give --no-checksum")


def download(layout, folder):
    """Fetch an archive into `folder`, checked before it gets its name."""
    target = folder / layout.archive
    make_folder(f"--dataset {layout.dataset}", folder)
    with only_writer(folder):
        if target.is_file():               # another process has fetched it meanwhile
            return target
        print(f"downloading {layout.url} to {target}", file=sys.stderr)
        try:
            fetch(layout, target)
        except (OSError, http.client.HTTPException) as error:
            raise UserError(f"--dataset {layout.dataset}: not found in {folder}, and {layout.url} cannot be fetched "
                            f"({error}); put {layout.archive} there or give --source") from error
    return target


def fetch(layout, target):
    with atomic_path(target) as part:
        with urllib.request.urlopen(layout.url, timeout=60) as answer, open(part, "wb") as stream, \
                progress(int(answer.headers.get("Content-Length") or 0), layout.archive, "B") as bar:
            while chunk := answer.read(1 << 18):
                stream.write(chunk)
                bar.update(len(chunk))
        check_archive(part, layout)


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
            "per_class": args.per_class, "tool_version": gluon_tricks.__version__}


def open_output(out, source, args):
    """Prepare the output folder.

    Returns the splits that an interrupted run of the same request finished, or None if everything is there already.
    """
    journal = {"request": request_of(args, source), "splits": {}}
    if not args.overwrite and (out / JOURNAL).is_file():
        earlier = json.loads((out / JOURNAL).read_text())
        if earlier["request"] == journal["request"]:
            journal = earlier
        elif earlier["splits"]:
            raise UserError(f"--out {out}: holds an interrupted preparation of {earlier['request']['source']}; finish it "
                            f"with its own command, or give --overwrite")
    elif not args.overwrite:
        if (out / "manifest.json").exists():
            manifest = read_manifest(out)
            if is_prepared(manifest, source, args):
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


def is_prepared(manifest, source, args):
    """Whether the manifest is what this request would make; a complete data set is, from whichever encoding."""
    if (manifest.dataset, manifest.subset) != (source.layout.dataset, describe_subset(args)):
        return False
    return not manifest.subset or manifest.sources == source.read_through()


def write_split(out, name, batches, source, classes, args, journal):
    """Write one split and note it in the journal; a split that the journal has, intact, is only read through."""
    split = Split(**journal["splits"][name]) if name in journal["splits"] else None
    if split and is_intact(out, name, split):
        check_counts(name, split.per_class, source, args)
        for _ in batches:                  # the source's hashes and labels are still checked
            pass
        return split
    rows, pixels_digest = [], hashlib.sha256()
    per_class = args.per_class_counts.get(name)
    total = per_class * len(classes) if per_class else PUBLISHED_COUNTS[source.layout.dataset][name]
    with atomic_path(out / f"{name}.rec") as rec, atomic_path(out / f"{name}.idx") as idx, \
            progress(total, f"{name}.rec", "images") as bar:
        images = number(select(batches, per_class, len(classes)))
        for key, label, payload in write_image_records(rec, idx, encode(images, pixels_digest)):
            rows.append(record_row(key, label, payload))
            bar.update()
        check_counts(name, np.bincount([row[1] for row in rows], minlength=len(classes)), source, args)
    split = describe_split(out, name, classes, rows, pixels_sha256=pixels_digest.hexdigest())
    journal["splits"][name] = vars(split)
    atomic_write(out / JOURNAL, json.dumps(journal))
    return split


def is_intact(out, name, split):
    """Whether the three files of a split are those it describes."""
    rec = out / f"{name}.rec"
    try:
        read_rows(out, name, split)
        return (sha256_of(rec), sha256_of(rec.with_suffix(".idx"))) == (split.rec_sha256, split.idx_sha256)
    except (UserError, OSError):
        return False


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
    """PNG-encode images of shape (H, W, 3) or (H, W, 1), adding label and pixels, three values each, to the digest."""
    for key, label, superclass, image in images:
        digest.update(bytes([label]) + np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3))).tobytes())
        yield key, label, superclass, cv2.imencode(".png", image[..., ::-1], PNG)[1].tobytes()


def check_counts(name, per_class, source, args):
    """As many images of each class as published, or as --per-class asks for; --subset accepts others."""
    if args.subset:
        return
    classes = CLASSES[source.layout.dataset]
    wanted, whose = PUBLISHED_COUNTS[source.layout.dataset][name] // len(classes), "published"
    if args.per_class:
        wanted, whose = args.per_class_counts[name], f"--per-class {args.per_class} asks for"
    if sum(per_class) != wanted * len(classes):
        raise UserError(f"{name}: {sum(per_class)} images, {whose} {wanted * len(classes)}; give --subset if that is meant")
    for label, count in enumerate(per_class):
        if count != wanted:
            raise UserError(f"{name}: class {classes[label]} has {count} images, {whose} {wanted}; "
                            f"give --subset if that is meant")


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
    if args.per_class is not None:
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
