"""Places365-Standard from the publisher's archives to RecordIO with a manifest.

    python data_prep/places365.py --train-tar train_256_places365standard.tar --val-tar val_256.tar \\
        --file-lists filelist_places365-standard.tar --out /data/places365-rec
    python data_prep/places365.py --test-tar test_256.tar --file-lists filelist_places365-standard.tar \\
        --out /data/test

For train_imagenet.py --dataset places365. Writes train.rec, train.idx, val.rec, val.idx, a table of record
hashes for each, and manifest.json, as data_prep/imagenet.py does: nothing is extracted, images keep their
bytes, each one is decoded as a check, and the same command continues after an interruption. Labels are 0 to
364, as in categories_places365.txt. The labels of the test set are not published: its records have none, and
test.names.txt has the images' names, for `python -m gluon_tricks evaluate --rec-val test.rec --predictions
FILE`.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from data_prep.archives import MOST_MEMBER_BYTES, tar_members
from data_prep.common import parser_of
from data_prep.imagenet_sources import Archive, Images
from data_prep.photographs import DataSet, Published, add_packing_flags, check_counts, options_of, prepare
from gluon_tricks.data.manifest import NO_LABEL
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder, read_file

PUBLISHED = Published("Places365", 365, {"train": 1803460, "val": 36500, "test": 328500}, {
    "--train-tar": "53ca1c756c3d1e7809517cc47c5561c5", "--val-tar": "e27b17d8d44f4af9a78502beb927f808",
    "--test-tar": "f532f6ad7b582262a2ec8009075e186b", "--file-lists": "35a0585fee1fa656440f3ab298f8479c"})
LISTS = {"train": "places365_train_standard.txt", "val": "places365_val.txt", "test": "places365_test.txt",
         "classes": "categories_places365.txt"}


def main(argv=None):
    args = parse_args(argv)
    options = options_of(vars(args))
    make_folder("--out", options.out)
    tars = {name: tar for name in PUBLISHED.counts if (tar := getattr(args, f"{name}_tar"))}
    lists = read_lists(args.file_lists, tars)
    classes = class_names(lists["classes"])
    splits = {}
    for name, tar in tars.items():
        labels = labels_of(lists[name], LISTS[name], None if name == "test" else len(classes))
        splits[name] = find_images(name, tar, labels)
    if not options.subset:
        for name, images in splits.items():
            check_counts(images, len(classes), name, PUBLISHED)
    names = {"test": [os.fsdecode(name) for name in splits["test"].names]} if "test" in splits else {}
    archives = {"--file-lists": args.file_lists}
    return prepare(DataSet("places365", splits, classes, classes, archives, names), options, PUBLISHED)


def read_lists(path, splits):
    """Name -> lines.

    The lists of these splits and of the classes, from the publisher's archive or its folder.
    """
    path, found = Path(path).expanduser(), {}
    lists = {key: LISTS[key] for key in ("classes", *splits)}
    if path.is_dir():
        for key, name in lists.items():
            if (path / name).is_file():
                found[key] = read_file(path / name, MOST_MEMBER_BYTES)
    else:
        keys = {name: key for key, name in lists.items()}
        for name, content in tar_members("--file-lists", path, lambda name: os.path.basename(name) in keys):
            found[keys[os.path.basename(name)]] = content
    for key, name in lists.items():
        if key not in found:
            raise UserError(f"--file-lists {path}: has no {name}; give filelist_places365-standard.tar")
    return {key: content.decode("utf-8", "replace").splitlines() for key, content in found.items()}


def class_names(lines):
    """Names in label order, as `/a/airfield`."""
    names = {}
    for line in filter(None, map(str.strip, lines)):
        name, _, number = line.rpartition(" ")
        if not number.isdigit() or int(number) in names:
            raise UserError(f"--file-lists: {LISTS['classes']}: {line!r} is no name with a unique number")
        names[int(number)] = name
    if sorted(names) != list(range(len(names))):
        raise UserError(f"--file-lists: {LISTS['classes']}: numbers do not run from 0 to {len(names) - 1}")
    return [names[i] for i in range(len(names))]


def labels_of(lines, where, classes):
    """Path of an image -> label, from the lines of a list; with `classes` None the list has names alone."""
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
    """The `Images` of an archive that the list names, in the order of their names, without the top folder."""
    flag = f"--{name}-tar"
    source, rows, strays = Archive(flag, tar), [], []
    for folder, file, offset, size in source.files():
        place = f"{folder}/{file}".split("/", 1)[-1] if folder else file
        if place not in labels:
            strays.append(f"{folder}/{file}")
            continue
        rows.append((os.fsencode(file), labels[place], folder, offset, size))
    if strays:
        raise UserError(f"{source}: {strays[0]} is not in {LISTS[name]} ({len(strays)} such members); is it "
                        f"the archive of these lists?")
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


def parse_args(argv):
    parser = parser_of(__doc__)
    parser.add_argument("--train-tar", metavar="TAR", help="train_256_places365standard.tar")
    parser.add_argument("--val-tar", metavar="TAR", help="val_256.tar")
    parser.add_argument("--test-tar", metavar="TAR", help="test_256.tar, whose labels are not published")
    parser.add_argument("--file-lists", required=True, metavar="TAR|DIR",
                        help="filelist_places365-standard.tar")
    add_packing_flags(parser, "places365")
    args = parser.parse_args(argv)
    if not (args.train_tar or args.val_tar or args.test_tar):
        raise UserError("give --train-tar, --val-tar or --test-tar")
    return args


if __name__ == "__main__":
    run_main(main)
