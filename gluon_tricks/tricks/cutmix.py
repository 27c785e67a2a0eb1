"""CutMix (Yun et al. 2019, arXiv 1905.04899): a box of one image replaces the same box of another.

    paper       lam ~ Beta(alpha, alpha); the box has sides H sqrt(1 - lam), W sqrt(1 - lam) and a centre
                uniform over the image. It is clipped, and lam becomes the true share of the pixels left:
                label "area"
    collection  the CIFAR-10 collection keeps the drawn lam, also where the box is clipped: label "drawn"

alpha = 1 in both.
"""

import math

from gluon_tricks.tricks.patchwork import Piece

LABELS = ("area", "drawn")


def cutmix_pieces(lam, row, column, height, width):
    """Two pieces: the whole image, and the box over it.

    Parameters
    ----------
    lam : float in [0, 1]
        Share of the image before the box is clipped.
    row, column : int
        Centre of the box.
    height, width : int
        Of the image, in pixels.
    """
    h, w = (int(side * math.sqrt(1 - lam)) for side in (height, width))
    top, left = max(row - h // 2, 0), max(column - w // 2, 0)
    bottom, right = min(row + h // 2, height), min(column + w // 2, width)
    return [Piece.in_place(0, 0, height, width), Piece.in_place(top, left, bottom - top, right - left)]
