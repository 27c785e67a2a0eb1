"""Random erasing (Zhong et al. 2017, arXiv 1708.04896): overwrite a rectangle with probability 1/2.

    area        uniform in [0.02, 0.4] of the image; height / width uniform in [0.3, 1 / 0.3]; at most 20
                tries to fit
    paper       "pixels": every pixel of the rectangle is drawn, over the range of pixel values
    collection  "value": one draw in [0, 1) for the whole rectangle, on the normalised scale: from about the
                mean colour to one deviation brighter. The CIFAR-10 collection's results were made so.
"""

import numpy as np

from gluon_tricks.randomness import ERASE
from gluon_tricks.tricks.masks import Mask

AREA, MIN_RATIO, TRIES, PROBABILITY = (0.02, 0.4), 0.3, 20, 0.5
FILLS = ("value", "pixels")


def sample_box(height, width, rng):
    """Draw a rectangle `(top, left, height, width)`; None with probability 1/2, or if no try fits.

    Parameters
    ----------
    height, width : int
        Of the image, in pixels.
    rng : numpy.random.Generator
    """
    if rng.random() >= PROBABILITY:
        return None
    for _ in range(TRIES):
        area, ratio = rng.uniform(*AREA) * height * width, rng.uniform(MIN_RATIO, 1 / MIN_RATIO)
        h, w = int(np.sqrt(area * ratio)), int(np.sqrt(area / ratio))
        if h < height and w < width:
            return int(rng.integers(height - h)), int(rng.integers(width - w)), h, w
    return None


def erase(image, box, values):
    """A copy of an image, shape (C, H, W), with `values`, a number or shape (C, h, w), in the rectangle."""
    top, left, height, width = box
    erased = image.copy()
    erased[:, top:top + height, left:left + width] = values
    return erased


def pixel_values(box, mean, std, rng):
    """Draws over the range of pixels, 0..1, on the normalised scale: shape (C, h, w)."""
    mean, std = (np.float32(values).reshape(-1, 1, 1) for values in (mean, std))
    return (rng.random((len(mean), *box[2:])).astype(np.float32) - mean) / std


def paint_rectangles(images, fill, draws):
    """Erase a rectangle of about every second image; `fill` is one of FILLS."""
    painted = []
    for image, rng in zip(images, draws.generators(ERASE)):
        box = sample_box(*image.shape[1:], rng)
        if box is not None:
            values = rng.random() if fill == "value" else pixel_values(box, draws.mean, draws.std, rng)
            image = erase(image, box, values)
        painted.append(image)
    return np.stack(painted)


ERASING_MASK = Mask(
    "random_erasing",
    dict(nargs="?", choices=FILLS, const="value", metavar="value|pixels",
         help="a rectangle in every second image, of one value as in the CIFAR-10 collection (default) or of "
              "random pixels as in the paper"),
    paint_rectangles, lambda fill: f"erase a rectangle with probability 1/2: random {fill}",
    {"random-erasing": ("--random-erasing value", "value"),
     "random-erasing-pixels": ("--random-erasing pixels", "pixels")})
