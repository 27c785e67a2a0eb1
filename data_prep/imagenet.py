"""ImageNet (ILSVRC2012) from the publisher's archives, or from class folders, to RecordIO with a manifest.

    python data_prep/imagenet.py --train-tar ILSVRC2012_img_train.tar --val-tar ILSVRC2012_img_val.tar \\
        --out /data/rec
    python data_prep/imagenet.py --train-dir /data/train --val-dir /data/val --resize 480 --out /data/rec-480
    python data_prep/imagenet.py --train-dir /data/imagenette2/train --val-dir /data/imagenette2/val \\
        --subset --classes found --out /data/imagenette-rec

Writes train.rec, train.idx, val.rec, val.idx, a table of record hashes for each, and manifest.json. Nothing
is extracted: the disk holds the archives and the output. After an interruption the same command continues.
The root hash depends neither on interruptions nor on the number of threads. `python -m data_prep.verify DIR`
checks it.

Images keep their bytes unless --resize is given. Each one is decoded once, as a check. Labels are 0 to 999 in
the order of the WordNet ids. The training set is shuffled; the validation set is in the order of its file
names.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from data_prep.common import parser_of
from data_prep.imagenet_sources import Archive, Folder, devkit_val_wnids, list_images, published_val_wnids
from data_prep.photographs import (
    DataSet,
    Published,
    add_encoding_flags,
    add_packing_flags,
    check_counts,
    options_of,
    prepare,
)
from gluon_tricks.data.classes import imagenet_synsets
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder

PUBLISHED = Published("ImageNet", 1000, {"train": 1281167, "val": 50000}, {
    "--train-tar": "1d675b47d978889d74fa0da5fadfb00e", "--val-tar": "29b22e2961454d5413ddabcf34fc5622",
    "--devkit": "fa75699e90414af021442c21a62c3abf"})
PUBLISHED_PER_CLASS = {"val": 50}


def main(argv=None):
    args = parse_args(argv)
    options = options_of(vars(args))
    make_folder("--out", options.out)
    train, val = source_of("train", args.train_tar, args.train_dir), source_of("val", args.val_tar,
                                                                               args.val_dir)
    splits, classes = find_images(train, val, args.classes == "found", args.devkit)
    for name, images in splits.items():
        if not options.subset:
            check_published(name, images)
        if images.strays and options.on_error == "fail":
            raise UserError(f"{images.source}: {images.strays[0]}: no image by its name "
                            f"({len(images.strays)} such members); --on-error skip leaves them out")
    archives = {"--devkit": args.devkit} if args.devkit else {}
    return prepare(DataSet("imagenet", splits, classes, named(classes), archives), options, PUBLISHED)


def source_of(name, tar, folder):
    """The `Archive` or `Folder` of a split; None if neither is given."""
    if tar:
        return Archive(f"--{name}-tar", tar)
    return Folder(f"--{name}-dir", folder) if folder else None


def find_images(train, val, found_classes, devkit):
    """`(splits, classes)`: `Images` by name of split, and the classes in label order.

    Parameters
    ----------
    train, val : Archive, Folder or None
    found_classes : bool
        Number the classes of the training set, instead of the 1000 of ILSVRC2012.
    devkit : path or None
        Archive with the labels of the validation images.
    """
    # The kit's own list labels the archive. A flat folder may hold any images, so it needs the publisher's
    # list.
    val_wnids = None
    if devkit:
        val_wnids = devkit_val_wnids(devkit)
    elif isinstance(val, Archive):
        val_wnids = published_val_wnids()
    classes = None if found_classes else [wnid for wnid, _ in imagenet_synsets()]
    splits = {}
    if train:
        splits["train"], classes = list_images(train, classes)
    if val:
        splits["val"], classes = list_images(val, classes, val_wnids)
    return splits, classes


def named(classes):
    """`"n01440764 tench"` for each class of ILSVRC2012; other classes keep the name of their folder."""
    known = dict(imagenet_synsets())
    return [f"{wnid} {known[wnid]}" if wnid in known else wnid for wnid in classes]


def check_published(name, images):
    """Refuse other numbers of images than the published ones."""
    classes, counts = np.unique(images.labels, return_counts=True)
    check_counts(images, len(classes), name, PUBLISHED)
    per_class = PUBLISHED_PER_CLASS.get(name)
    if per_class and counts.min() != per_class:
        raise UserError(f"{images.source}: class {classes[counts.argmin()]} has {counts.min()} images, "
                        f"published {per_class} of each; is the download complete? Give --subset if this is "
                        "intended")


def parse_args(argv):
    parser = parser_of(__doc__)
    read = parser.add_argument_group("Input (one of the two sets is enough)")
    for name, archive in (("train", "ILSVRC2012_img_train.tar"), ("val", "ILSVRC2012_img_val.tar")):
        either = read.add_mutually_exclusive_group()
        either.add_argument(f"--{name}-tar", metavar="TAR", help=f"the publisher's {archive}")
        either.add_argument(f"--{name}-dir", metavar="DIR", help="folder of class folders, as "
                                                                 "n01440764/*.JPEG")
    read.add_argument("--devkit", metavar="TAR",
                      help="ILSVRC2012_devkit_t12.tar.gz: take the validation labels from it, not from the "
                           "kit's own list; --val-dir may then be a flat folder")
    read.add_argument("--classes", choices=("ilsvrc2012", "found"), default="ilsvrc2012",
                      help="a label is the position in the list of the 1000 classes, or (with --subset) in "
                           "the sorted list of those found in the training set; default %(default)s")
    add_packing_flags(parser, "imagenet")
    add_encoding_flags(parser)
    args = parser.parse_args(argv)
    if not any((args.train_tar, args.train_dir, args.val_tar, args.val_dir)):
        raise UserError("give --train-tar or --train-dir, --val-tar or --val-dir")
    if args.classes == "found" and not args.subset:
        raise UserError("--classes found: other classes than the published ones are a subset; give --subset, "
                        "too")
    return args


if __name__ == "__main__":
    run_main(main)
