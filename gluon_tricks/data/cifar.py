"""Training and validation batches of a prepared CIFAR data set."""

import sys
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.data.augment import CifarTestTransform, CifarTrainTransform
from gluon_tricks.data.loaders import ImagesInMemory, MXNetLoader, RecordLoader
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.data.paths import default_record_dir
from gluon_tricks.errors import UserError

SIZES = {"cifar10": (50_000, 10), "cifar100": (50_000, 100), "cifar10-excerpt": (2_000, 10)}  # training images, classes


class CifarData(NamedTuple):
    train: RecordLoader
    val: RecordLoader
    classes: list
    root_hash: str
    subset: str              # what the manifest says was left out; "" for the complete data set


def open_cifar(dataset, folder, backend, batch_size, seed, num_workers, rank=0, world_size=1):
    """Open and check a prepared data set.

    Parameters
    ----------
    dataset : "cifar10", "cifar100" or "cifar10-excerpt"
    folder : path or None
        None: the default place; if nothing is there, it is prepared from what GluonCV left beside it, or downloaded.
    backend : "ours" or "mxnet"
    batch_size : int
        Images per batch over all devices of this process.
    rank, world_size : int
        Which process this is, of how many.

    Raises
    ------
    UserError
        If data are missing, damaged, not the ones named, or fewer than a batch.
    """
    folder, manifest = _find(dataset, folder)
    readers = {name: open_split(folder, name, manifest) for name in ("train", "test")}
    records = len(readers["train"][0])
    images = batch_size * world_size
    if images > records:
        raise UserError(f"--batch-size: {images} images over all devices, but the training set has {records}")
    share = {"num_workers": num_workers, "rank": rank, "world_size": world_size}
    if backend == "mxnet":
        train, val = (MXNetLoader(readers[name][0].path, len(readers[name][0]), batch_size, name == "train", seed,
                                  **share) for name in ("train", "test"))
    else:
        images = {name: ImagesInMemory(*readers[name], num_workers=num_workers) for name in ("train", "test")}
        train = RecordLoader(images["train"], CifarTrainTransform(seed, records), batch_size, seed, **share)
        val = RecordLoader(images["test"], CifarTestTransform(), batch_size, None, "keep", **share)
    return CifarData(train, val, manifest.classes, manifest.root_hash, manifest.subset)


class CifarTestData(NamedTuple):
    val: RecordLoader
    path: Path
    classes: list
    root_hash: str
    subset: str


def open_cifar_test(dataset, folder, batch_size, num_workers):
    """Open and check the test images alone; parameters and errors as in `open_cifar`."""
    folder, manifest = _find(dataset, folder)
    reader, labels = open_split(folder, "test", manifest)
    images = ImagesInMemory(reader, labels, num_workers=num_workers)
    return CifarTestData(RecordLoader(images, CifarTestTransform(), batch_size, None, "keep", num_workers), reader.path,
                         manifest.classes, manifest.root_hash, manifest.subset)


def _find(dataset, folder):
    """The folder of a prepared data set and its manifest; `folder` None means the default place."""
    if folder is None:
        folder = default_record_dir(dataset)
        if not (folder / "manifest.json").exists() and dataset != "cifar10-excerpt":
            _prepare(dataset)
    manifest = read_manifest(folder)
    if manifest.dataset != dataset.split("-")[0]:
        raise UserError(f"--data-dir {folder}: holds {manifest.dataset}, not --dataset {dataset}")
    return folder, manifest


def _prepare(dataset):
    from data_prep.cifar import main

    print(f"{dataset} is not prepared yet: python data_prep/cifar.py --dataset {dataset}", file=sys.stderr)
    main(["--dataset", dataset])
