"""Images made of pieces of several images; each piece's share of the pixels is its weight in the label.

Common to CutMix, RICAP, stitching and tiling, each of which gives a list of `Piece`s.
"""

from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """A rectangle of the result and its place in the source image, in pixels."""
    top: int
    left: int
    height: int
    width: int
    from_top: int
    from_left: int

    @classmethod
    def in_place(cls, top, left, height, width):
        """A piece with the same place in source and result."""
        return cls(top, left, height, width, top, left)

    @property
    def target(self):
        """Slices of rows and columns in the result."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def source(self):
        """Slices of rows and columns in the source image."""
        return slice(self.from_top, self.from_top + self.height), slice(self.from_left,
                                                                        self.from_left + self.width)


def shares(pieces, height, width):
    """Each piece's share of the pixels, later pieces over earlier ones: float array, sum 1.

    Raises
    ------
    ValueError
        If a pixel is not covered.
    """
    owner = np.full((height, width), -1)
    for number, piece in enumerate(pieces):
        owner[piece.target] = number
    if (owner < 0).any():
        raise ValueError(f"{(owner < 0).sum()} of {owner.size} pixels are covered by no piece")
    return np.bincount(owner.ravel(), minlength=len(pieces)) / owner.size


def patchwork(data, targets, pieces, partners, weights=None):
    """Compose images and targets of pieces.

    Parameters
    ----------
    data : NDArray, shape (N, C, H, W)
    targets : NDArray, shape (N, classes)
        Rows of class probabilities.
    pieces : list of Piece
        Later ones cover earlier ones; together they fill the image.
    partners : int array, shape (len(pieces), N)
        The source image of each piece of each result.
    weights : sequence of float, optional
        Weights of the pieces in the label; default: `shares`.

    Returns
    -------
    (NDArray, NDArray), of the same shapes
    """
    from mxnet import nd

    weights = shares(pieces, *data.shape[2:]) if weights is None else weights
    mixed, mixed_targets = nd.empty(data.shape, ctx=data.context, dtype=data.dtype), 0
    for piece, weight, who in zip(pieces, weights, partners):
        index = nd.array(who, ctx=data.context, dtype="int64")
        if piece.height and piece.width:
            (rows, columns), (from_rows, from_columns) = piece.target, piece.source
            mixed[:, :, rows, columns] = data[:, :, from_rows, from_columns].take(index)
        mixed_targets = mixed_targets + float(weight) * targets.take(index)
    return mixed, mixed_targets
