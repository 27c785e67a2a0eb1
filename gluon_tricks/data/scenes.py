"""Images with a class for each pixel.

    ade20k   images/training/NAME.jpg   annotations/training/NAME.png    ADEChallengeData2016; 0 is "no class"
    folder   images/train/NAME.*        annotations/train/NAME.png       the last index is "no class"
    voc      VOC2012/JPEGImages, SegmentationClass, ImageSets/Segmentation; 255 is "no class"

Masks come out as class indices from 0, and -1 where there is no class.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from gluon_tricks.data.encoded import MOST_BYTES, PNG, Undecodable, decode, fault_of
from gluon_tricks.data.folders import NO_IMAGE, is_image, left_out_line, sorted_entries
from gluon_tricks.data.voc import read_list
from gluon_tricks.errors import UserError
from gluon_tricks.files import read_file

FOLDERS = {"train": ("train", "training"), "val": ("val", "validation")}
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
VOC_CLASSES = 21             # the twenty, and background
ADE_CLASSES = 150


class Scenes:
    """Pairs of image and mask.

    Parameters
    ----------
    pairs : list of (path, path)
    num_class : int
    classes_of : callable
        Stored values to classes: int array -> class indices, -1 for none; raises ValueError for a value of no
        class.
    left_out : list of (name, reason)
        Files in the folders that are no part of the data.
    """

    def __init__(self, pairs, num_class, classes_of, left_out=()):
        self.pairs, self.num_class, self._classes_of = pairs, num_class, classes_of
        self.left_out = left_out_line("the folders of images and masks", left_out)
        self.classes = range(num_class)
        digest = hashlib.sha256()
        for image, mask in pairs:
            digest.update(f"{image.name} {image.stat().st_size} ".encode() + read_file(mask, MOST_BYTES))
        self.root_hash = digest.hexdigest()

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, position):
        """`(image, mask)` as PIL images: RGB, and mode I with class indices, -1 for none.

        Raises
        ------
        UserError
            If a file cannot be read, sizes differ, or the mask has a value of no class.
        """
        image_path, mask_path = self.pairs[position]
        image, mask = read_image(image_path), read_mask(mask_path)
        if image.size != mask.shape[::-1]:
            raise UserError(f"{mask_path}: {mask.shape[1]} x {mask.shape[0]} pixels, its image has "
                            f"{image.size[0]} x {image.size[1]}")
        return image, Image.fromarray(check_mask(mask, self._classes_of, mask_path))


def read_image(path):
    """An RGB image.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    return _opened(path, lambda image: image.convert("RGB"))


def image_size(path):
    """Width and height of an image that is complete; its pixels are not decoded."""
    return _opened(path, lambda image: image.size, check=fault_of)


def _opened(path, take, check=None):
    """`take` of an image as Pillow opens it, after a check of the file that Pillow does not make."""
    content = read_file(path, MOST_BYTES)
    fault = (check or _fault_of_whole)(content)
    if fault:
        raise UserError(f"{path}: cannot be read ({fault})")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return take(image)
    except Exception as error:           # Pillow's readers raise errors of many types on damaged files
        raise UserError(f"{path}: cannot be read ({error})") from error


def _fault_of_whole(content):
    """`fault_of`, and of a PNG also whether all rows are there: Pillow fills missing ones with zeros."""
    try:
        if content.startswith(PNG):
            decode(content)
        return fault_of(content)
    except Undecodable as error:
        return error.fault or "does not decode"


def read_mask(path):
    """The stored values of a mask, int32, shape (H, W)."""
    mask, mode = _opened(path, lambda image: (np.array(image), image.mode))
    if mask.ndim != 2 or mask.dtype.kind not in "ui":
        raise UserError(f"{path}: is not a mask of class indices (mode {mode}); give one channel")
    return mask.astype(np.int32)


def check_mask(mask, classes_of, where):
    """`classes_of(mask)` as int32; its error becomes a UserError that names the file."""
    try:
        return classes_of(mask).astype(np.int32)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def ade_classes(mask):
    """ADE20K: 0 is no class, 1 to 150 are classes 0 to 149."""
    return _in_range(mask, 0, ADE_CLASSES) - 1


def voc_classes(mask):
    """VOC: 0 is background, 255 no class."""
    return _in_range(np.where(mask == 255, -1, mask), -1, VOC_CLASSES - 1)


def last_is_none(num_class):
    """Any folder: 0 to num_class - 1 are classes, num_class is none."""
    def classes(mask):
        mask = _in_range(mask, 0, num_class)
        return np.where(mask == num_class, -1, mask)
    return classes


def _in_range(mask, low, high):
    if mask.size and (mask.min() < low or mask.max() > high):
        bad = mask.max() if mask.max() > high else mask.min()
        raise ValueError(f"the mask has the value {bad}; {low} to {high} are classes")
    return mask


def open_scenes(dataset, data_dir, split, num_class=None):
    """The images of a split, "train" or "val".

    Parameters
    ----------
    dataset : "ade20k", "voc" or "folder"
    num_class : int, optional
        For "folder": the index after the last class means no class.
    """
    root = Path(data_dir).expanduser()
    if dataset == "voc":
        folder = root / "VOC2012"
        names = read_list(folder / "ImageSets" / "Segmentation" / f"{split}.txt")
        pairs = [(folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClass" / f"{name}.png")
                 for name in names]
        return Scenes(_existing(pairs), VOC_CLASSES, voc_classes)
    root = root / "ADEChallengeData2016" if (root / "ADEChallengeData2016").is_dir() else root
    pairs, left_out = paired(root, split)
    if dataset == "ade20k":
        return Scenes(pairs, ADE_CLASSES, ade_classes, left_out)
    return Scenes(pairs, num_class, last_is_none(num_class), left_out)


def paired(root, split):
    """The pairs (image, mask) of a split, sorted by name, and the `(name, reason)` of what was left out.

    Raises
    ------
    UserError
        If the folders are missing or empty, an image has no mask or a mask no image, or two have one name.
    """
    name = next((name for name in FOLDERS.get(split, (split,)) if (root / "images" / name).is_dir()), None)
    if name is None:
        raise UserError(f"--data-dir {root}: has no "
                        f"images/{' or images/'.join(FOLDERS.get(split, (split,)))}")
    left_out = []
    images = _by_stem(root / "images" / name, is_image, left_out)
    masks = _by_stem(root / "annotations" / name, lambda file: file.lower().endswith(".png"), left_out)
    alone = sorted(set(images) ^ set(masks))
    if alone or not images:
        raise UserError(f"--data-dir {root}: "
                        + (f"{name}/{alone[0]} has no {'mask' if alone[0] in images else 'image'}"
                                                  if alone else f"images/{name} is empty"))
    return [(images[stem], masks[stem]) for stem in sorted(images)], left_out


def _by_stem(folder, is_wanted, left_out):
    """The wanted files of a folder by their names without suffix."""
    found = {}
    for path in sorted_entries(folder, left_out) if folder.is_dir() else ():
        if not is_wanted(path.name):
            left_out.append((path.name, NO_IMAGE))
        elif found.setdefault(path.stem, path) != path:
            raise UserError(f"--data-dir: {path} and {found[path.stem].name} have the same name; remove one")
    return found


def _existing(pairs):
    for pair in pairs:
        for path in pair:
            if not path.is_file():
                raise UserError(f"{path}: is missing; prepare the data with data_prep/voc.py")
    return pairs
