"""The positions, classes and splits of one's own photographs: class folders, or files named by a list."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_prep.imagenet_sources import Folder, Images, list_images
from gluon_tricks.data.folders import class_order
from gluon_tricks.errors import UserError
from gluon_tricks.files import read_file
from gluon_tricks.randomness import packing_order

MOST_LIST_BYTES = 1 << 30
SPLITS = ("train", "val")
HEADER = ("file", "path", "filename", "image")       # a first line that names the columns begins with one


def find_splits(source, root, val_share, seed):
    """The images of a source.

    Parameters
    ----------
    source : path
        A folder, or a list of files (.csv or .lst).
    root : path or None
        The folder of the list's files; None for the list's own folder.
    val_share : float in (0, 1), or None
        Share of each class that becomes the validation set, where the source does not say it.
    seed : int
        Of that draw.

    Returns
    -------
    splits : dict
        "train" and perhaps "val" -> `Images`.
    classes : list of str
        In label order.

    Raises
    ------
    UserError
        If the source is unreadable or names a split and `val_share` is given, or neither.
    """
    path = Path(source).expanduser()
    if path.suffix in (".csv", ".lst"):
        splits, classes = read_list(path, Path(root).expanduser() if root else path.parent)
    elif root:
        raise UserError(f"--root {root}: is for lists (.csv, .lst); {source} is a folder")
    else:
        splits, classes = read_folders(path)
    check_names(source, classes)
    if "val" in splits and val_share is not None:
        raise UserError(f"--val-share {val_share:g}: {source} has images of val; leave the flag out")
    if "val" not in splits and val_share is not None:
        splits = drawn_splits(splits["train"], val_share, seed)
    return splits, classes


def read_folders(path):
    """`(splits, classes)` of `path/train/CLASS` and `path/val/CLASS`, or of `path/CLASS`, all of it train."""
    if not (path / "train").is_dir():
        images, classes = list_images(Folder("folder", path))
        return {"train": images}, classes
    train, classes = list_images(Folder("folder", path / "train"))
    if not (path / "val").is_dir():
        return {"train": train}, classes
    return {"train": train, "val": list_images(Folder("folder", path / "val"), classes)[0]}, classes


def drawn_splits(images, val_share, seed):
    """Train and val of all images: of each class `val_share`, rounded, but at least one of each if it has two
    images."""
    order = packing_order(seed, len(images))
    labels, val = images.labels[order], []
    for label in np.unique(labels):
        members = order[labels == label]
        count = round(val_share * len(members))
        val += members[:min(max(count, 1), len(members) - 1)].tolist()
    is_val = np.zeros(len(images), bool)
    is_val[val] = True
    return {"train": images.take(~is_val), "val": replace(images.take(is_val), strays=[], hidden=[])}


def check_names(source, classes):
    """Refuse names that cannot be written as text."""
    for name in classes:
        if not name.isprintable():
            raise UserError(f"{source}: class {name.encode('utf-8', 'backslashreplace').decode()!r} is no "
                            "printable text; rename it")
    if len(classes) < 2:
        raise UserError(f"{source}: holds one class, {classes[0]!r}; a net needs two or more (class folders "
                        "lie directly in the folder, or in its train/ and val/)")


# --- lists --------------------------------------------------------------------------------------------------

def read_list(path, root):
    """`(splits, classes)` of a list; without a column of splits all of it is train."""
    text = read_file(path, MOST_LIST_BYTES).decode("utf-8-sig", "surrogateescape")
    rows = named_by_folder(rows_of_lst(path, text)) if path.suffix == ".lst" else rows_of_csv(path, text)
    classes = class_order({label for _, _, label, _ in rows})
    by_split, seen = {}, {}
    for number, file, label, split in rows:
        where = f"{path}, line {number}"
        if seen.setdefault(file, number) != number:
            raise UserError(f"{where}: {file} is there twice (line {seen[file]}, too)")
        try:
            size = (root / file).stat().st_size
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{where}: {root / file}: cannot be read ({reason}); --root is the folder of the "
                            "list's files") from error
        by_split.setdefault(split, []).append((os.fsencode(file), classes.index(label), size))
    if not by_split:
        raise UserError(f"{path}: names no image")
    if "train" not in by_split:
        raise UserError(f"{path}: names no image of train")
    source = Folder("--root", root)
    return {name: images_of(source, by_split[name]) for name in SPLITS if name in by_split}, classes


def images_of(source, rows):
    """The `Images` of `(file, label, bytes)`, in the order of the files."""
    files, labels, sizes = zip(*sorted(rows))
    heads, names = zip(*map(os.path.split, files))
    places = sorted(set(heads))
    number = {place: i for i, place in enumerate(places)}
    return Images(source, [os.fsdecode(place) for place in places],
                  np.array([number[head] for head in heads]), np.array(names), np.array(labels, np.int32),
                  np.zeros(len(files), np.int64), np.array(sizes, np.int64), [])


def rows_of_csv(path, text):
    """`(line, file, class, split)` of `FILE,CLASS` or `FILE,CLASS,SPLIT`; a line of column names is passed
    over."""
    rows = []
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        fields = [field.strip() for field in row]
        if not any(fields) or (number == 1 and fields[0].lower() in HEADER):
            continue
        if len(fields) not in (2, 3) or not all(fields):
            raise UserError(f"{path}, line {number}: {row!r} is not FILE,CLASS or FILE,CLASS,SPLIT; one "
                            "class to an image")
        split = fields[2] if len(fields) == 3 else "train"
        if split not in SPLITS:
            raise UserError(f"{path}, line {number}: split {split!r}; it is train or val")
        rows.append((number, fields[0], fields[1], split))
    return rows


def rows_of_lst(path, text):
    """The same of im2rec's `NUMBER<TAB>LABEL<TAB>FILE`, all of it train."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) > 3:
            raise UserError(f"{path}, line {number}: {len(fields) - 2} labels for {fields[-1]}; this kit "
                            "trains on one class to an image")
        try:
            _, label, file = fields
            value = float(label)
            if value != int(value) or value < 0:
                raise ValueError
        except (ValueError, OverflowError):
            raise UserError(f"{path}, line {number}: {line!r} is not NUMBER<TAB>LABEL<TAB>FILE with a label "
                            "0, 1, 2 ...") from None
        rows.append((number, file, str(int(value)), "train"))
    return rows


def named_by_folder(rows):
    """The rows of a .lst with the names of their folders in place of numbers, if each class has one folder of
    its own.

    im2rec numbers class folders in sorted order, which is the order of the names here.
    """
    folders = {}
    for _, file, label, _ in rows:
        folders.setdefault(label, set()).add(os.path.basename(os.path.dirname(file)))
    names = {label: next(iter(found)) for label, found in folders.items() if len(found) == 1}
    ordered = [names.get(label, "") for label in class_order(names)]
    if len(names) < len(folders) or not all(ordered) or ordered != sorted(set(ordered)):
        return rows
    return [(number, file, names[label], split) for number, file, label, split in rows]
