"""What an augmentation that paints over normalised images has to state; see `cutout.py` and
`random_erasing.py`."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gluon_tricks.randomness import generator, purpose_of, sample_draws


class Draws(NamedTuple):
    """Random numbers of the images of a batch: they follow from (seed, epoch, record) alone.

    The `purpose` of a draw keeps the streams of two augmentations apart: one of `randomness`, or the
    augmentation's name.

    Attributes
    ----------
    positions : int array, shape (N,)
        The images' records.
    mean, std : sequences of float
        By which the images were normalised, on the 0..1 scale.
    view : int
        0, or 1 for the second of two views of each image.
    """
    seed: int
    records: int
    epoch: int
    positions: np.ndarray
    mean: tuple
    std: tuple
    view: int = 0

    def uniform(self, count, purpose):
        """`count` uniform draws in [0, 1) for each image and view: shape (N, count)."""
        table = sample_draws(self.seed, self.epoch, self.records, 2 * count,
                             purpose_of(purpose))[self.positions]
        return table[:, count * self.view:count * (self.view + 1)]

    def generators(self, purpose):
        """Yield a numpy generator for each image."""
        yield from (generator(self.seed, purpose_of(purpose), self.epoch,
                              int(position)) for position in self.positions)


class Mask(NamedTuple):
    """An augmentation that paints over normalised images, with its flag of train_cifar.py.

    Attributes
    ----------
    flag : str
        As an attribute: `random_erasing` for --random-erasing. The table of flags has its default.
    argument : dict
        Keywords of argparse's `add_argument`.
    paint : callable, (images, setting, draws) -> images
        float32 arrays of shape (N, C, H, W); `setting` is the flag's value, `draws` a `Draws`.
    sentence : callable, setting -> str
        For --dry-run.
    samples : dict
        Name of a row of the contact sheet -> its title and setting.
    in_each_view : bool
        Whether --dual-cutout gives each view of an image a mask of its own.
    """
    flag: str
    argument: dict
    paint: Callable
    sentence: Callable
    samples: dict
    in_each_view: bool = False
