"""The masks of train_cifar.py, in the order in which they are painted over the images of a batch."""

import numpy as np

from gluon_tricks.tricks.cutout import CUTOUT_MASK
from gluon_tricks.tricks.masks import Draws
from gluon_tricks.tricks.random_erasing import ERASING_MASK

MASKS = {mask.flag: mask for mask in (ERASING_MASK, CUTOUT_MASK)}


class Masks:
    """Paints over normalised images.

    Parameters
    ----------
    seed, records : int
    settings : dict
        Name in MASKS -> setting; those without effect (0, None) are left out.
    dual : bool
        Two views of each image, one after the other in the channels.
    mean, std : sequences of float
        By which the images were normalised, on the 0..1 scale.
    """

    def __init__(self, seed, records, settings, dual=False, mean=(0.0,), std=(1.0,)):
        self.seed, self.records, self.dual, self.mean, self.std = seed, records, dual, mean, std
        self.settings = {name: setting for name, setting in settings.items() if setting}

    def __call__(self, images, positions, epoch):
        """float32 images, shape (N, C, H, W) -> the same, or (N, 2C, H, W) of two views."""
        draws = Draws(self.seed, self.records, epoch, positions, self.mean, self.std)
        for name, mask in MASKS.items():
            if name in self.settings:
                views = range(2 if self.dual and mask.in_each_view else 1)
                setting = self.settings[name]
                painted = [mask.paint(images, setting, draws._replace(view=view)) for view in views]
                images = np.concatenate(painted, axis=1)
        return images
