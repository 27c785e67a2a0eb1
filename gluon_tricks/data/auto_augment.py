"""AutoAugment (Cubuk et al. 2018, arXiv 1805.09501): the ImageNet policy, as in AutoGluon.

One of 25 sub-policies is drawn per image. A sub-policy is two operations, each with a probability and a
magnitude, an integer from 0 to 10. The policy is the paper's Table 9 except for one magnitude (Color 0 where
the paper has 2). The operations have AutoGluon's ranges:

    ShearX                            0.03 m, to either side
    Rotate                            3 m degrees, to either side
    Solarize                          inverts values of 256 - int(25.6 m) and more
    Posterize                         keeps the upper 4 - int(0.4 m) bits
    Color, Contrast, Sharpness        factor 0.1 + 0.18 m
    AutoContrast, Equalize, Invert    have no magnitude

AutoGluon later removed the sub-policies with Rotate. Which version the published ResNeSts used is not known;
all 25 are here.
"""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

POLICY = (
    (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
    (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 4), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 7)),
    (("Posterize", 0.8, 5), ("Equalize", 1.0, 2)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 8), ("Posterize", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 2)),
    (("Equalize", 0.0, 7), ("Equalize", 0.8, 8)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 0)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 8)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 9)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 3)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
)
SIDED = ("ShearX", "Rotate")        # to either side, drawn

OPERATIONS = {  # name -> (PIL image, magnitude) -> PIL image; a negative magnitude goes to the other side
    "ShearX": lambda image, m: image.transform(image.size, Image.AFFINE, (1, 0.03 * m, 0, 0, 1, 0),
                                               Image.BICUBIC),
    "Rotate": lambda image, m: image.rotate(int(3 * m)),
    "Solarize": lambda image, m: ImageOps.solarize(image, 256 - int(25.6 * m)),
    "Posterize": lambda image, m: ImageOps.posterize(image, 4 - int(0.4 * m)),
    "Color": lambda image, m: ImageEnhance.Color(image).enhance(0.1 + 0.18 * m),
    "Contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(0.1 + 0.18 * m),
    "Sharpness": lambda image, m: ImageEnhance.Sharpness(image).enhance(0.1 + 0.18 * m),
    "AutoContrast": lambda image, m: ImageOps.autocontrast(image),
    "Equalize": lambda image, m: ImageOps.equalize(image),
    "Invert": lambda image, m: ImageOps.invert(image),
}


def sample_operations(rng):
    """Draw the operations for one image: `[(operation, signed magnitude)]`, none, one or two."""
    drawn = []
    for name, probability, magnitude in POLICY[rng.integers(len(POLICY))]:
        if rng.random() < probability:
            drawn.append((name, -magnitude if name in SIDED and rng.random() < 0.5 else magnitude))
    return drawn


def apply_operations(image, operations):
    """Apply operations in order to a uint8 RGB image, shape (H, W, 3); same shape."""
    if not operations:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image))
    for name, magnitude in operations:
        picture = OPERATIONS[name](picture, magnitude)
    return np.asarray(picture)


def auto_augment(image, rng):
    """Apply one sub-policy, drawn from `rng`, to a uint8 RGB image, shape (H, W, 3)."""
    return apply_operations(image, sample_operations(rng))
