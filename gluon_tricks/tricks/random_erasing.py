"""Random erasing (Zhong et al. 2017, arXiv 1708.04896): with probability 1/2 a rectangle of the image is painted over.

    area      uniform in [0.02, 0.4] of the image; height / width uniform in [0.3, 1 / 0.3]; at most 20 tries to fit in
    paper     every pixel of the rectangle is a draw of its own, over the range of pixel values
    coded     one draw in [0, 1) for the whole rectangle, on the normalised scale: about the mean colour up to one
              deviation brighter. That is what the CIFAR-10 collection's figures were made with.

`fill` names the two: "pixels" and "value".
"""

import numpy as np

AREA, MIN_RATIO, TRIES, PROBABILITY = (0.02, 0.4), 0.3, 20, 0.5
FILLS = ("value", "pixels")


def sample_box(height, width, rng):
    """A rectangle that fits into the image: `(top, left, height, width)`, or None if the coin or all tries say so.

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
    """Paint `values`, a number or an array of shape (C, h, w), over the rectangle of an image of shape (C, H, W)."""
    top, left, height, width = box
    erased = image.copy()
    erased[:, top:top + height, left:left + width] = values
    return erased


def pixel_values(box, mean, std, rng):
    """Draws over the range of pixels, 0..1, on the normalised scale: shape (C, h, w)."""
    mean, std = (np.float32(values).reshape(-1, 1, 1) for values in (mean, std))
    return (rng.random((len(mean), *box[2:])).astype(np.float32) - mean) / std
