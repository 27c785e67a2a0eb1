"""Augmentation of ImageNet photographs (§2.1), as functions of drawn numbers.

    paper     crop of 8 to 100 % of the area, aspect ratio in [3/4, 4/3], resized to 224; flip; hue,
              saturation and brightness factors in [0.6, 1.4]; PCA noise N(0, 0.1); normalise. In float32. The
              effect of a factor on the hue is not given: here, as in mx.image, 0.6 and 1.4 turn it by 0.4 of
              a half circle.
    GluonCV   with record files (behind all published logs but one): MXNet's iterator. Ratio uniform, then
              width and height swapped with probability 1/2; if ten tries fail, a centre crop without
              rescaling; brightness, contrast and saturation in random order, *no hue*; noise with one draw
              per eigenvector; flip last. In uint8. With image folders: ratio log-uniform; flip before jitter;
              the grey about which saturation turns is 0.114 x blue, because Gluon's operator loses the rest
              of the sum. train_horovod.py has the laws of image folders, at 320 pixels and more those of
              EfficientNet, and can put AutoAugment before them.
    here      each law of the crop and either set of colours, in float32 after the resize. Saturation always
              turns about the true grey.

Validation: the shorter side to ceil(size / crop_ratio), then the centre.
"""

import math

import cv2
import numpy as np

from gluon_tricks.data import efficientnet_crop
from gluon_tricks.data.auto_augment import auto_augment
from gluon_tricks.data.photographs import Decoded
from gluon_tricks.randomness import sample_generator
from gluon_tricks.recipes.data_paths import RGB_MEAN, RGB_STD

AREA, RATIO, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10
JITTER, PCA_STD = 0.4, 0.1
GLUONCV, PAPER = ("brightness", "contrast", "saturation"), ("brightness", "hue", "saturation")
GREY = np.array([0.299, 0.587, 0.114])
IDENTITY = np.eye(3, 4)                        # of `color_change`: matrix and offset
# AlexNet's eigenvalues and eigenvectors of ImageNet's RGB values, 0..255 scale
EIGENVALUES = np.array([55.46, 4.794, 1.148], np.float32)
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]],
                        np.float32)


def sample_crop(height, width, rng, law="rec"):
    """A random crop by the law of GluonCV's record files ("rec"), its image folders ("folder"), or the paper.

    Returns
    -------
    (top, left, height, width) in pixels, or None if ten tries found none that fits.
    """
    for _ in range(TRIES):
        area = rng.uniform(*AREA) * height * width
        ratio = math.exp(rng.uniform(*map(math.log, RATIO))) if law == "folder" else rng.uniform(*RATIO)
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if law == "rec" and rng.random() < 0.5:
            w, h = h, w
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    return None


def center_crop(image, size):
    """The central square of `size` pixels; an image with a shorter side is first scaled up to it."""
    height, width = image.shape[:2]
    if min(height, width) < size:
        image = resize_short(image, size)
        height, width = image.shape[:2]
    top, left = (height - size) // 2, (width - size) // 2
    return image[top:top + size, left:left + size]


def resize_short(image, short):
    """Scale the shorter side to `short` pixels, the longer by integer division as MXNet does; bilinear."""
    height, width = image.shape[:2]
    if height > width:
        new = (short * height // width, short)
    else:
        new = (short, short * width // height)
    return image if new == (height, width) else cv2.resize(image, new[::-1], interpolation=cv2.INTER_LINEAR)


def five_crops(image, size, side):
    """The corners and the centre of the central square of `side` pixels: top left, top right, bottom left,
    bottom right, centre; uint8, shape (size, size, 3) each.

    The square is AlexNet's (Krizhevsky et al. 2012, section 4.1). The centre is that of `center_crop`.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
        Its shorter side has `side` pixels or more, and `side` is at least `size`.
    """
    tops, lefts = ((first, first + side - size) for first in ((edge - side) // 2 for edge in image.shape[:2]))
    corners = [image[top:top + size, left:left + size] for top in tops for left in lefts]
    return [*corners, center_crop(image, size)]


def color_change(mean, order, factors, kinds=GLUONCV):
    """The affine map of a pixel that scales three properties by `factors`, in the given order of 0, 1, 2.

    Contrast turns about the image's mean grey, saturation about each pixel's grey. Every step is affine and
    nothing is clipped between steps, so all three are one affine map. The mean grey before a step is that of
    the mean pixel.

    Parameters
    ----------
    mean : three floats
        The image's mean pixel, RGB.
    order, factors, kinds : three each

    Returns
    -------
    float64, shape (3, 4)
        A pixel (r, g, b) becomes this matrix times (r, g, b, 1).
    """
    mean, change = np.array((*mean, 1.0)), IDENTITY
    for number in order:
        factor, kind = factors[number], kinds[number]
        if kind == "brightness":
            change = factor * change
        elif kind == "contrast":
            grey = GREY @ change @ mean
            change = factor * change
            change[:, 3] += (1 - factor) * grey
        elif kind == "saturation":
            change = factor * change + (1 - factor) * (GREY @ change)
        else:
            change = turn_hue((factor - 1) / 2) @ change
    return change


def turn_hue(turn):
    """Matrix that turns the hue by `turn` of a full circle (0.1: a tenth): a rotation of the YIQ plane."""
    cos, sin = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
    rotation = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.linalg.inv(to_yiq) @ rotation @ to_yiq


def change_color(image, change):
    """Apply an affine map, shape (3, 4), to a uint8 image, shape (H, W, 3): float32, clipped to [0, 255]."""
    image = cv2.transform(image.astype(np.float32), change.astype(np.float32))
    cv2.threshold(image, 0, 0, cv2.THRESH_TOZERO, dst=image)
    return cv2.threshold(image, 255, 0, cv2.THRESH_TRUNC, dst=image)[1]


def mean_pixel(image):
    """Mean red, green and blue of a uint8 image, exactly."""
    return [cv2.sumElems(plane)[0] / plane.size for plane in cv2.split(image)]  # cv2.mean does not vectorise


def pca_noise(alphas):
    """The RGB offset for three draws, one per eigenvector: shape (3,), on the 0..255 scale."""
    return EIGENVECTORS @ (np.asarray(alphas, np.float32) * EIGENVALUES)


def normalize(image, mean=RGB_MEAN, std=RGB_STD, out=None):
    """Normalise an image, shape (H, W, 3), 0..255, to float32, shape (3, H, W); into `out` if given."""
    if out is None:
        out = np.empty((3, *image.shape[:2]), np.float32)
    for plane, target, m, s in zip(cv2.split(image), out, np.float32(mean), np.float32(std)):
        np.subtract(plane, m, out=target, dtype=np.float32)
        target /= s
    return out


class ImagenetTrainTransform:
    """Crop, colours, PCA noise, flip and normalisation; a function of (seed, epoch, record) alone.

    Parameters
    ----------
    seed : int
    size : int
        Side of the result in pixels.
    mean, std : three floats, 0..255 scale
    law : "rec", "folder", "paper" or "efficientnet"
        How the crop is drawn, and what replaces it if none fits.
    colors : "gluoncv" or "paper"
        Scale brightness, contrast and saturation, or brightness, saturation and hue.
    auto_aug : bool
        AutoAugment comes first, on the whole image.
    """

    def __init__(self, seed, size=224, mean=RGB_MEAN, std=RGB_STD, law="rec", colors="gluoncv",
                 auto_aug=False):
        self.seed, self.size, self.mean, self.std = seed, size, mean, std
        self.law, self.auto_aug = law, auto_aug
        self.kinds = PAPER if colors == "paper" else GLUONCV
        self.shape = (3, size, size)

    def __call__(self, images, positions, epoch):
        """List of uint8 RGB images of any size -> float32, shape (N, 3, size, size)."""
        return fill_all(self, images, positions, epoch)

    def fill(self, out, photograph, position, epoch):
        """Write one `Photograph` into `out`, float32, shape (3, size, size)."""
        self.one(photograph, sample_generator(self.seed, epoch, position), out)

    def one(self, photograph, rng, out=None):
        """The same with the generator of its record and epoch; returns the image."""
        if self.auto_aug:
            photograph = Decoded(auto_augment(photograph.pixels(), rng))
        image = self.crop(photograph, rng)
        order, changes = rng.permutation(3), rng.uniform(-JITTER, JITTER, 3)
        change = color_change(mean_pixel(image), order, 1 + changes, self.kinds)
        change[:, 3] += pca_noise(rng.normal(0, PCA_STD, 3))
        if rng.random() < 0.5:
            image = cv2.flip(image, 1)
        return normalize(change_color(image, change), self.mean, self.std, out)

    def crop(self, photograph, rng):
        """A random crop, or its replacement if none fits: uint8, shape (size, size, 3)."""
        if self.law == "efficientnet":
            box = efficientnet_crop.random_crop(*photograph.shape, self.size, rng)
            return efficientnet_crop.crop_and_resize(photograph.rows(box[0] + box[2]), box, self.size)
        box = sample_crop(*photograph.shape, rng, self.law)
        if box is not None:
            top, left, height, width = box
            part = photograph.rows(top + height)[top:top + height, left:left + width]
            return cv2.resize(part, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        image = photograph.pixels()
        if self.law == "folder":  # of an image smaller than `size`: the largest square, scaled up after
            image = center_crop(image, min(self.size, *image.shape[:2]))
        elif self.law == "paper":
            image = resize_short(image, self.size)
        return center_crop(image, self.size)


def resized_to(size, crop_ratio):
    """Pixels of the shorter side from which validation cuts its central square."""
    return math.ceil(size / crop_ratio)


class ImagenetTestTransform:
    """Resize, centre crop and normalise; with `law` "efficientnet" EfficientNet's central square.

    With `all_crops` the result has an axis more, for the crops of `five_crops`.
    """

    def __init__(self, size=224, crop_ratio=0.875, mean=RGB_MEAN, std=RGB_STD, law="rec", all_crops=False):
        self.size, self.resize, self.all_crops = size, resized_to(size, crop_ratio), all_crops
        self.mean, self.std, self.law = mean, std, law
        self.shape = (5, 3, size, size) if all_crops else (3, size, size)

    def __call__(self, images, positions, epoch):
        """As `ImagenetTrainTransform`, without random numbers."""
        return fill_all(self, images, positions, epoch)

    def fill(self, out, photograph, position, epoch):
        """Write one `Photograph` into `out`, float32, of the transform's `shape`."""
        if not self.all_crops:
            self.normalize(self.square(photograph), out)
            return
        image = resize_short(photograph.pixels(), self.resize)
        for crop, part in zip(five_crops(image, self.size, self.resize), out):
            self.normalize(crop, part)

    def normalize(self, image, out):
        """Write a uint8 image, shape (size, size, 3), normalised into `out`, float32, (3, size, size)."""
        normalize(image, self.mean, self.std, out)

    def square(self, photograph):
        """The part of a `Photograph` that the net sees: uint8 RGB, shape (size, size, 3)."""
        if self.law == "efficientnet":
            box = efficientnet_crop.center_square(*photograph.shape, self.size)
            return efficientnet_crop.crop_and_resize(photograph.rows(box[0] + box[2]), box, self.size)
        return center_crop(resize_short(photograph.pixels(), self.resize), self.size)


def fill_all(transform, images, positions, epoch):
    """Apply one of these transforms to decoded images: float32, shape (N, *transform.shape)."""
    out = np.empty((len(images), *transform.shape), np.float32)
    for i, image in enumerate(images):
        transform.fill(out[i], Decoded(image), None if positions is None else int(positions[i]), epoch)
    return out
