"""Cutout (DeVries & Taylor 2017, arXiv 1708.04552), and Dual-Cutout.

    Cutout        a square of S x S pixels of the normalised image becomes 0, the mean colour. Its centre is
                  uniform over the image, so part of the square may be outside
    Dual-Cutout   the net sees each image twice, with two independent squares. The loss is the mean of both
                  cross-entropies plus alpha times the mean squared difference of both outputs

Dual-Cutout is from the CIFAR-10 collection, with S = 16 and alpha = 0.1; prediction sees the plain image
once. The original code draws the centre from 0 ... H - 1. The collection, for even S, draws the corner right
below the centre from 0 ... H, which treats left and right alike. Here the collection's rule.
"""

import numpy as np

from gluon_tricks.randomness import CUTOUT
from gluon_tricks.tricks.masks import Mask


def corners(draws, size, side):
    """The upper or left edges of squares of `size` in images of `side` pixels; they may be negative.

    Parameters
    ----------
    draws : float array in [0, 1)
    size, side : int

    Returns
    -------
    int array, in [-(size // 2), side - size // 2]
    """
    places = side + 1 if size % 2 == 0 else side
    return (draws * places).astype(np.int64) - size // 2


def cutout(images, tops, lefts, size, value=0.0):
    """Set a square in every image to `value`.

    Parameters
    ----------
    images : float32 array, shape (N, C, H, W); not modified
    tops, lefts : int arrays, shape (N,)
        First row and column of the square; the part outside the image has no effect.
    size : int

    Returns
    -------
    float32 array, shape (N, C, H, W)
    """
    rows, columns = np.arange(images.shape[2]), np.arange(images.shape[3])
    in_rows = (rows >= tops[:, None]) & (rows < tops[:, None] + size)                 # (N, H)
    in_columns = (columns >= lefts[:, None]) & (columns < lefts[:, None] + size)      # (N, W)
    inside = in_rows[:, None, :, None] & in_columns[:, None, None, :]                 # (N, 1, H, W)
    return np.where(inside, np.float32(value), images)


def paint_squares(images, size, draws):
    """Cut a square of `size` pixels out of each image."""
    height, width = images.shape[2:]
    rows, columns = draws.uniform(2, CUTOUT).T
    return cutout(images, corners(rows, size, height), corners(columns, size, width), size)


CUTOUT_MASK = Mask(
    "cutout", dict(type=int, default=0, metavar="SIZE", help="a square of zeros in every image, say 16"),
    paint_squares, lambda size: f"cut out a square of {size}x{size}, its centre uniform",
    {"cutout": ("--cutout 16", 16)}, in_each_view=True)


def side_by_side(pairs):
    """Views as channels to views as images: (N, 2C, H, W) -> (2N, C, H, W), all first views first."""
    from mxnet import nd

    return nd.concat(*pairs.split(2, axis=1), dim=0)


def dual_loss(loss, alpha=0.1):
    """A loss per image from the two views of each image.

    Parameters
    ----------
    loss : callable, (outputs, targets) -> NDArray, shape (2N,)
    alpha : float

    Returns
    -------
    callable, (outputs, targets) -> NDArray, shape (N,)
        Outputs of shape (2N, classes), in the order of `side_by_side`, and their targets.
    """
    def of_both(output, target):
        first, second = output.split(2, axis=0)
        apart = (first - second).square().mean(axis=1)              # (N,)
        return loss(output, target).reshape((2, -1)).mean(axis=0) + alpha * apart
    return of_both
