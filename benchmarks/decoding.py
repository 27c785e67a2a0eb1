"""What it saves to decode less of a photograph than all, and what it changes.

    python benchmarks/decoding.py --rec-train ~/.mxnet/datasets/imagenet/rec/train.rec
    python benchmarks/decoding.py --rec-train train.rec --images 500 --rounds 5

Crops are drawn by the law of the published runs, one a photograph and round, and resized. Ways of decoding
take turns crop by crop, in one thread; times are this thread's processor time, so other programs disturb them
little:

    opencv    all rows, by OpenCV
    full      all rows, by simplejpeg
    rows      down to the crop's last row: what the loader does
    scaled    the same at 1/2, 1/4 or 1/8 of the size, where the crop stays as large as the net's input
"""

import argparse
import statistics
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
import simplejpeg
from tqdm import tqdm

from gluon_tricks.data.imagenet_augment import sample_crop
from gluon_tricks.data.photographs import Photograph, baseline_frame, decode_rgb
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.randomness import sample_generator

SCALES = (8, 4, 2)


def main():
    args = parse_args()
    cv2.setNumThreads(1)
    reader = RecordReader(args.rec_train)
    positions = np.linspace(0, len(reader) - 1, min(args.images, len(reader))).astype(int)
    times, changes = {way: [] for way in WAYS}, []
    with tqdm(total=args.rounds * len(positions), unit="crop", disable=None) as bar:
        for epoch in range(args.rounds):
            spent = dict.fromkeys(WAYS, 0.0)
            for position in positions.tolist():
                encoded, rng = reader.read_image(position)[1], sample_generator(0, epoch, position)
                one_crop(encoded, rng, args.input_size, spent, changes)
                bar.update()
            for way, seconds in spent.items():
                times[way].append(1000 * seconds / len(positions))
    report(times, changes, args)


def one_crop(encoded, rng, size, spent, changes):
    """Take a crop in every way.

    Add the time to `spent`, and what scaling changed in grey levels to `changes`.
    """
    frame = baseline_frame(encoded)
    box = frame and sample_crop(frame.height, frame.width, rng)
    if box is None:
        return
    crops = {}
    for way, take in WAYS.items():
        start = time.thread_time()
        crops[way] = take(encoded, frame, box, size)
        spent[way] += time.thread_time() - start
    for name in ("opencv", "rows"):
        assert (crops[name] == crops["full"]).all(), f"pixels of {name} differ"
    if scale_of(box, size) > 1:
        changes.append(np.abs(crops["scaled"].astype(int) - crops["full"]))
    else:
        changes.append(None)


def report(times, changes, args):
    """Print medians over the rounds."""
    for way, values in times.items():
        ratios = [value / full for value, full in zip(values, times["full"])]
        print(f"{way:8} {statistics.median(values):6.3f} ms per crop   {statistics.median(ratios):5.2f} of "
              f"full ({min(ratios):.2f} to {max(ratios):.2f})")
    changed = [change for change in changes if change is not None]
    print(f"rows: every pixel of {len(changes)} crops is the full decoder's")
    print(f"scaled: {len(changed)} of {len(changes)} crops are large enough to be scaled at "
          f"{args.input_size} pixels")
    if changed:
        print(f"        in these, grey levels differ by {np.mean([change.mean() for change in changed]):.2f} "
              f"on average, by {max(change.max() for change in changed)} at most")


# --- Ways: (encoded, frame, box, size) -> uint8 crop, shape (size, size, 3) ---------------------------------

def cut(image, box, size):
    top, left, height, width = box
    return cv2.resize(image[top:top + height, left:left + width], (size, size),
                      interpolation=cv2.INTER_LINEAR)


def scaled(encoded, frame, box, size):
    scale = scale_of(box, size)
    if scale == 1:
        return rows(encoded, frame, box, size)
    top, left, height, width = box
    upper = frame.enough(top + height)
    encoded = bytearray(encoded)
    struct.pack_into(">H", encoded, frame.height_at, upper)
    image = simplejpeg.decode_jpeg(encoded, "RGB", strict=False, min_height=-(-upper // scale),
                                   min_width=-(-frame.width // scale), min_factor=scale)
    part = image[top // scale:-(-(top + height) // scale), left // scale:-(-(left + width) // scale)]
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR)


def scale_of(box, size):
    """The greatest scale that leaves both sides of the crop at least `size` pixels, or 1."""
    return next((scale for scale in SCALES if min(box[2:]) >= scale * size), 1)


def rows(encoded, frame, box, size):
    return cut(Photograph(encoded).rows(box[0] + box[2]), box, size)


WAYS = {
    "opencv": lambda encoded, frame, box, size: cut(decode_rgb(encoded), box, size),
    "full": lambda encoded, frame, box, size: cut(Photograph(encoded).pixels(), box, size),
    "rows": rows,
    "scaled": scaled,
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rec-train", type=Path, required=True, metavar="FILE",
                        help="photographs in a record file")
    parser.add_argument("--images", type=int, default=1000, help="photographs per round, at most (default "
                                                                 "1000)")
    parser.add_argument("--input-size", type=int, default=224, help="pixels of the net's input (default 224)")
    parser.add_argument("--rounds", type=int, default=7, help="crops of each photograph (default 7)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
