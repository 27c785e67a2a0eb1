"""Reassessed labels of ImageNet's validation images (Beyer et al. 2020, "Are we done with ImageNet?").

`real.json`, as published, is a list with one list of class indices for each image, in the order of the file
names: the first is of ILSVRC2012_val_00000001.JPEG. An image may have several labels, or none. With L_i the
list of image i,

    accuracy = |{i : argmax f(x_i) in L_i}| / |{i : L_i is not empty}|
"""

import os
import re

from gluon_tricks.data.classes import imagenet_val_labels
from gluon_tricks.errors import UserError
from gluon_tricks.files import parse_json, read_file, sha256_of
from gluon_tricks.saved.names import WNID, check_same_classes, published_names
from gluon_tricks.training.evaluation import highest_classes

FLAG = "--real-labels"
MOST_BYTES = 1 << 28
VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.jpe?g", re.IGNORECASE)


def read_real_labels(path):
    """The lists of a `real.json`.

    Raises
    ------
    UserError
        If it is no list of lists of class indices.
    """
    content = read_file(path, MOST_BYTES, what=f"{FLAG} ")
    try:
        lists = parse_json(content)
    except ValueError as error:
        raise UserError(f"{FLAG} {path}: is no JSON ({error}); give the published real.json") from error
    if not isinstance(lists, list) or not lists:
        raise UserError(f"{FLAG} {path}: is no list with a list of class indices for each image")
    for number, labels in enumerate(lists, start=1):
        if not isinstance(labels, list) or not all(type(label) is int and label >= 0 for label in labels):
            raise UserError(f"{FLAG} {path}: entry {number} is no list of class indices")
    return lists


def places_of(path, count, data):
    """Where the labels of each image stand in a list in the order of file names.

    The number in `ILSVRC2012_val_00000001.JPEG` says it. Other names are sorted, if the list has an entry for
    each. Records without names have keys in this order if data_prep/imagenet.py wrote them.

    Parameters
    ----------
    path : path
        Of the list, for messages.
    count : int
        Its entries.
    data : Validation
        With `names`.

    Returns
    -------
    list of int

    Raises
    ------
    UserError
        If the order is not known.
    """
    names = [os.path.basename(name) for name in data.names]
    numbers = [VAL_NAME.fullmatch(name) for name in names]
    if not data.has_file_names:
        places = [int(name) for name in names]
        is_known = needs_published_labels(data) or data.root_hash and len(places) == count
    elif all(numbers):
        places, is_known = [int(number[1]) - 1 for number in numbers], True
    else:
        order = {name: place for place, name in enumerate(sorted(names))}
        places, is_known = [order[name] for name in names], len(order) == count
    if not is_known:
        raise UserError(f"{FLAG} {path}: has the labels of {count} images in the order of their file names, "
                        f"which is not known of the {len(names)} images of {data.path}; give --data-dir with "
                        "the published file names, or records of data_prep/imagenet.py")
    if needs_published_labels(data):
        count = min(count, len(imagenet_val_labels()))
    if len(set(places)) < len(places) or not 0 <= min(places) <= max(places) < count:
        raise UserError(f"{FLAG} {path}: has the labels of {count} images, and {data.path} others: image "
                        f"{max(places) + 1} is the last of {len(places)}")
    return places


def needs_published_labels(data):
    """Whether images in records are to be recognised by the labels of ILSVRC2012's validation images."""
    return not data.has_file_names and (data.classes is None or len(data.classes) == 1000)


class RealTally:
    """Counts right answers by the reassessed labels.

    Parameters
    ----------
    path : path
        A `real.json`.
    data : Validation
        With `names`.

    Attributes
    ----------
    images, correct, unlabelled : int
        Images with a label, right answers among them, and images whose list is empty.
    """

    def __init__(self, path, data):
        if data.classes and any(map(WNID.match, data.classes)) and len(data.classes) == 1000:
            check_same_classes(f"{FLAG} {path}", published_names(), data.path, data.classes)
        self.path, self.data, self.lists = path, data, read_real_labels(path)
        self.places = places_of(path, len(self.lists), data)
        self.published = imagenet_val_labels() if needs_published_labels(data) else None
        self.highest = max((label for labels in self.lists for label in labels), default=-1)
        self.images = self.correct = self.unlabelled = 0

    def add(self, positions, output, label):
        """Take positions and labels, int64, shape (n,), and outputs, shape (n, classes); images with a label
        below 0 were not read and are left out."""
        if self.highest >= output.shape[1]:
            raise UserError(f"{FLAG} {self.path}: has class {self.highest}, the net only {output.shape[1]} "
                            "outputs; the labels are of ImageNet's 1000 classes")
        answers = highest_classes(output, 1)[:, 0]
        for position, answer, own in zip(positions.tolist(), answers.tolist(), label.tolist()):
            if own < 0:
                continue
            place = self.places[position]
            self._check(position, place, own)
            self.unlabelled += not self.lists[place]
            self.images += bool(self.lists[place])
            self.correct += answer in self.lists[place]

    def _check(self, position, place, own):
        if self.published is not None and own != self.published[place]:
            raise UserError(f"{FLAG} {self.path}: the image with key {self.data.names[position]} of "
                            f"{self.data.path} has label {own}, ILSVRC2012_val_{place + 1:08d}.JPEG has "
                            f"{self.published[place]}; the records are not in the order of file names, so "
                            "give --data-dir, or records of data_prep/imagenet.py")

    @property
    def error(self):
        """The error rate. Raises UserError if no image has a label."""
        if not self.images:
            raise UserError(f"{FLAG} {self.path}: has no label for any of these images")
        return 1 - self.correct / self.images

    def line(self):
        """The line to print."""
        return (f"real labels: correct {self.correct} of {self.images}, {100 * (1 - self.error):.2f} %; "
                f"{self.unlabelled} images without a label are left out")

    def result(self):
        """The same as a dict."""
        return {"path": str(self.path), "sha256": sha256_of(self.path), "images": self.images,
                "correct": self.correct, "unlabelled": self.unlabelled, "err": self.error}
