"""RICAP (Takahashi et al. 2018, arXiv 1811.09030): random pieces of four images around one point.

    w, h ~ Beta(beta, beta) give the point; each piece is cut from a random place of its image; the label has the shares
    of the pixels. beta = 0.3.

The collection has it with and without the random crop before it ("w/ random crop"); the paper, which crops by itself,
without: train_cifar.py --no-random-crop.
"""

from gluon_tricks.tricks.patchwork import Piece

BETA = 0.3


def ricap_pieces(lam_height, lam_width, draws, height, width):
    """Four pieces: upper left, upper right, lower left, lower right.

    Parameters
    ----------
    lam_height, lam_width : float in [0, 1]
        Where the four meet.
    draws : float array in [0, 1), shape (4, 2)
        From which row and column each piece is cut.
    height, width : int
        Of the image, in pixels.
    """
    row, column = round(lam_height * height), round(lam_width * width)
    boxes = [(0, 0, row, column), (0, column, row, width - column), (row, 0, height - row, column),
             (row, column, height - row, width - column)]
    return [Piece(top, left, h, w, int(first * (height - h + 1)), int(second * (width - w + 1)))
            for (top, left, h, w), (first, second) in zip(boxes, draws)]
