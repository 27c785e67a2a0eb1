"""Augmentation of CIFAR images: pad, random crop, flip, normalise.

GluonCV's order and values: four zero pixels on each side, a random 32 x 32 window, mirrored with probability
1/2, scaled to [0, 1], and normalised. Zeros are padded *before* normalisation, so the border is black, not
grey.
"""

import numpy as np

from gluon_tricks.randomness import sample_draws

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)      # RGB, on the 0..1 scale; GluonCV's, also used for CIFAR-100
CIFAR_STD = (0.2023, 0.1994, 0.2010)
PAD = 4


def random_crop(images, tops, lefts, pad=PAD):
    """Zero-pad by `pad` and cut a window of the original size.

    Parameters
    ----------
    images : uint8 array, shape (N, H, W, C)
    tops, lefts : int arrays, shape (N,), each in [0, 2 * pad]
        Upper left corner of the window in the padded image.

    Returns
    -------
    uint8 array, shape (N, H, W, C)
    """
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows = tops[:, None] + np.arange(height)
    columns = lefts[:, None] + np.arange(width)
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def mirror(images, flips):
    """Mirror those images left to right whose entry in the boolean array `flips`, shape (N,), is true."""
    return np.where(flips[:, None, None, None], images[:, :, ::-1], images)


def normalize(images, mean=CIFAR_MEAN, std=CIFAR_STD):
    """`(pixel / 255 - mean) / std` per channel.

    Parameters
    ----------
    images : uint8 array, shape (N, H, W, 3)

    Returns
    -------
    float32 array, shape (N, 3, H, W)
        Rounded in float32 after each operation, as MXNet's ToTensor and Normalize do.
    """
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    out = np.empty((images.shape[0], images.shape[3], *images.shape[1:3]), np.float32)
    for channel, (m, s) in enumerate(zip(np.float32(mean), np.float32(std))):
        np.take((levels - m) / s, images[..., channel], out=out[:, channel])
    return out


class CifarTrainTransform:
    """Crop, flip and normalise, with optional colours and masks; a function of (seed, epoch, record) alone.

    Parameters
    ----------
    seed : int
    records : int
        Size of the training set.
    mean, std : sequences of float
        One per channel, 0..1 scale.
    crop, flip : bool
    colors : callable, optional
        `(uint8 images, positions, seed, epoch) -> uint8 images`, before the crop.
    masks : callable, optional
        `(float32 images, positions, epoch) -> float32 images`, at the end.
    """

    def __init__(self, seed, records, mean=CIFAR_MEAN, std=CIFAR_STD, crop=True, flip=True, colors=None,
                 masks=None):
        self.seed, self.records, self.mean, self.std = seed, records, mean, std
        self.crop, self.flip, self.colors, self.masks = crop, flip, colors, masks

    def __call__(self, images, positions, epoch):
        """uint8 images, shape (N, H, W, C), of the records at `positions` -> float32, shape (N, C, H, W)."""
        draws = sample_draws(self.seed, epoch, self.records, 3)[positions]
        if self.colors:
            images = self.colors(images, positions, self.seed, epoch)
        if self.crop:
            tops, lefts = (draws[:, :2].T * (2 * PAD + 1)).astype(np.int64)
            images = random_crop(images, tops, lefts)
        if self.flip:
            images = mirror(images, draws[:, 2] < 0.5)
        images = normalize(images, self.mean, self.std)
        return self.masks(images, positions, epoch) if self.masks else images


class CifarTestTransform:
    """Normalisation only."""

    def __init__(self, mean=CIFAR_MEAN, std=CIFAR_STD):
        self.mean, self.std = mean, std

    def __call__(self, images, positions, epoch):
        return normalize(images, self.mean, self.std)
