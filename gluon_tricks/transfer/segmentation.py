"""Segmentation: training and validation crops, batches, and scores."""

import functools
import random

import mxnet as mx
import numpy as np
from mxnet import nd
from PIL import Image, ImageFilter, ImageOps

from gluon_tricks.parameters import settle_weights
from gluon_tricks.randomness import generator
from gluon_tricks.training.progress import Stop
from gluon_tricks.transfer.fcn import Confusion, answers
from gluon_tricks.transfer.loader import EpochLoader, Seeded, parts

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def training_crop(base_size, crop_size):
    """A transform `(image, mask) -> (float32 array (3, H, W), float32 array (H, W))`: GluonCV's augmentation.

    Mirror, scale the longer side to 0.5 to 2 times `base_size`, pad, crop, blur. Padding has no class, as
    GluonCV's loss intends; GluonCV's code gives it the class stored as 0.
    """
    def transform(image, mask):
        if random.random() < 0.5:
            image, mask = (one.transpose(Image.FLIP_LEFT_RIGHT) for one in (image, mask))
        longer = random.randint(int(base_size * 0.5), int(base_size * 2.0))
        factor = longer / max(image.size)
        size = tuple(longer if side == max(image.size) else int(side * factor + 0.5) for side in image.size)
        image, mask = image.resize(size, Image.BILINEAR), mask.resize(size, Image.NEAREST)
        right, below = (max(0, crop_size - side) for side in size)
        image = ImageOps.expand(image, (0, 0, right, below), fill=0)
        mask = ImageOps.expand(mask, (0, 0, right, below), fill=-1)
        left, top = (random.randint(0, side - crop_size) for side in image.size)
        box = (left, top, left + crop_size, top + crop_size)
        image, mask = image.crop(box), mask.crop(box)
        if random.random() < 0.5:
            image = image.filter(ImageFilter.GaussianBlur(radius=random.random()))
        return normalised(image), np.array(mask, np.float32)
    return transform


def validation_crop(crop_size):
    """GluonCV's validation transform: the shorter side scaled to `crop_size`, then the centre crop."""
    def transform(image, mask):
        width, height = image.size
        wide = width > height
        size = (int(width * crop_size / height), crop_size) if wide else (crop_size,
                                                                          int(height * crop_size / width))
        image, mask = image.resize(size, Image.BILINEAR), mask.resize(size, Image.NEAREST)
        left, top = (int(round((side - crop_size) / 2)) for side in size)
        box = (left, top, left + crop_size, top + crop_size)
        return normalised(image.crop(box)), np.array(mask.crop(box), np.float32)
    return transform


def normalised(image):
    """A PIL image as float32, shape (3, H, W), with ImageNet's mean and deviation."""
    return ((np.asarray(image, np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)


def shown(array):
    """The inverse of `normalised`: uint8, shape (H, W, 3)."""
    return ((array.transpose(1, 2, 0) * STD + MEAN) * 255).round().clip(0, 255).astype(np.uint8)


def training_loader(dataset, base_size, crop_size, batch_size, engine, seed, num_workers):
    """An `EpochLoader` of training crops; `batch_size` counts the images of all devices of this process."""
    collate = functools.partial(collated, devices=len(engine.ctx))
    return EpochLoader(Seeded(dataset, training_crop(base_size, crop_size), seed), collate, batch_size,
                       engine.ctx,
                       num_workers, engine.rank, engine.world_size)


def collated(samples, devices):
    """A list with one tuple of stacked arrays for each device."""
    return [tuple(nd.array(np.stack(arrays)) for arrays in zip(*samples[part]))
            for part in parts(len(samples), devices)]


def validate(net, dataset, crop_size, engine, keep_going=lambda: True, keep=()):
    """Scores over the whole data set, each image once.

    Parameters
    ----------
    keep : sequence of int
        Positions of images whose predictions are returned, too, on the process that computes them.

    Returns
    -------
    (scores, kept) : dict, dict of position -> (image, truth, answer)

    Raises
    ------
    Stop
        If a process was asked to stop.
    """
    transform, confusion, kept = validation_crop(crop_size), Confusion(dataset.num_class), {}
    for first in range(0, len(dataset), engine.world_size):
        engine.beat("computing")
        position = first + engine.rank
        if position < len(dataset):
            image, truth = transform(*dataset[position])
            ctx = engine.ctx[first // engine.world_size % len(engine.ctx)]
            answer = answers(net, mx.nd.array(image[None], ctx=ctx))
            confusion.add(answer, truth.astype(np.int32))
            if position in keep:
                kept[position] = shown(image), truth.astype(np.int32), answer
        if engine.sum([not keep_going()])[0]:
            raise Stop
    settle_weights(net)
    # Gathered, not summed: a kvstore sums in float32, which is exact with zeros, but not with large counts
    counts = engine.gather(confusion.counts.ravel()).sum(axis=0)
    confusion.counts = counts.astype(np.int64).reshape(confusion.counts.shape)
    return confusion.scores(), kept


class Synthetic:
    """Bright rectangles on noise, for runs without data: 96 x 96 pixels, classes 0 (noise) and 1."""

    classes, num_class, root_hash, SIDE = ("noise", "rectangle"), 2, "synthetic", 96

    def __init__(self, images, seed=0):
        self.images, self.seed = images, seed

    def __len__(self):
        return self.images

    def __getitem__(self, position):
        rng = generator(self.seed, position)
        image = rng.integers(0, 120, (self.SIDE, self.SIDE, 3)).astype(np.uint8)
        mask = np.zeros((self.SIDE, self.SIDE), np.int32)
        (left, top), (width, height) = rng.integers(5, 40, 2), rng.integers(20, 50, 2)
        image[top:top + height, left:left + width] = 220
        mask[top:top + height, left:left + width] = 1
        return Image.fromarray(image), Image.fromarray(mask)
