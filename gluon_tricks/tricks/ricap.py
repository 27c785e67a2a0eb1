"""RICAP (Takahashi et al. 2018, arXiv 1811.09030): random pieces of four images around one point.

    w, h ~ Beta(beta, beta) give the point. Each piece is cut from a random place of its image. The label has
    the shares of the pixels. beta = 0.3.

The collection has results with and without the random crop before it ("w/ random crop"). The paper has no
other crop: train_cifar.py --no-random-crop.
"""

from gluon_tricks.tricks.spatial_mixup import tile_pieces

BETA = 0.3


def ricap_pieces(lam_height, lam_width, draws, height, width):
    """Four pieces: upper left, upper right, lower left, lower right.

    Parameters
    ----------
    lam_height, lam_width : float in [0, 1]
        The point where the four meet, as shares of height and width.
    draws : float array in [0, 1), shape (4, 2)
        Places from which the pieces are cut, by row and column.
    height, width : int
        Of the image, in pixels.
    """
    pieces = tile_pieces(lam_height, lam_width, height, width)
    return [piece._replace(from_top=int(row * (height - piece.height + 1)),
                           from_left=int(column * (width - piece.width + 1)))
            for piece, (row, column) in zip(pieces, draws)]
