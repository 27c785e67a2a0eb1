"""Pascal VOC's layout: boxes in XML, lists of images per split.

    VOC2007/Annotations/000001.xml   JPEGImages/000001.jpg   ImageSets/Main/trainval.txt

Corners in the files count pixels from 1; here, as in GluonCV, from 0.
"""

import collections
import hashlib
import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

import mxnet as mx
import numpy as np

from gluon_tricks.data.encoded import MOST_BYTES, MOST_PIXELS, fault_of
from gluon_tricks.errors import UserError
from gluon_tricks.files import read_file

CLASSES = ("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
           "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
           "tvmonitor")

# in the lists for detection
IMAGES = {(2007, "trainval"): 5011, (2007, "test"): 4952, (2012, "trainval"): 11540}

MOST_XML_BYTES, LONGEST_EDGE = 1 << 21, 65535        # some thousand objects; pixels of an image
PREPARE = "prepare the data with data_prep/voc.py"


class Annotation(NamedTuple):
    """Contents of an XML file; boxes are (xmin, ymin, xmax, ymax), pixels from 0."""

    width: int
    height: int
    names: tuple
    boxes: np.ndarray        # float32, shape (M, 4)
    difficult: np.ndarray    # bool, shape (M,)


def read_annotation(path, zero_based=False):
    """`parse_annotation` of a file, and its bytes."""
    content = read_file(path, MOST_XML_BYTES, PREPARE)
    return parse_annotation(content, path, zero_based), content


def parse_annotation(content, where, zero_based=False):
    """Read the bytes of an annotation.

    Parameters
    ----------
    zero_based : bool
        Corners count pixels from 0. The right and lower ones may lie on the image's edge.

    Raises
    ------
    UserError
        If it is not XML, declares entities, lacks a field, or has a size that no image has, or a box that is
        empty or not inside the image; names `where`.
    """
    root = _parsed(content, where)
    width, height = (_number(root, f"size/{name}", where) for name in ("width", "height"))
    if not all(1 <= side <= LONGEST_EDGE and side % 1 == 0 for side in (width, height)) or \
            width * height > MOST_PIXELS:
        raise UserError(f"{where}: an image of {width:g} x {height:g} pixels")
    names, boxes, difficult = [], [], []
    for number, item in enumerate(root.iter("object"), start=1):
        name = (item.findtext("name") or "").strip().lower()
        if not name or not name.isprintable():
            raise UserError(f"{where}: object {number} has no name that can be printed ({name!r})")
        corners = [_number(item, f"bndbox/{side}", where) for side in ("xmin", "ymin", "xmax", "ymax")]
        box = [corner - (not zero_based) for corner in corners]
        # from 1, the last pixel is included; from 0, tools differ in whether it is
        right, bottom = (side if zero_based else side - 1 for side in (width, height))
        if not (0 <= box[0] < box[2] <= right and 0 <= box[1] < box[3] <= bottom):
            raise UserError(f"{where}: the box ({', '.join(f'{value:g}' for value in corners)}) of object "
                            f"{number}, {name}, is not inside the image of {width:g} x {height:g} pixels"
                            + _counted_from(corners, zero_based))
        names.append(name)
        boxes.append(box)
        difficult.append((item.findtext("difficult") or "0").strip() == "1")
    return Annotation(int(width), int(height), tuple(names), np.array(boxes, np.float32).reshape(-1, 4),
                      np.array(difficult, bool))


def _counted_from(corners, zero_based):
    if zero_based or not 0 <= min(corners[:2]) < 1:
        return ""
    return "; in VOC's layout corners count from 1, so give --zero-based if these count from 0"


def _parsed(content, where):
    """The root element. Entities are refused before they are expanded: a short file can hold gigabytes."""
    def refuse(name, *_):
        raise UserError(f"{where}: declares the entity {name!r}, and annotations need none; remove it")

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
        return ET.fromstring(content)
    except UserError:
        raise
    # LookupError and ValueError: an encoding that Python does not know, or that expat cannot use
    except (ET.ParseError, expat.ExpatError, LookupError, ValueError) as error:
        raise UserError(f"{where}: broken XML ({error})") from error


def _number(node, path, where):
    try:
        number = float(node.findtext(path))
        if math.isfinite(number):
            return number
    except (TypeError, ValueError):
        pass
    raise UserError(f"{where}: no number at {path}")


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
    zero_based : bool
        Corners count pixels from 0; also without it if the folder was prepared so.

    Attributes
    ----------
    contents : str
        A line that counts images without boxes and objects that were left out; "" if there are none.

    Raises
    ------
    UserError
        If a list, an annotation or an image is missing or unusable.
    """

    def __init__(self, root, splits, classes=None, zero_based=False):
        self.root, self.splits, digest = Path(root).expanduser(), tuple(splits), hashlib.sha256()
        self.items, self.annotations = [], []
        zero_based = zero_based or prepared_zero_based(self.root)
        for year, split in self.splits:
            folder = self.root / f"VOC{year}"
            for name in read_list(folder / "ImageSets" / "Main" / f"{split}.txt"):
                annotation, content = read_annotation(folder / "Annotations" / f"{name}.xml", zero_based)
                digest.update(f"{year} {name} ".encode() + content)
                self.items.append(folder / "JPEGImages" / f"{name}.jpg")
                self.annotations.append(annotation)
        if zero_based:
            digest.update(b"zero-based")
        self.root_hash = digest.hexdigest()
        found = collections.Counter(name for annotation in self.annotations for name in annotation.names)
        if not classes:
            classes = CLASSES if set(found) <= set(CLASSES) else sorted(found)
        self.classes = tuple(classes)
        self._labels = [self._label(annotation) for annotation in self.annotations]
        self.contents = self._contents({name: found[name] for name in sorted(set(found) - set(classes))})

    def _contents(self, other):
        empty, lines = self.box_counts.count(0), []
        if empty:
            lines.append(f"{empty} of {len(self)} images have no boxes and are background")
        if other:
            lines.append("objects of other classes are left out: "
                         + ", ".join(f"{count} {name}" for name, count in other.items()))
        words = " and ".join(f"{year}_{split}" for year, split in self.splits)
        return f"{words}: {'; '.join(lines)}" if lines else ""

    def _label(self, annotation):
        rows = [(*box, self.classes.index(name), hard) for name, box, hard
                in zip(annotation.names, annotation.boxes, annotation.difficult) if name in self.classes]
        return np.array(rows, np.float64).reshape(-1, 6)

    @property
    def box_counts(self):
        """Number of boxes of each image: list of int."""
        return [len(label) for label in self._labels]

    def __len__(self):
        return len(self.items)

    def label(self, position):
        """Boxes of an image: float64, shape (M, 6): corners, class, whether difficult."""
        return self._labels[position].copy()

    def __getitem__(self, position):
        """`(image, label)`: uint8 NDArray, shape (H, W, 3), and `label(position)`."""
        path, annotation = self.items[position], self.annotations[position]
        content = read_file(path, MOST_BYTES)
        fault = fault_of(content)
        if fault:                                  # MXNet would fill the missing part with grey
            raise UserError(f"{path}: cannot be read ({fault})")
        try:
            image = mx.image.imdecode(content, 1)
        except mx.MXNetError as error:
            raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error
        if image.shape[:2] != (annotation.height, annotation.width):
            raise UserError(f"{path}: {image.shape[1]} x {image.shape[0]} pixels, its annotation says "
                            f"{annotation.width} x {annotation.height}")
        return image, self.label(position)


def prepared_zero_based(root):
    """Whether data_prep/voc.py prepared a folder with --zero-based."""
    path = Path(root) / "manifest.json"
    if not path.is_file():
        return False
    try:
        manifest = json.loads(read_file(path, MOST_BYTES))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: is no manifest ({error}); prepare the data again") from error
    return isinstance(manifest, dict) and manifest.get("zero_based") is True


def read_list(path):
    """The image names of a split; further columns, as in the lists of one class, are left out."""
    content = read_file(path, MOST_BYTES, PREPARE).decode("utf-8", "replace")
    names = [line.split()[0] for line in content.splitlines() if line.strip()]
    if not names:
        raise UserError(f"{path}: lists no image")
    return names
