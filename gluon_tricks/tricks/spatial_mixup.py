"""Spatial mixup: images stitched, not interpolated (Liang et al. 2018; the CIFAR-100 follow-up, III.B).

    stitching   x = the first P = lam L rows (or columns) of x_i, the rest of x_j; y = lam y_i + (1 - lam) y_j
    tiling      four images around one point with the coordinates lam_1 H and lam_2 W
    both        two stitched images interpolated (tricks/mixup.py), with a lam of their own

The follow-up names tiling and both as future work.

lam ~ Beta(alpha, alpha). P is a whole number of pixels, and the label has P / L instead of lam: the share of
the pixels. "Horizontal": side by side, a vertical seam. "Vertical": one above the other.
"""

from gluon_tricks.tricks.patchwork import Piece


def stitch_pieces(direction, lam, height, width):
    """Two pieces, each at its own place.

    Parameters
    ----------
    direction : "horizontal" or "vertical"
    lam : float in [0, 1]
        Share of the first.
    height, width : int
        Of the image, in pixels.
    """
    if direction == "horizontal":
        seam = round(lam * width)
        return [Piece.in_place(0, 0, height, seam), Piece.in_place(0, seam, height, width - seam)]
    seam = round(lam * height)
    return [Piece.in_place(0, 0, seam, width), Piece.in_place(seam, 0, height - seam, width)]


def tile_pieces(lam_height, lam_width, height, width):
    """Four pieces, each at its own place: upper left, upper right, lower left, lower right."""
    row, column = round(lam_height * height), round(lam_width * width)
    return [Piece.in_place(0, 0, row, column), Piece.in_place(0, column, row, width - column),
            Piece.in_place(row, 0, height - row, column),
            Piece.in_place(row, column, height - row, width - column)]
