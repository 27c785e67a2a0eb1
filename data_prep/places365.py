"""Places365-Standard from the publisher's archives to RecordIO with a manifest, for train_imagenet.py --dataset places365.

    python data_prep/places365.py --train-tar train_256_places365standard.tar --val-tar val_256.tar \\
        --file-lists filelist_places365-standard.tar --out /data/places365-rec
    python data_prep/places365.py --test-tar test_256.tar --file-lists filelist_places365-standard.tar --out /data/test

Writes train.rec, train.idx, val.rec, val.idx, a table of record hashes for each, and manifest.json, as data_prep/imagenet.py
does: nothing is extracted, images keep their bytes, every one is decoded, the same command goes on after an interruption.
Labels are 0 to 364, as in categories_places365.txt. The publisher keeps the labels of the test set: its records have none,
and test.names.txt has the images' names, for `python -m gluon_tricks evaluate --rec-val test.rec --predictions FILE`.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

import gluon_tricks
from data_prep import imagenet
from data_prep.folders import tar_members
from data_prep.imagenet_sources import Archive, Images
from data_prep.packing import open_journal
from gluon_tricks.compat import visible_cpus
from gluon_tricks.data.manifest import NO_LABEL, Manifest, write_manifest
from gluon_tricks.data.names import names_path, names_sha256
from gluon_tricks.data.paths import default_record_dir
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, only_writer

PUBLISHED_CLASSES = 365
PUBLISHED_COUNTS = {"train": 1803460, "val": 36500, "test": 328500}
PUBLISHED_MD5 = {"--train-tar": "53ca1c756c3d1e7809517cc47c5561c5", "--val-tar": "e27b17d8d44f4af9a78502beb927f808",
                 "--test-tar": "f532f6ad7b582262a2ec8009075e186b", "--file-lists": "35a0585fee1fa656440f3ab298f8479c"}
LISTS = {"train": "places365_train_standard.txt", "val": "places365_val.txt", "test": "places365_test.txt",
         "classes": "categories_places365.txt"}


def main(argv=None):
    args = parse_args(argv)
    out = imagenet.make_folder(Path(args.out).expanduser())
    cv2.setNumThreads(1)                                            # the threads here take one image each
    tars = {name: tar for name in PUBLISHED_COUNTS if (tar := getattr(args, f"{name}_tar"))}
    lists = read_lists(args.file_lists, tars)
    classes = class_names(lists["classes"])
    splits = {name: find_images(name, tar, labels_of(lists[name], LISTS[name], None if name == "test" else len(classes)))
              for name, tar in tars.items()}
    for name, images in splits.items():
        check_images(name, images, len(classes), args.subset)
    names = [os.fsdecode(name) for name in splits["test"].names] if "test" in splits else []
    with only_writer(out):
        request = imagenet.request_of(args, splits, classes) | {"source": "Places365"}
        if names:
            request["names"] = {"test": names_sha256(names)}
        journal = open_journal(out, request, list(splits), args.overwrite)
        if journal is None:
            return imagenet.already_prepared(out, "places365")
        imagenet.check_space(out, splits, journal, args)
        sources = imagenet.hash_sources(args, splits, journal, PUBLISHED_MD5, {"--file-lists": Path(args.file_lists)})
        packed = {name: imagenet.pack(name, images, classes, journal, args, PUBLISHED_COUNTS)
                  for name, images in splits.items()}
        manifest = Manifest("places365", classes, sources, packed, gluon_tricks.__version__,
                            subset="given as a subset, counts not checked" if args.subset else "", options=journal.request)
        if names:
            atomic_write(names_path(out / "test.rec"), "\n".join(names) + "\n")
        write_manifest(out, manifest)
        journal.remove()
    imagenet.report(out, manifest, PUBLISHED_COUNTS, PUBLISHED_CLASSES)
    return 0


def read_lists(path, splits):
    """Lists of these splits and of the classes, of the publisher's archive or the folder it unpacks to: name -> lines."""
    path, found = Path(path).expanduser(), {}
    lists = {key: LISTS[key] for key in ("classes", *splits)}
    if path.is_dir():
        for key, name in lists.items():
            if (path / name).is_file():
                found[key] = (path / name).read_bytes()
    else:
        for name, content in tar_members("--file-lists", path):
            for key, wanted in lists.items():
                if os.path.basename(name) == wanted:
                    found[key] = content
    for key, name in lists.items():
        if key not in found:
            raise UserError(f"--file-lists {path}: has no {name}; filelist_places365-standard.tar is meant")
    return {key: content.decode("utf-8", "replace").splitlines() for key, content in found.items()}


def class_names(lines):
    """Names in label order, as `/a/airfield`."""
    names = {}
    for line in filter(None, map(str.strip, lines)):
        name, _, number = line.rpartition(" ")
        if not number.isdigit() or int(number) in names:
            raise UserError(f"--file-lists: {LISTS['classes']}: {line!r} is no name with a number of its own")
        names[int(number)] = name
    if sorted(names) != list(range(len(names))):
        raise UserError(f"--file-lists: {LISTS['classes']}: numbers do not run from 0 to {len(names) - 1}")
    return [names[i] for i in range(len(names))]


def labels_of(lines, where, classes):
    """Path of an image -> label, as a list has them; without classes it is a list of names alone."""
    labels = {}
    for line in filter(None, map(str.strip, lines)):
        if classes is None:
            if len(line.split()) != 1 or line in labels:
                raise UserError(f"--file-lists: {where}: {line!r} is not one name, or is there twice")
            labels[line] = NO_LABEL
            continue
        name, _, number = line.rpartition(" ")
        if not number.isdigit() or int(number) >= classes:
            raise UserError(f"--file-lists: {where}: {line!r} has no label from 0 to {classes - 1}")
        labels[name.lstrip("/")] = int(number)
    return labels


def find_images(name, tar, labels):
    """The images of an archive that the list names, in the order of their names; the archive's top folder is left out."""
    flag = f"--{name}-tar"
    source, rows, strays = Archive(flag, tar), [], []
    for folder, file, offset, size in source.files():
        place = f"{folder}/{file}".split("/", 1)[-1] if folder else file
        if place not in labels:
            strays.append(f"{folder}/{file}")
            continue
        rows.append((os.fsencode(file), labels[place], folder, offset, size))
    if strays:
        raise UserError(f"{source}: {strays[0]} is not in {LISTS[name]} ({len(strays)} such members); is it the archive of "
                        f"these lists?")
    if not rows:
        raise UserError(f"{source}: holds no images")
    rows.sort(key=lambda row: (row[2], row[0]))
    places = sorted({row[2] for row in rows})
    number = {place: i for i, place in enumerate(places)}
    if len({(row[2], row[0]) for row in rows}) < len(rows):
        raise UserError(f"{source}: an image is there twice")
    columns = list(zip(*rows))
    return Images(source, places, np.array([number[place] for place in columns[2]]), np.array(columns[0]),
                  np.array(columns[1], np.int32), np.array(columns[3]), np.array(columns[4]), [])


def check_images(name, images, classes, subset):
    """As many images and classes as published, unless --subset."""
    if not subset and (len(images), classes) != (PUBLISHED_COUNTS[name], PUBLISHED_CLASSES):
        raise UserError(f"{images.source}: {len(images)} images in {classes} classes, published {PUBLISHED_COUNTS[name]} in "
                        f"{PUBLISHED_CLASSES}; is the download complete? Give --subset if this is meant")


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train-tar", metavar="TAR", help="train_256_places365standard.tar")
    parser.add_argument("--val-tar", metavar="TAR", help="val_256.tar")
    parser.add_argument("--test-tar", metavar="TAR", help="test_256.tar, whose labels are not published")
    parser.add_argument("--file-lists", required=True, metavar="TAR|DIR", help="filelist_places365-standard.tar")
    parser.add_argument("--out", metavar="DIR", default=default_record_dir("places365"), help="default %(default)s")
    parser.add_argument("--subset", action="store_true", help="accept other counts than the published ones")
    parser.add_argument("--no-checksum", action="store_true", help="do not check the archives' published MD5")
    parser.add_argument("--overwrite", action="store_true", help="replace what the output folder holds")
    parser.add_argument("--verify", choices=("none", "header", "full"), default="full", help="as data_prep/imagenet.py")
    parser.add_argument("--on-error", choices=("fail", "skip", "repair"), default="repair", help="as data_prep/imagenet.py")
    parser.add_argument("--journal-seconds", type=float, default=5, metavar="S", help="how often the work is synced to disk")
    parser.add_argument("--num-thread", type=int, default=visible_cpus(), metavar="N", help="threads (default: one per CPU)")
    parser.add_argument("--shuffle", action=argparse.BooleanOptionalAction, default=True, help="order of the training set")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffled order; default %(default)s")
    args = parser.parse_args(argv)
    args.resize, args.quality = 0, 95
    if not (args.train_tar or args.val_tar or args.test_tar):
        raise UserError("give --train-tar, --val-tar or --test-tar")
    if args.num_thread < 1 or args.seed < 0 or not args.journal_seconds >= 0:
        raise UserError("--num-thread, --seed, --journal-seconds: at least 1, 0 and 0")
    return args


if __name__ == "__main__":
    run_main(main)
