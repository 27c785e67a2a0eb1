"""Training and validation loaders of ImageNet-like data: record files, class folders, or synthetic images."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from mxnet import nd

from gluon_tricks.data.imagenet_augment import ImagenetTestTransform, ImagenetTrainTransform
from gluon_tricks.data.images import FolderImages, PhotographLoader
from gluon_tricks.data.loaders import Batch, EqualEpochs
from gluon_tricks.errors import UserError


class ImagenetData(NamedTuple):
    train: object
    val: object
    classes: int             # of the data; None where the data do not state it
    root_hash: str
    exact: object            # function that makes the validation loader that yields every image once
    warnings: tuple = ()     # sentences about the labels
    class_names: list = None # in label order; None where the data have no names


class SyntheticLoader(EqualEpochs):
    """The same random batch in every step, another on each process: training speed without data."""

    resumes_anywhere = True

    def __init__(self, records, batch_size, size, classes, batches_per_epoch=None, rank=0, world_size=1):
        self.records, self.batch_size = records, batch_size
        self.batches_per_epoch = batches_per_epoch or records // (batch_size * world_size)
        rng = np.random.default_rng(rank)
        self._batch = Batch(nd.array(rng.normal(size=(batch_size, 3, size, size))),
                            nd.array(rng.integers(0, classes, batch_size)),
                            rank * batch_size + np.arange(batch_size))

    def epoch(self, epoch, start=0):
        for _ in range(start, self.batches_per_epoch):
            yield self._batch


# So many parameters because each is a flag
def image_loaders(train, val, batch_size, seed, size, crop_ratio, mean, std, num_workers, law="rec",
                  colors="gluoncv", auto_aug=False, rank=0, world_size=1):
    """Loaders of two `Images`, of record files or class folders: (training, validation)."""
    augment = ImagenetTrainTransform(seed, size, mean, std, law, colors, auto_aug)
    central = ImagenetTestTransform(size, crop_ratio, mean, std, law)
    share = {"num_workers": num_workers, "rank": rank, "world_size": world_size}
    return (PhotographLoader(train, augment, batch_size, seed, **share),
            PhotographLoader(val, central, batch_size, None, "keep", **share))


def folder_images(data_dir):
    """The images of the `train/` and `val/` class folders: (training, validation).

    Raises
    ------
    UserError
        If a folder has no images, or the two differ in their classes.
    """
    train, val = (FolderImages(Path(data_dir).expanduser() / part) for part in ("train", "val"))
    if train.classes != val.classes:
        alone = sorted(set(train.classes).symmetric_difference(val.classes))[0]
        raise UserError(f"--data-dir {data_dir}: class {alone} is in only one of train/ and val/")
    return train, val
