"""One side of `bench input`, in a process of its own: this kit's loader, MXNet's iterator, or decoding alone.

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
    serve({"ours": ours, "mxnet": mxnets, "decode": decode, "decode-1": decode}[args.side](args),
          versions={"mxnet": mx.__version__, "simplejpeg": simplejpeg.__version__, "opencv": cv2.__version__})


def ours(args):
    """An epoch of --data-backend ours."""
    transform = ImagenetTrainTransform(0, args.input_size)
    loader = PhotographLoader(RecordImages(args.rec), transform, args.batch_size, 0, "discard", args.num_workers)
    epochs = itertools.count()
    return lambda: sum(len(batch.label) for batch in loader.epoch(next(epochs)))


def mxnets(args):
    """A pass of MXNet's iterator with the settings of GluonCV's script."""
    size = args.input_size
    iterator = mx.io.ImageRecordIter(
        path_imgrec=str(args.rec), path_imgidx=str(args.rec.with_suffix(".idx")), preprocess_threads=args.num_workers,
        shuffle=True, batch_size=args.batch_size, data_shape=(3, size, size), rand_mirror=True, random_resized_crop=True,
        max_aspect_ratio=4 / 3, min_aspect_ratio=3 / 4, max_random_area=1, min_random_area=0.08, brightness=0.4,
        saturation=0.4, contrast=0.4, pca_noise=0.1, verbose=False, device_id=-1,
        **dict(zip(("mean_r", "mean_g", "mean_b"), RGB_MEAN)), **dict(zip(("std_r", "std_g", "std_b"), RGB_STD)))

    def work():
        iterator.reset()
        images = 0
        for batch in iterator:
            batch.data[0].wait_to_read()
            images += args.batch_size - batch.pad
        return images

    return work


def decode(args):
    """Every photograph in full, by -j threads or by one."""
    reader = RecordReader(args.rec)
    pool = ThreadPoolExecutor(1 if args.side == "decode-1" else args.num_workers)

    def one(position):
        return len(Photograph(reader.read_image(position)[1]).pixels()) > 0

    return lambda: sum(pool.map(one, range(len(reader))))


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=("ours", "mxnet", "decode", "decode-1"), required=True)
    add_flags(parser)
    return parser.parse_args()


def add_flags(parser):
    parser.add_argument("--rec", type=Path, required=True)
    parser.add_argument("--num-workers", "-j", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--input-size", type=int, default=224)


if __name__ == "__main__":
    main()
