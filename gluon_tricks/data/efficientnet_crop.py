"""EfficientNet's crops (Tan & Le 2019), which GluonCV's train_horovod.py takes at --input-size 320 and more.

Training: a crop of 10 to 100 % of the area, its height uniform between the limits that these areas give. If
ten tries find none, or the crop is the whole image, the crop of validation. Validation: the central square of
size / (size + 32) of the shorter side. Both are resized by Pillow's bicubic filter, which averages when it
shrinks.
"""

import math

import numpy as np
from PIL import Image

MIN_AREA, RATIO, TRIES, MARGIN = 0.1, (3 / 4, 4 / 3), 10, 32


def sample_crop(height, width, rng):
    """Draw a crop: `(top, left, height, width)` in pixels, or None."""
    area = height * width
    for _ in range(TRIES):
        ratio = rng.uniform(*RATIO)                                     # width / height
        highest = min(round(math.sqrt(area / ratio)), math.floor(width / ratio), height)
        lowest = min(round(math.sqrt(MIN_AREA * area / ratio)), highest)
        h = round(rng.uniform(lowest, highest))
        w = round(h * ratio)
        if MIN_AREA * area <= h * w <= area and w <= width and h <= height:
            if (h, w) == (height, width):
                return None
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    return None


def center_square(height, width, size):
    """The crop of validation: `(top, left, height, width)`."""
    side = size / (size + MARGIN) * min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)
    return top, left, round(top + side) - top, round(left + side) - left


def crop_and_resize(image, crop, size):
    """Crop and resize: uint8 image, shape (H, W, 3) -> uint8, shape (size, size, 3)."""
    top, left, height, width = crop
    part = np.ascontiguousarray(image[top:top + height, left:left + width])
    return np.asarray(Image.fromarray(part).resize((size, size), Image.BICUBIC))


def random_crop(height, width, size, rng):
    """The crop of training: `(top, left, height, width)`."""
    return sample_crop(height, width, rng) or center_square(height, width, size)
