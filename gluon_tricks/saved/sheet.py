"""A sheet of small images with a caption below each."""

import cv2
import numpy as np

from gluon_tricks import pictures

SIDE, COLUMNS = 192, 6       # pixels of an image's longer side, images in a row
LINE = 0.17                  # inches of a line of a caption
MOST_LETTERS = 29            # of a line of a caption, as many as fit


def draw_sheet(images, captions, title):
    """A figure of the images.

    Parameters
    ----------
    images : sequence of uint8 arrays, shape (H, W, 3) or (H, W, 1)
    captions : list of str
        One for each image, of one or more lines; no mathematical notation.
    title : str

    Returns
    -------
    matplotlib Figure
    """
    columns = max(1, min(COLUMNS, len(captions)))
    rows = max(1, -(-len(captions) // columns))
    most = max((text.count("\n") + 1 for text in captions), default=1)
    size = 2.2 * columns, 0.7 + rows * (2.3 + LINE * most)
    figure, panels = pictures.panels(size, rows, columns, title)
    for axes in panels:
        axes.axis("off")
    for axes, image, caption in zip(panels, images, captions):
        axes.imshow(small(np.asarray(image)), cmap="gray", vmin=0, vmax=255)
        lines = "\n".join(pictures.shortened(line, MOST_LETTERS) for line in caption.split("\n"))
        axes.text(0.5, -0.04, lines, transform=axes.transAxes, fontsize=pictures.TICK, ha="center", va="top",
                  parse_math=False)
    return figure


def small(pixels):
    """The image scaled down to `SIDE`; small images stay as they are."""
    if pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    factor = SIDE / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
