"""A sheet of small images with a caption below each."""

import cv2
import numpy as np

from gluon_tricks import pictures

SIDE, COLUMNS = 192, 6       # pixels of an image's longer side, images in a row
LINE = 0.13                  # inches of a line of a caption


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
    lines = max((text.count("\n") + 1 for text in captions), default=1)
    figure, panels = pictures.panels((2.2 * columns, 0.4 + rows * (2.3 + LINE * lines)), rows, columns)
    for axes in panels:
        axes.axis("off")
    for axes, image, caption in zip(panels, images, captions):
        axes.imshow(small(np.asarray(image)), cmap="gray", vmin=0, vmax=255)
        axes.text(0.5, -0.04, caption, transform=axes.transAxes, fontsize=7, ha="center", va="top",
                  parse_math=False)
    figure.suptitle(title, fontsize=9, parse_math=False)
    return figure


def small(pixels):
    """The image scaled down to `SIDE`; small images stay as they are."""
    if pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    factor = SIDE / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
