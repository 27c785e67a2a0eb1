"""Whether an exported model computes what its net computes, and images to find that out with."""

from typing import NamedTuple

import numpy as np
from mxnet import nd

from gluon_tricks.data.encoded import Undecodable
from gluon_tricks.data.folders import is_hidden, is_image
from gluon_tricks.data.images import RecordImages
from gluon_tricks.data.photographs import decode_rgb
from gluon_tricks.errors import UserError


class Agreement(NamedTuple):
    """How close an exported model's outputs are to the net's."""
    difference: float        # the largest, as a share of `largest`
    largest: float           # absolute value of the net's outputs
    same_top1: int           # images


def agreement(net, run, images):
    """Compare the outputs of the net and of `run`, in batches of 32 and for one image alone.

    Parameters
    ----------
    net : HybridBlock
    run : callable, float32 array (N, C, H, W) -> array (N, classes)
        The exported model.
    images : float32 array, shape (N, C, H, W)

    Returns
    -------
    Agreement
    """
    # the single image shows that the exported model takes any batch size
    batches = [images[start:start + 32] for start in range(0, len(images), 32)] + [images[:1]]
    expected, got = [net(nd.array(batch)).asnumpy() for batch in batches], [run(batch) for batch in batches]
    for ours, theirs in zip(expected, got):
        if ours.shape != theirs.shape:
            raise UserError(f"the exported model's outputs have shape {theirs.shape}, the net's {ours.shape}")
    expected, got = np.concatenate(expected), np.concatenate(got)
    largest = float(np.abs(expected).max()) or 1.0
    same_top1 = (got.argmax(axis=1) == expected.argmax(axis=1))[:len(images)]
    return Agreement(float(np.abs(got - expected).max() / largest), largest, int(same_top1.sum()))


def read_images(path, count):
    """At most `count` uint8 RGB images, evenly spread over a record file or over the files in a folder and
    below it."""
    if path.suffix == ".rec":
        records = RecordImages(path)
        return records.read(spread(len(records), count))[0]
    files = sorted(file for file in path.rglob("*")
                   if is_image(file.name) and not is_hidden(file.relative_to(path)))
    if not files:
        raise UserError(f"--check-images {path}: is neither a .rec file nor a folder with images")
    images = []
    for file in (files[position] for position in spread(len(files), count)):
        try:
            images.append(decode_rgb(file.read_bytes()))
        except Undecodable as damage:
            raise UserError(f"--check-images: {file}: {damage}") from None
    return images


def spread(total, count):
    """At most `count` positions from 0 to `total` - 1."""
    return np.linspace(0, total - 1, min(count, total)).astype(int)
