"""One side of `bench input`, in its own process: this kit's loader, MXNet's iterator, or decoding alone.

    python -m gluon_tricks.benching.input_side --side ours --rec train.rec -j 2 < /dev/null
"""

import argparse
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import cv2
import mxnet as mx
import simplejpeg

from gluon_tricks.data.imagenet_augment import RGB_MEAN, RGB_STD, ImagenetTrainTransform
from gluon_tricks.data.images import PhotographLoader, RecordImages
from gluon_tricks.data.photographs import Photograph
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.launching.worker import serve


def main():
    args = parse_args()
    if args.side == "ours":
        work = ours(args.rec, args.batch_size, args.input_size, args.num_workers)
    elif args.side == "mxnet":
        work = mxnets(args.rec, args.batch_size, args.input_size, args.num_workers)
    else:
        work = decode(args.rec, 1 if args.side == "decode-1" else args.num_workers)
    serve(work,
          versions={"mxnet": mx.__version__, "simplejpeg": simplejpeg.__version__, "opencv": cv2.__version__})


def ours(rec, batch_size, size, num_workers):
    """An epoch of --data-backend ours."""
    loader = PhotographLoader(RecordImages(rec), ImagenetTrainTransform(0, size), batch_size, 0, "discard",
                              num_workers)
    epochs = itertools.count()
    return lambda: sum(len(batch.label) for batch in loader.epoch(next(epochs)))


def mxnets(rec, batch_size, size, num_workers):
    """A pass of MXNet's iterator with the settings of GluonCV's script."""
    iterator = mx.io.ImageRecordIter(
        path_imgrec=str(rec), path_imgidx=str(rec.with_suffix(".idx")), preprocess_threads=num_workers,
        shuffle=True, batch_size=batch_size, data_shape=(3, size, size), rand_mirror=True,
        random_resized_crop=True, max_aspect_ratio=4 / 3, min_aspect_ratio=3 / 4, max_random_area=1,
        min_random_area=0.08, brightness=0.4, saturation=0.4, contrast=0.4, pca_noise=0.1, verbose=False,
        device_id=-1,
        **dict(zip(("mean_r", "mean_g", "mean_b"), RGB_MEAN)),
        **dict(zip(("std_r", "std_g", "std_b"), RGB_STD)))

    def work():
        iterator.reset()
        images = 0
        for batch in iterator:
            batch.data[0].wait_to_read()
            images += batch_size - batch.pad
        return images

    return work


def decode(rec, num_threads):
    """Decode every photograph in full."""
    reader = RecordReader(rec)
    pool = ThreadPoolExecutor(num_threads)

    def one(position):
        return len(Photograph(reader.read_image(position)[1]).pixels()) > 0

    return lambda: sum(pool.map(one, range(len(reader))))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=("ours", "mxnet", "decode", "decode-1"), required=True)
    parser.add_argument("--rec", type=Path, required=True)
    parser.add_argument("--num-workers", "-j", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--input-size", type=int, default=224)
    return parser.parse_args()


if __name__ == "__main__":
    main()
