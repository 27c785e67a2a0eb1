"""Small `.rec` files for the tests."""

import cv2
import numpy as np

from gluon_tricks.data.recordio import RecordReader, write_image_records


def png(image):
    """An RGB image, shape (H, W, 3), as PNG bytes."""
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def random_images(count, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def write_rec(folder, encoded, labels, name="train"):
    """Write image records with keys 0, 1, ...; a `RecordReader` of them."""
    records = ((key, label, 0, image) for key, (label, image) in enumerate(zip(labels, encoded)))
    for _ in write_image_records(folder / f"{name}.rec", folder / f"{name}.idx", records):
        pass
    return RecordReader(folder / f"{name}.rec")
