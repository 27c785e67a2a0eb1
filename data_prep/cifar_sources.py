"""Read CIFAR-10 and CIFAR-100 from the publisher's files: two encodings, packed or unpacked.

    cifar-10-binary.tar.gz   data_batch_1.bin ... 5, test_batch.bin, batches.meta.txt   label, pixels
    cifar-10-python.tar.gz   data_batch_1 ... 5, test_batch, batches.meta               pickled dictionaries
    cifar-100-binary.tar.gz  train.bin, test.bin, fine_label_names.txt, coarse_...      two labels, pixels
    cifar-100-python.tar.gz  train, test, meta                                          pickled dictionaries

The pixels are 3072 bytes: the red, green and blue planes of 32 rows of 32 pixels.
"""

import contextlib
import hashlib
import io
import pickle
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.archives import MOST_MEMBER_BYTES, open_tar, read_member
from gluon_tricks.data.classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from gluon_tricks.errors import UserError
from gluon_tricks.files import read_file

PIXEL_BYTES = 3 * 32 * 32


@dataclass(frozen=True)
class Layout:
    """One encoding of one data set."""
    dataset: str
    encoding: str
    archive: str
    md5: str                                      # from the publisher's page
    train_files: tuple
    test_files: tuple
    names_file: str
    mxnet_sha1: str = ""                          # of MXNet's own copy: same name, no folder inside
    label_bytes: int = 1                          # binary encoding only; the last of them is the class
    names_key: str = ""                           # python encoding only
    label_key: str = ""
    coarse_key: str = ""

    @property
    def url(self):
        return f"https://www.cs.toronto.edu/~kriz/{self.archive}"


_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
LAYOUTS = (
    Layout("cifar10", "binary", "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530",
           tuple(f"{b}.bin" for b in _BATCHES), ("test_batch.bin",), "batches.meta.txt",
           mxnet_sha1="fab780a1e191a7eda0f345501ccd62d20f7ed891"),
    Layout("cifar10", "python", "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a",
           _BATCHES, ("test_batch",), "batches.meta", names_key="label_names", label_key="labels"),
    Layout("cifar100", "binary", "cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8",
           ("train.bin",), ("test.bin",), "fine_label_names.txt",
           mxnet_sha1="a0bb982c76b83111308126cc779a992fa506b90b", label_bytes=2),
    Layout("cifar100", "python", "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85",
           ("train",), ("test",), "meta", names_key="fine_label_names", label_key="fine_labels",
           coarse_key="coarse_labels"),
)
CLASSES = {"cifar10": CIFAR10_CLASSES, "cifar100": CIFAR100_CLASSES}
SUPERCLASSES = {"cifar10": 1, "cifar100": 20}     # CIFAR-10 has none: all its images get superclass 0
PUBLISHED_COUNTS = {"cifar10": {"train": 50000, "test": 10000}, "cifar100": {"train": 50000, "test": 10000}}


@dataclass
class Source:
    """An archive or folder with a data set.

    `splits()` reads labels and pixels; `hashes` has the SHA-256 of every file read so far.
    """
    path: Path
    layout: Layout
    hashes: dict = field(default_factory=dict)

    def splits(self):
        """`{"train": batches, "test": batches}`, each an iterator of `(fine, coarse, pixels)` per source
        file.

        `fine` and `coarse` are int arrays of shape (n,), `pixels` uint8 of shape (n, 32, 32, 3) in RGB order.
        """
        return {"train": self._batches(self.layout.train_files),
                "test": self._batches(self.layout.test_files)}

    def read_through(self):
        """Check every label; return the SHA-256 of every file."""
        for batches in self.splits().values():
            for _ in batches:
                pass
        return self.hashes

    def class_names(self):
        """The names in the source's own list; None if it has no list (many folders have only the batches)."""
        with contextlib.suppress(FileNotFoundError):
            content = self._read(self.layout.names_file)
            try:
                if self.layout.encoding == "binary":
                    return content.decode("ascii").split()
                names = _unpickle(content, self.layout.names_file)[self.layout.names_key.encode()]
                return [_text(name) for name in names]
            except (UnicodeDecodeError, KeyError, TypeError) as error:
                raise UserError(f"{self.path}: {self.layout.names_file}: is no list of class names "
                                f"({error!r})") from error
        return None

    def _batches(self, files):
        for name in files:
            try:
                content = self._read(name)
            except FileNotFoundError:
                raise UserError(f"--source {self.path}: has no {name}; it must hold "
                                f"{', '.join(files)}") from None
            decode = _decode_binary if self.layout.encoding == "binary" else _decode_python
            fine, coarse, pixels = decode(content, name, self.layout)
            self._check_labels(name, "label", fine, len(CLASSES[self.layout.dataset]))
            self._check_labels(name, "superclass", coarse, SUPERCLASSES[self.layout.dataset])
            yield fine, coarse, pixels

    def _check_labels(self, name, what, labels, classes):
        wrong = np.flatnonzero((labels < 0) | (labels >= classes))
        if wrong.size:
            raise UserError(f"{self.path}: {name}: image {wrong[0]} has {what} {labels[wrong[0]]}, out of "
                            f"range for {self.layout.dataset} ({wrong.size} such images)")

    def _read(self, name):
        """Content of the file of that name, in any folder; FileNotFoundError if there is none."""
        contents = set(_contents(self.path, name))
        if not contents:
            raise FileNotFoundError(name)
        if len(contents) > 1:
            raise UserError(f"--source {self.path}: holds different files named {name}; give the folder of "
                            "one of them")
        content = contents.pop()
        self.hashes[name] = hashlib.sha256(content).hexdigest()
        return content


def find_source(path, dataset=None):
    """The data set in an archive or folder.

    Parameters
    ----------
    path : path
        One of the publisher's archives, or a folder with its files in it or one level below.
    dataset : str, optional
        Accept only this one.

    Raises
    ------
    UserError
        If there is no data set, or more than one.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"--source {path}: does not exist")
    names = set(_names(path))
    found = [layout for layout in LAYOUTS
             if dataset in (None, layout.dataset)
             and names.issuperset(layout.train_files + layout.test_files)]
    if not found:
        wanted = " or ".join(sorted({", ".join(layout.train_files + layout.test_files) for layout in LAYOUTS
                                     if dataset in (None, layout.dataset)}))
        raise UserError(f"--source {path}: holds no complete {dataset or 'CIFAR'} ({wanted})")
    if len({layout.dataset for layout in found}) > 1:
        raise UserError(f"--source {path}: holds {' and '.join(x.dataset for x in found)}; choose with "
                        "--dataset")
    return Source(path, found[0])          # the binary encoding where both are there: no pickles


def _names(path):
    if path.is_dir():
        return [p.name for p in _files(path)]
    with open_tar(f"--source {path}", path) as tar:
        names = [Path(member.name).name for member in tar if member.isfile()]
        while tar.fileobj.read(1 << 20):   # to the very end, where gzip has its checksum
            pass
        return names


def _contents(path, name):
    """The bytes of every regular file of that name."""
    if path.is_dir():
        for file in _files(path):
            if file.name == name:
                yield read_file(file, MOST_MEMBER_BYTES)
        return
    with open_tar(f"--source {path}", path) as tar:
        for member in tar:                 # read, never extracted: folders and links do not matter
            if member.isfile() and Path(member.name).name == name:
                yield read_member(f"--source {path}", tar, member)


def _files(folder):
    return sorted(p for pattern in ("*", "*/*") for p in folder.glob(pattern) if p.is_file())


def _decode_binary(content, name, layout):
    row_bytes = layout.label_bytes + PIXEL_BYTES
    if not content or len(content) % row_bytes:
        raise UserError(f"{name}: {len(content)} bytes are not a whole number of {row_bytes}-byte images; it "
                        "is truncated")
    rows = np.frombuffer(content, np.uint8).reshape(-1, row_bytes)
    fine = rows[:, layout.label_bytes - 1].astype(np.int64)
    coarse = rows[:, 0].astype(np.int64) if layout.label_bytes == 2 else np.zeros_like(fine)
    return fine, coarse, _interleave(rows[:, layout.label_bytes:])


def _decode_python(content, name, layout):
    batch = _unpickle(content, name)
    try:
        fine = np.array(batch[layout.label_key.encode()], np.int64)
        coarse = np.array(batch[layout.coarse_key.encode()],
                          np.int64) if layout.coarse_key else np.zeros_like(fine)
        coarse = coarse.reshape(fine.shape)
        planes = np.asarray(batch[b"data"], np.uint8).reshape(len(fine), PIXEL_BYTES)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{name}: is no CIFAR batch ({error!r})") from error
    return fine, coarse, _interleave(planes)


def _interleave(planes):
    return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


class _ArraysOnly(pickle.Unpickler):
    """Unpickles dictionaries of numbers, bytes and numpy arrays; anything else in the file is refused."""

    ALLOWED = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"),
               ("_codecs", "encode")}

    def find_class(self, module, name):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _unpickle(content, name):
    try:
        return _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:             # a damaged pickle can raise any error
        raise UserError(f"{name}: is no pickled CIFAR file ({error})") from error


def _text(name):
    return name.decode() if isinstance(name, bytes) else name
