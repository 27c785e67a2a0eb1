"""The positions of ILSVRC2012's images in the publisher's archives or in class folders.

    ILSVRC2012_img_train.tar           n01440764.tar ...     each of n01440764_10026.JPEG ...
    ILSVRC2012_img_val.tar             ILSVRC2012_val_00000001.JPEG ...
    ILSVRC2012_devkit_t12.tar.gz       meta.mat, ILSVRC2012_validation_ground_truth.txt
    FOLDER                             n01440764/n01440764_10026.JPEG ...         or a tar of such folders

An archive is read once for the positions of its members, and then image by image in any order. Nothing is
extracted.
"""

import hashlib
import io
import os
import re
import tarfile
from array import array
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from data_prep.archives import SPECIAL_FILE, Member, check_name, open_tar, read_member
from gluon_tricks.data.classes import imagenet_synsets, imagenet_val_labels
from gluon_tricks.data.folders import HIDDEN, NO_IMAGE, class_order, is_hidden, is_image
from gluon_tricks.errors import UserError
from gluon_tricks.training.status import progress_bar

WNID = re.compile(r"n\d{8}")
VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


@dataclass
class Images:
    """The images of one split in the order of their file names, as columns of equal length.

    An image's number in this order is the key of its record. It depends neither on the order in which records
    are written nor on the kind of source.
    """
    source: object               # an Archive or a Folder
    places: list                 # class tars or folders in it
    place: np.ndarray            # each image's index into `places`
    names: np.ndarray            # file names, as bytes
    labels: np.ndarray
    offsets: np.ndarray          # in an archive
    sizes: np.ndarray
    strays: list                 # files whose names are not those of images
    hidden: list = field(default_factory=list)   # hidden files and folders, and those of the system

    def __len__(self):
        return len(self.names)

    def read(self, number):
        place, name = self.places[self.place[number]], os.fsdecode(self.names[number])
        return self.source.read(place, name, int(self.offsets[number]), int(self.sizes[number]))

    def describe(self, number):
        """The name of an image inside its source, for messages."""
        return describe(self.places[self.place[number]], os.fsdecode(self.names[number]))

    def path(self, number):
        """The path of an image below its source."""
        place = self.places[self.place[number]]
        return os.path.join(place, os.fsdecode(self.names[number])).encode("utf-8",
                                                                           "backslashreplace").decode()

    def take(self, chosen):
        """The chosen images alone, by a boolean array; strays and hidden files stay."""
        columns = ("place", "names", "labels", "offsets", "sizes")
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})

    def left_out(self):
        """`NAME: REASON` of everything that is no image by its name."""
        return [f"{name}: {reason}" for names, reason in ((self.strays, NO_IMAGE), (self.hidden, HIDDEN))
                for name in names]

    def sha256(self):
        """SHA-256 over names, labels and sizes: enough to recognise the same images."""
        return hashlib.sha256(b"".join(column.tobytes()
                                       for column in (self.names, self.labels, self.sizes))).hexdigest()


def describe(place, name):
    words = ": ".join(filter(None, (place, name)))
    return words.encode("utf-8", "backslashreplace").decode()        # file names need not be text


def list_images(source, classes=None, val_wnids=None):
    """The positions and labels of a source's images.

    Parameters
    ----------
    source : Archive or Folder
    classes : list of str, optional
        In label order; None for the classes found, in `class_order`.
    val_wnids : list of str, optional
        The class of ILSVRC2012_val_00000001.JPEG and so on: labels of images outside class folders.

    Returns
    -------
    images : Images
    classes : list of str
    """
    names, strays, hidden = [], [], []
    place, class_number, offsets, sizes = array("i"), array("i"), array("q"), array("q")
    place_numbers, class_numbers = {}, {}
    for folder, name, offset, size in source.files():
        if is_hidden(f"{folder}/{name}"):
            hidden.append(describe(folder, name))
            continue
        if not is_image(name):
            strays.append(describe(folder, name))
            continue
        wnid = class_of(source, folder, name, val_wnids)
        names.append(os.fsencode(name))
        place.append(place_numbers.setdefault(folder, len(place_numbers)))
        class_number.append(class_numbers.setdefault(wnid, len(class_numbers)))
        offsets.append(offset)
        sizes.append(size)
    if not names:
        raise UserError(f"{source}: holds no images"
                        + f" ({len(hidden)} files or folders are {HIDDEN})" * bool(hidden))
    classes = classes or class_order(class_numbers)
    unknown = sorted(set(class_numbers) - set(classes))
    if unknown:
        raise UserError(f"{source}: {unknown[0]!r} is none of the {len(classes)} classes ({len(unknown)} "
                        f"such); give --classes found if the training set's classes are not those of "
                        "ILSVRC2012")
    names, labels = np.array(names), np.array([classes.index(wnid) for wnid in class_numbers], np.int32)
    labels = labels[np.array(class_number)]
    order = np.lexsort((labels, names))
    columns = (np.array(column)[order] for column in (place, names, labels, offsets, sizes))
    images = Images(source, list(place_numbers), *columns, sorted(strays), sorted(hidden))
    same_name, same_label = (column[1:] == column[:-1] for column in (images.names, images.labels))
    twice = np.flatnonzero(same_name & same_label)
    if twice.size:
        raise UserError(f"{source}: {images.describe(twice[0])} is there twice ({twice.size} such images)")
    return images, classes


def class_of(source, folder, name, val_wnids):
    """The class of an image: its class tar or folder, or its entry in the list of validation labels."""
    folder, published = os.path.basename(folder), VAL_NAME.fullmatch(name)
    if val_wnids and published and not WNID.match(folder):
        number = int(published[1])
        if not 1 <= number <= len(val_wnids):
            raise UserError(f"{source}: {name} has no label; the list has those of images 1 to "
                            f"{len(val_wnids)}")
        return val_wnids[number - 1]
    if not folder:
        remedy = ("give --val-tar, or the labels with --devkit "
                  "ILSVRC2012_devkit_t12.tar.gz" if source.flag == "--val-dir"
                  else "class folders are expected")
        raise UserError(f"{source}: {describe('', name)} lies in no class folder and so has no label; "
                        f"{remedy}")
    return folder[:-4] if folder.endswith(".tar") else folder


# --- archives -----------------------------------------------------------------------------------------------

class Archive:
    """A tar archive whose members are read in place."""

    def __init__(self, flag, path):
        self.flag, self.path = flag, Path(path).expanduser()
        try:
            self._fd = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise UserError(f"{flag} {path}: cannot be read ({error.strerror})") from error
        self.bytes = os.fstat(self._fd).st_size

    def __str__(self):
        return f"{self.flag} {self.path}"

    def __del__(self):
        if hasattr(self, "_fd"):
            os.close(self._fd)

    def files(self):
        """Yield `(class tar or folder, name, offset, size)` of every file, also of those in inner tars."""
        with progress_bar(self.bytes, f"listing {self.path.name}", "B") as bar:
            for member in self._members(0, self.bytes):
                end = member.offset_data + member.size
                if member.name.endswith(".tar"):
                    for inner in self._members(member.offset_data, end, f"{member.name}: "):
                        yield member.name, os.path.basename(inner.name), inner.offset_data, inner.size
                else:
                    yield *os.path.split(os.path.normpath(member.name)), member.offset_data, member.size
                bar.update(end - bar.n)

    def read(self, place, name, offset, size):
        content = os.pread(self._fd, size, offset)
        if len(content) < size:
            raise UserError(f"{self}: ends inside {describe(place, name)}; was it shortened meanwhile?")
        return content

    def _members(self, start, end, where=""):
        """The regular files of the tar in bytes `start` to `end` of the file.

        An unusual member is refused.
        """
        try:
            with open(self.path, "rb", buffering=0) as file:
                file.seek(start)
                tar = tarfile.TarFile(fileobj=file, tarinfo=Member)
                for member in tar:
                    if member.offset >= end:             # no end mark: the rest belongs to the outer archive
                        return
                    self._check(member, end, where)
                    if member.isfile():
                        yield member
                # tarfile takes a damaged header for the end
                if os.pread(self._fd, min(tarfile.BLOCKSIZE, end - tar.offset), tar.offset).strip(b"\0"):
                    raise tarfile.ReadError(f"no header at byte {tar.offset}")
        except UserError:
            raise
        except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
            raise UserError(f"{self}: {where}cannot be read as a tar archive ({error}); "
                            f"is the download complete?") from error

    def _check(self, member, end, where):
        name = f"{self}: member {describe('', where + member.name)!r}"
        check_name(name, member.name)
        if not (member.isfile() or member.isdir()) or member.issparse():
            raise UserError(f"{name} {SPECIAL_FILE}")
        if not 0 <= member.size <= end - member.offset_data:
            raise tarfile.ReadError(f"it ends inside {member.name}")


# --- folders ------------------------------------------------------------------------------------------------

class Folder:
    """Class folders with images."""

    def __init__(self, flag, path):
        self.flag, self.path = flag, Path(path).expanduser()
        if not self.path.is_dir():
            raise UserError(f"{flag} {path}: is no folder")

    def __str__(self):
        return f"{self.flag} {self.path}"

    def files(self):
        """`(class folder, name, 0, size)` of all files in and next to the class folders.

        Links are followed. Of a hidden folder there is one line, without its files.
        """
        try:
            for entry in sorted(os.scandir(self.path), key=lambda entry: entry.name):
                if entry.is_dir() and not is_hidden(entry.name):
                    yield from ((entry.name, *self._file(inner)) for inner in os.scandir(entry.path))
                else:
                    yield ("", *self._file(entry))
        except OSError as error:
            raise UserError(f"{self}: {error.filename}: cannot be read ({error.strerror})") from error

    def read(self, place, name, offset, size):
        try:
            return (self.path / place / name).read_bytes()
        except OSError as error:
            raise UserError(f"{self}: {describe(place, name)}: cannot be read ({error.strerror})") from error

    @staticmethod
    def _file(entry):
        if entry.is_file():
            return entry.name, 0, entry.stat().st_size
        return entry.name + "/", 0, 0  # a folder, a device, a dead link: its name is no image's


# --- labels of the validation images ------------------------------------------------------------------------

def published_val_wnids():
    """The class of ILSVRC2012_val_00000001.JPEG and so on, from the kit's own list."""
    wnids = [wnid for wnid, _ in imagenet_synsets()]
    return [wnids[label] for label in imagenet_val_labels()]


def devkit_val_wnids(path):
    """The class of ILSVRC2012_val_00000001.JPEG and so on, from the publisher's development kit.

    The kit numbers classes by its own ids, 1 to 1000, in another order than the WordNet ids; `meta.mat` has
    both.
    """
    from scipy.io import loadmat

    where = f"--devkit {path}"
    wanted = {"meta.mat": None, "ILSVRC2012_validation_ground_truth.txt": None}
    with open_tar(where, Path(path).expanduser()) as tar:
        for member in tar:                               # read, never extracted
            if member.isfile() and os.path.basename(member.name) in wanted:
                wanted[os.path.basename(member.name)] = read_member(where, tar, member)
    for name, content in wanted.items():
        if content is None:
            raise UserError(f"{where}: has no {name}; give ILSVRC2012_devkit_t12.tar.gz, the kit of tasks 1 "
                            "and 2")
    meta, ground_truth = wanted.values()
    try:
        synsets = np.atleast_1d(loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"])
        leaves = synsets[synsets["num_children"] == 0]   # the others are groups of classes
        wnid_of = {int(number): str(wnid) for number, wnid in zip(leaves["ILSVRC2012_ID"], leaves["WNID"])}
        return [wnid_of[int(line)] for line in ground_truth.split()]
    except Exception as error:                           # a damaged .mat file can raise any error
        raise UserError(f"{where}: meta.mat and the ground truth do not fit together ({error!r})") from error
