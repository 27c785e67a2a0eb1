"""Training and validation loaders of a prepared CIFAR or MNIST data set."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.data.augment import CifarTestTransform, CifarTrainTransform
from gluon_tricks.data.cifar_sets import DATASETS, Augmentation, preparation
from gluon_tricks.data.label_check import label_warnings
from gluon_tricks.data.loaders import ImagesInMemory, RecordLoader
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.data.masks import Masks
from gluon_tricks.data.mxnet_iterators import CifarRecordIter
from gluon_tricks.data.paths import default_record_dir
from gluon_tricks.data.small_colors import follow_up_colors
from gluon_tricks.errors import UserError


class CifarData(NamedTuple):
    train: RecordLoader
    val: RecordLoader
    classes: list
    root_hash: str
    subset: str              # what was left out, from the manifest; "" for the complete data set
    warnings: tuple = ()     # sentences about the labels


class Prepared(NamedTuple):
    """A prepared data set on disk."""
    dataset: str
    folder: Path
    manifest: object


def find_cifar(dataset, folder=None, prepare=None):
    """Find the folder of a prepared data set and read its manifest.

    Parameters
    ----------
    dataset : one of DATASETS
    folder : path, optional
        Default: the place where data_prep/ writes it.
    prepare : callable, optional
        Called with the data set's name if the default place holds no manifest.

    Returns
    -------
    Prepared

    Raises
    ------
    UserError
        If data are missing and there is no `prepare`, or the folder holds another data set.
    """
    if folder is None:
        folder = default_record_dir(dataset)
        if not (folder / "manifest.json").exists() and dataset != "cifar10-excerpt":
            if prepare is None:
                raise UserError(f"--dataset {dataset}: is not prepared; run python "
                                f"{' '.join(preparation(dataset))}")
            prepare(dataset)
    manifest = read_manifest(folder)
    if manifest.dataset != dataset.removesuffix("-excerpt"):
        raise UserError(f"--data-dir {folder}: holds {manifest.dataset}, not --dataset {dataset}")
    return Prepared(dataset, Path(folder), manifest)


def open_cifar(prepared, backend, batch_size, seed, num_workers, rank=0, world_size=1, augmentation=None):
    """Check a prepared data set and make its loaders.

    Parameters
    ----------
    prepared : Prepared
        Of `find_cifar`.
    backend : "ours" or "mxnet"
    batch_size : int
        Images per batch over all devices of this process.
    rank, world_size : int
        Number of this process, and number of processes.
    augmentation : Augmentation, optional
        Default: GluonCV's, crop and flip. MXNet's backend has no other.

    Returns
    -------
    CifarData

    Raises
    ------
    UserError
        If records are damaged, or fewer than a batch.
    """
    dataset, folder, manifest = prepared
    readers = {name: open_split(folder, name, manifest) for name in ("train", "test")}
    records = len(readers["train"][0])
    images = batch_size * world_size
    if images > records:
        raise UserError(f"--batch-size: {images} images over all devices, but the training set has {records}")
    share = {"num_workers": num_workers, "rank": rank, "world_size": world_size}
    if backend == "mxnet":
        train, val = (CifarRecordIter(readers[name][0].path, batch_size, name == "train", seed, **share)
                      for name in ("train", "test"))
    else:
        augmentation = augmentation or Augmentation()
        images = {name: _in_memory(dataset, *readers[name], num_workers) for name in ("train", "test")}
        train = RecordLoader(images["train"], train_transform(augmentation, dataset, seed, records),
                             batch_size, seed, **share)
        test_transform = CifarTestTransform(*augmentation.normalisation(dataset))
        val = RecordLoader(images["test"], test_transform, batch_size, None, "keep", **share)
    counts = (dict(Counter(readers[name][1].tolist())) for name in ("train", "test"))
    warnings = tuple(label_warnings(*counts, len(manifest.classes)))
    return CifarData(train, val, manifest.classes, manifest.root_hash, manifest.subset, warnings)


def train_transform(augmentation, dataset, seed, records):
    """The `CifarTrainTransform` of an `Augmentation`, for `RecordLoader`."""
    mean, std = augmentation.normalisation(dataset)
    masks = None
    if augmentation.masks:
        masks = Masks(seed, records, dict(augmentation.masks), augmentation.dual, mean, std)
    colors = follow_up_colors if augmentation.colors else None
    return CifarTrainTransform(seed, records, mean, std, augmentation.crop, augmentation.flip, colors, masks)


class CifarTestData(NamedTuple):
    val: RecordLoader
    path: Path
    classes: list
    root_hash: str
    subset: str


def open_cifar_test(prepared, batch_size, num_workers, normalisation=None):
    """Check the test images alone and make their loader; parameters and errors as in `open_cifar`.

    `normalisation` is (mean, std), one each per channel, on the 0..1 scale; default: GluonCV's for the data
    set.
    """
    dataset, folder, manifest = prepared
    reader, labels = open_split(folder, "test", manifest)
    transform = CifarTestTransform(*(normalisation or Augmentation().normalisation(dataset)))
    loader = RecordLoader(_in_memory(dataset, reader, labels, num_workers), transform, batch_size, None,
                          "keep", num_workers)
    return CifarTestData(loader, reader.path, manifest.classes, manifest.root_hash, manifest.subset)


def _in_memory(dataset, reader, labels, num_workers):
    known = DATASETS[dataset]
    return ImagesInMemory(reader, labels, (known.side, known.side), num_workers, known.channels)
