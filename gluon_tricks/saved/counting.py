"""Show a net every validation image once, and count its right answers."""

import math
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gluon_tricks.errors import UserError
from gluon_tricks.saved.tally import ROUNDING, Tally
from gluon_tricks.training.evaluation import answers
from gluon_tricks.training.status import progress_bar


class Validation(NamedTuple):
    """Images to show to a net."""
    loader: object
    path: Path
    protocol: str            # "exact": each image once; "gluoncv": MXNet's window, some images twice
    classes: list = None     # names in label order, where they are known
    root_hash: str = ""      # of the manifest; "" without one
    bad: dict = {}           # position -> why the image cannot be used; grows while images are read
    names: list = None       # of the images in the loader's order, where they are wanted
    labelled: bool = True
    has_file_names: bool = True     # `names` are those of files, not the keys of records
    note: str = ""           # a line on how the labels were read; "" if there is nothing to say


class Speed(NamedTuple):
    """Images per second from the end of the first batch to the end of the last; nan if there was only one
    batch."""
    images_per_s: float
    images: int
    seconds: float


def count_answers(net, data, engine, dtype, keep=()):
    """Count the net's answers for every image of `data`.

    Parameters
    ----------
    keep : sequence of callables
        Called for each part of a batch with positions, outputs and labels, all NumPy arrays. Images that were
        not read have a label below 0.

    Returns
    -------
    tally : Tally
    speed : Speed

    Raises
    ------
    UserError
        If no image decodes, or images are missing that have to be counted.
    """
    tally, seen, start, first = Tally(ROUNDING[dtype]), 0, None, 0
    with progress_bar(data.loader.records, "evaluating", "image") as bar:
        for positions, parts in _one_behind((batch.positions, answers(net, batch, engine, dtype))
                                            for batch in data.loader.epoch(0)):
            done = 0
            for output, label in parts:
                output, label = output.astype("float32").asnumpy(), label.asnumpy().astype(np.int64)
                tally.add(output, label)
                for one in keep:
                    one(positions[done:done + len(label)], output, label)
                done += len(label)
                images = int((label >= 0).sum()) if data.labelled else len(label)
                seen += images
                bar.update(images)
            # the first batch is not timed: it allocates memory and compiles kernels
            if start is None:
                start, first = time.perf_counter(), seen
    seconds, timed = time.perf_counter() - (start or 0), seen - first
    missing = data.loader.records - seen - len(data.bad)
    if data.protocol == "exact" and missing:
        raise UserError(f"{data.path}: {missing} of {data.loader.records} records have a label below 0")
    if not seen:
        raise UserError(f"{data.path}: no image decodes")
    return tally, Speed(timed / seconds if timed else math.nan, timed, seconds)


def _one_behind(items):
    """Yield each item after the next one was made, so that the next one is computed meanwhile."""
    waiting = []
    for item in items:
        waiting.append(item)
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting
