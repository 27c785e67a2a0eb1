"""Pascal VOC's layout: boxes in XML, lists of images per split.

    VOC2007/Annotations/000001.xml   JPEGImages/000001.jpg   ImageSets/Main/trainval.txt

Corners in the files count pixels from 1; here, as in GluonCV, from 0.
"""

import hashlib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

import mxnet as mx
import numpy as np

from gluon_tricks.errors import UserError

CLASSES = ("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
           "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
           "tvmonitor")

# in the lists for detection
IMAGES = {(2007, "trainval"): 5011, (2007, "test"): 4952, (2012, "trainval"): 11540}


class Annotation(NamedTuple):
    """Contents of an XML file; boxes are (xmin, ymin, xmax, ymax), pixels from 0."""

    width: int
    height: int
    names: tuple
    boxes: np.ndarray        # float32, shape (M, 4)
    difficult: np.ndarray    # bool, shape (M,)


def parse_annotation(content, where):
    """Read the bytes of an annotation.

    Raises
    ------
    UserError
        If it is not XML, lacks a field, or has a box that is empty or not inside the image; names `where`.
    """
    try:
        root = ET.fromstring(content)
    except ET.ParseError as error:
        raise UserError(f"{where}: broken XML ({error})") from error
    width, height = (int(_number(root, f"size/{name}", where)) for name in ("width", "height"))
    if width < 1 or height < 1:
        raise UserError(f"{where}: an image of {width} x {height} pixels")
    names, boxes, difficult = [], [], []
    for number, item in enumerate(root.iter("object"), start=1):
        name = (item.findtext("name") or "").strip().lower()
        if not name:
            raise UserError(f"{where}: object {number} has no name")
        box = [_number(item, f"bndbox/{side}", where) - 1 for side in ("xmin", "ymin", "xmax", "ymax")]
        if not (0 <= box[0] < box[2] < width and 0 <= box[1] < box[3] < height):
            corners = ", ".join(f"{value + 1:g}" for value in box)
            raise UserError(f"{where}: the box ({corners}) of object {number}, {name}, is not inside the "
                            f"image of {width} x {height} pixels")
        names.append(name)
        boxes.append(box)
        difficult.append((item.findtext("difficult") or "0").strip() == "1")
    return Annotation(width, height, tuple(names), np.array(boxes, np.float32).reshape(-1, 4),
                      np.array(difficult, bool))


def _number(node, path, where):
    try:
        return float(node.findtext(path))
    except (TypeError, ValueError):
        raise UserError(f"{where}: no number at {path}") from None


class VocDetection:
    """Images with boxes, all annotations read and checked at the start.

    Parameters
    ----------
    root : path
        Holds VOC2007, VOC2012, ...
    splits : sequence of (year, split)
        As `[(2007, "trainval"), (2012, "trainval")]`.
    classes : sequence of str, optional
        Default: the twenty of VOC if they cover all names, else those found, sorted. Objects of other classes
        are left out, as in GluonCV.

    Raises
    ------
    UserError
        If a list, an annotation or an image is missing or unusable.
    """

    def __init__(self, root, splits, classes=None):
        self.root, self.splits, digest = Path(root).expanduser(), tuple(splits), hashlib.sha256()
        self.items, self.annotations = [], []
        for year, split in self.splits:
            folder = self.root / f"VOC{year}"
            for name in read_list(folder / "ImageSets" / "Main" / f"{split}.txt"):
                path = folder / "Annotations" / f"{name}.xml"
                content = _bytes(path)
                digest.update(f"{year} {name} ".encode() + content)
                self.items.append(folder / "JPEGImages" / f"{name}.jpg")
                self.annotations.append(parse_annotation(content, path))
        self.root_hash = digest.hexdigest()
        found = {name for annotation in self.annotations for name in annotation.names}
        if not classes:
            classes = CLASSES if found <= set(CLASSES) else sorted(found)
        self.classes = tuple(classes)
        self._labels = [self._label(annotation) for annotation in self.annotations]

    def _label(self, annotation):
        rows = [(*box, self.classes.index(name), hard) for name, box, hard
                in zip(annotation.names, annotation.boxes, annotation.difficult) if name in self.classes]
        return np.array(rows, np.float64).reshape(-1, 6)

    def __len__(self):
        return len(self.items)

    def label(self, position):
        """Boxes of an image: float64, shape (M, 6): corners, class, whether difficult."""
        return self._labels[position].copy()

    def __getitem__(self, position):
        """`(image, label)`: uint8 NDArray, shape (H, W, 3), and `label(position)`."""
        path, annotation = self.items[position], self.annotations[position]
        try:
            image = mx.image.imread(str(path), 1)
        except (mx.MXNetError, OSError) as error:
            raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
        if image.shape[:2] != (annotation.height, annotation.width):
            raise UserError(f"{path}: {image.shape[1]} x {image.shape[0]} pixels, its annotation says "
                            f"{annotation.width} x {annotation.height}")
        return image, self.label(position)


def read_list(path):
    """The image names of a split; further columns, as in the lists of one class, are left out."""
    names = [line.split()[0] for line in _bytes(path).decode("utf-8", "replace").splitlines() if line.strip()]
    if not names:
        raise UserError(f"{path}: lists no image")
    return names


def _bytes(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); prepare the data with "
                        f"data_prep/voc.py") from error
