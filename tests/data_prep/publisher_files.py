"""CIFAR-10 and CIFAR-100 with random pixels, in the publisher's files.

Folders and archives, binary and pickled.
"""

import io
import pickle
import struct
import tarfile

import numpy as np

from data_prep.cifar_sources import CLASSES, LAYOUTS

PER_CLASS = {"cifar10": {"train": 10, "test": 2}, "cifar100": {"train": 2, "test": 1}}
COUNTS = {name: {split: len(CLASSES[name]) * count for split, count in per_class.items()}
          for name, per_class in PER_CLASS.items()}


def layout_of(dataset, encoding):
    return next(layout for layout in LAYOUTS if (layout.dataset, layout.encoding) == (dataset, encoding))


def make_data(dataset, seed=0):
    """{split: (fine labels, coarse labels, pixels of shape (n, 32, 32, 3))}, balanced, in random order."""
    rng, data = np.random.default_rng(seed), {}
    for split, per_class in PER_CLASS[dataset].items():
        fine = rng.permutation(np.arange(len(CLASSES[dataset])).repeat(per_class))
        coarse = fine // 5 if dataset == "cifar100" else np.zeros_like(fine)  # any 20 superclasses will do
        data[split] = fine, coarse, rng.integers(0, 256, (len(fine), 32, 32, 3), np.uint8)
    return data


def write_folder(folder, dataset, encoding, data, dump=pickle.dumps):
    """Write the files of one layout into `folder`."""
    layout = layout_of(dataset, encoding)
    folder.mkdir(parents=True, exist_ok=True)
    for split, files in (("train", layout.train_files), ("test", layout.test_files)):
        for name, rows in zip(files, np.array_split(np.arange(len(data[split][0])), len(files))):
            fine, coarse, pixels = (array[rows] for array in data[split])
            planes = pixels.transpose(0, 3, 1, 2).reshape(len(rows), 3072)
            if encoding == "binary":
                labels = [fine] if dataset == "cifar10" else [coarse, fine]
                content = np.column_stack([*labels, planes]).astype(np.uint8).tobytes()
            else:
                batch = {b"batch_label": name.encode(), b"data": planes,
                         layout.label_key.encode(): fine.tolist()}
                if layout.coarse_key:
                    batch[layout.coarse_key.encode()] = coarse.tolist()
                content = dump(batch, 2)
            (folder / name).write_bytes(content)
    write_names(folder, dataset, encoding, CLASSES[dataset], dump)
    return folder


def write_names(folder, dataset, encoding, names, dump=pickle.dumps):
    layout = layout_of(dataset, encoding)
    if encoding == "binary":
        content = "".join(f"{name}\n" for name in names).encode()
    else:
        content = dump({layout.names_key.encode(): [name.encode() for name in names]}, 2)
    (folder / layout.names_file).write_bytes(content)


def pack(folder, archive, inside="cifar"):
    """Pack a folder's files into `archive`, a .tar.gz, below a folder `inside` ("" for none)."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, f"{inside}/{path.name}" if inside else path.name)
    return archive


class _Python2Pickler(pickle._Pickler):
    """Writes strings as Python 2 did, and so the publisher.

    One kind of string, of bytes, with its own opcodes.
    """

    dispatch = dict(pickle._Pickler.dispatch)

    def _save_string(self, value):
        content = value.encode("ascii") if isinstance(value, str) else value
        if len(content) < 256:
            self.write(pickle.SHORT_BINSTRING + struct.pack("<B", len(content)) + content)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = _save_string


def dump_as_python2(value, protocol):
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol).dump(value)
    return stream.getvalue()
