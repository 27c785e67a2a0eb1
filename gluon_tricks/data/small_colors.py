"""The CIFAR-100 follow-up's colour augmentation: brightness, saturation and hue, then PCA noise ("lighting").

Its text (II) gives the steps but no amounts. Here they are those of the paper it follows (§2.1): factors in
[0.6, 1.4], noise of deviation 0.1. Normalisation uses ImageNet's mean and deviation. The flip comes first,
which makes no difference.
"""

import numpy as np

from gluon_tricks.data.imagenet_augment import JITTER, PCA_STD, change_color, color_change, pca_noise
from gluon_tricks.randomness import COLOR, generator

KINDS = ("brightness", "saturation", "hue")


def follow_up_colors(images, positions, seed, epoch):
    """uint8 images, shape (N, H, W, 3), RGB -> uint8, same shape; a function of (seed, epoch, record)."""
    out = np.empty_like(images)
    for i, (image, position) in enumerate(zip(images, positions)):
        rng = generator(seed, COLOR, epoch, int(position))
        factors = 1 + rng.uniform(-JITTER, JITTER, 3)
        change = color_change((0, 0, 0), range(3), factors, KINDS)        # only contrast needs the mean pixel
        change[:, 3] += pca_noise(rng.normal(0, PCA_STD, 3))
        out[i] = change_color(image, change).round()
    return out
