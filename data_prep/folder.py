"""Your own photographs, in class folders or named by a list, to RecordIO with a manifest.

    python data_prep/folder.py photos --out rec --val-share 0.25
    python data_prep/folder.py photos --out rec                       # photos/train/CLASS, photos/val/CLASS
    python data_prep/folder.py labels.csv --root photos --out rec     # lines FILE,CLASS or FILE,CLASS,SPLIT
    python data_prep/folder.py train.lst --root photos --out rec      # im2rec's lines NUMBER, LABEL, FILE

Then `python train_imagenet.py --rec-dir rec ...` trains on the records. JPEG, PNG and BMP files keep their
bytes; WebP, TIFF, CMYK and files under another format's name become RGB JPEGs. Each image is decoded once, as
a check. An image that cannot be read is left out, named and counted, as are files that are no images.
`SPLIT.names.txt` has the file of each key.

The orientation that a camera notes (EXIF) is obeyed: the decoder turns the image in training, evaluation and
`predict` alike. Classes are the names of the folders, sorted; numbers by their value. With --val-share, the
validation set is drawn: this share of each class, rounded, and at least one image if the class has two.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import hashlib

from data_prep.common import parser_of
from data_prep.folder_sources import find_splits
from data_prep.photographs import (
    DataSet,
    Published,
    add_encoding_flags,
    add_packing_flags,
    options_of,
    prepare,
)
from gluon_tricks.data.manifest import read_manifest
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.errors import run_main
from gluon_tricks.files import make_folder

NOTHING_PUBLISHED = Published("own images", None, {}, {})
FEW = 5                       # a class with fewer training images is named
MOST_NAMED = 10


def main(argv=None):
    args = parse_args(argv)
    options = options_of({**vars(args), "subset": True, "no_checksum": True})
    out = make_folder("--out", options.out)
    is_new = options.overwrite or not (out / "manifest.json").exists()
    splits, classes = find_splits(args.source, args.root, args.val_share, options.seed)
    files = {name: [images.path(key) for key in range(len(images))] for name, images in splits.items()}
    code = prepare(DataSet(args.name, splits, classes, classes, names=files), options, NOTHING_PUBLISHED)
    # every record is read for the second, which was said when they were made
    for line in [*thin_classes(read_manifest(out)), *(equal_images(out, files) if is_new else ())]:
        print(f"warning: {line}")
    return code


# --- what is worth knowing about the images -----------------------------------------------------------------

def thin_classes(manifest):
    """A line for classes without images in a split, and one for those with few to train on."""
    for name, split in manifest.splits.items():
        for least, words in ((1, f"no images in {name}"), (FEW, f"fewer than {FEW} images in {name}")):
            thin = [f"{label} ({count})" for label, count in zip(manifest.classes, split.per_class)
                    if count < least and (least == 1 or count > 0 and name == "train")]
            if thin:
                yield f"of {len(manifest.classes)} classes, those with {words}: {shortened(thin)}"


def equal_images(out, files):
    """Lines on images that are stored more than once: in train and val, or under two classes.

    Parameters
    ----------
    out : Path
        A prepared folder.
    files : dict
        Split -> file name of each key.
    """
    seen, shared, differing, repeated = {}, [], [], 0
    for split in sorted(files):                       # train before val
        reader = RecordReader(out / f"{split}.rec")
        for position in range(len(reader)):
            label, image, key, _ = reader.read_image(position)
            found = (split, label, key)
            first = seen.setdefault(hashlib.sha256(image).digest(), found)
            if first == found:
                continue
            pair = f"{files[first[0]][first[2]]} = {files[split][key]}"
            repeated += 1
            if first[1] != label:
                differing.append(pair)
            if first[0] != split:
                shared.append(pair)
    if shared:
        yield f"images in train and val, which make val's accuracy too high: {shortened(shared)}"
    if differing:
        yield f"equal images of different classes: {shortened(differing)}"
    if repeated:
        yield f"images that are copies of another one, byte for byte: {repeated}"


def shortened(names):
    """How many, and the first of them."""
    return f"{len(names)} ({', '.join(names[:MOST_NAMED])}{', ...' * (len(names) > MOST_NAMED)})"


# --- flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = parser_of(__doc__)
    parser.add_argument("source", metavar="DIR|LIST",
                        help="folder of class folders, folder of train/ and val/ with class folders, or a "
                             ".csv or .lst of files and classes")
    parser.add_argument("--root", metavar="DIR", help="the folder of a list's files; default: the list's own")
    parser.add_argument("--val-share", type=share, metavar="P",
                        help="share of each class that becomes the validation set; for sources that do not "
                             "say it. Without the flag all their images are train")
    parser.add_argument("--name", default="own-images", help="name of the data set; default %(default)s")
    add_packing_flags(parser, "own-images", published=False)
    add_encoding_flags(parser)
    return parser.parse_args(argv)


def share(text):
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} must lie between 0 and 1")
    return value


if __name__ == "__main__":
    run_main(main)
