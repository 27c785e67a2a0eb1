"""Cutout and random erasing of a batch: a function of (seed, epoch, record) alone."""

import numpy as np

from gluon_tricks.randomness import CUTOUT, ERASE, generator, sample_draws
from gluon_tricks.tricks.cutout import corners, cutout
from gluon_tricks.tricks.random_erasing import erase, pixel_values, sample_box


class Masks:
    """Masks over normalised images.

    Parameters
    ----------
    seed, records : int
    cutout_size : int
        Side of the square; 0: none.
    dual : bool
        Two views of each image, with independent squares, concatenated along the channels.
    erasing : "value", "pixels" or None
        Filling of random erasing; None: no erasing.
    mean, std : sequences of float
        Those of the images' normalisation, 0..1 scale.
    """

    def __init__(self, seed, records, cutout_size=0, dual=False, erasing=None, mean=(0.0,), std=(1.0,)):
        self.seed, self.records, self.cutout_size, self.dual = seed, records, cutout_size, dual
        self.erasing, self.mean, self.std = erasing, mean, std

    def __call__(self, images, positions, epoch):
        """Mask float32 images, shape (N, C, H, W): same shape, or (N, 2C, H, W) with two views."""
        if self.erasing:
            images = np.stack([self._erased(image, generator(self.seed, ERASE, epoch, int(position)))
                               for image, position in zip(images, positions)])
        if self.cutout_size:
            draws = sample_draws(self.seed, epoch, self.records, 4, CUTOUT)[positions]
            views = [self._cut(images, *draws[:, 2 * view:2 * view + 2].T) for view in range(1 + self.dual)]
            images = np.concatenate(views, axis=1)
        return images

    def _cut(self, images, draw_rows, draw_columns):
        height, width = images.shape[2:]
        return cutout(images, corners(draw_rows, self.cutout_size, height),
                      corners(draw_columns, self.cutout_size, width), self.cutout_size)

    def _erased(self, image, rng):
        box = sample_box(*image.shape[1:], rng)
        if box is None:
            return image
        if self.erasing == "value":
            return erase(image, box, rng.random())
        return erase(image, box, pixel_values(box, self.mean, self.std, rng))
