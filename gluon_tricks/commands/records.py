"""What a record file holds, and its index made again.

    python -m gluon_tricks records train.rec                     labels, images, damaged places, the index
    python -m gluon_tricks records train.rec --no-images         the same without decoding
    python -m gluon_tricks records train.rec --index train.idx   also write the index, from the records alone

FILE is a RecordIO file of any tool. Its records are found without the index, also behind damaged ones. An
index at the default place, next to FILE, is compared with them. --index writes a line `key<TAB>offset` for
each whole record; the keys are those in the image headers if all differ, else 0, 1, 2, ... The new index is
complete before it gets its name, and replaces another one only with --overwrite.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from gluon_tricks.data.record_scan import scan_images, scan_labels
from gluon_tricks.data.record_walk import walk
from gluon_tricks.data.recordio import IMAGE_HEADER_BYTES, MAGIC, RecordReader, read_index
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder

SHOWN = 20                            # labels, and damaged places


def main(argv=None):
    args = parse_args(argv)
    places = list(walk(args.file))
    starts = np.array([place.start for place in places if not place.damage], np.int64)
    print(f"{args.file}: {len(starts)} records in {args.file.stat().st_size:,} bytes")
    print_places([place for place in places if place.damage])
    if not len(starts):
        raise UserError(f"{args.file}: holds no whole record; is it a RecordIO file?")
    keys = keys_of(RecordReader(args.file, index=(starts, starts)))
    for line in index_lines(args.file.with_suffix(".idx"), keys, starts):
        print(line)
    reader = RecordReader(args.file, index=(keys, starts))
    labels = scan_labels(reader)
    for line in label_lines(reader, labels):
        print(line)
    if not args.no_images:
        for line in image_lines(reader, scan_images(reader)):
            print(line)
    if args.index:
        atomic_write(args.index, "".join(f"{key}\t{start}\n" for key, start in zip(keys, starts)))
        print(f"index written: {args.index}, {len(keys)} records")
    return 0


def keys_of(reader):
    """The key in each record's image header; 0, 1, 2, ... if two are equal or a record has no such header."""
    heads = reader.heads(0, len(reader))
    keys = heads["key"]
    split = (heads["word"] >> 29 != 0) | ((heads["word"] & (1 << 29) - 1) < IMAGE_HEADER_BYTES)
    assert (heads["magic"] == MAGIC).all()
    if split.any() or len(np.unique(keys)) < len(keys) or keys.max() >= 1 << 63:
        return np.arange(len(reader))
    return keys.astype(np.int64)


# --- Lines --------------------------------------------------------------------------------------------------

def print_places(damaged):
    """The places between the records that hold none."""
    for place in damaged[:SHOWN]:
        print(f"damaged: offset {place.start} to {place.end}: {place.damage}")
    if len(damaged) > SHOWN:
        print(f"damaged: {len(damaged) - SHOWN} more places")


def index_lines(idx_path, keys, starts):
    """Yield how the index next to the file agrees with its records."""
    if not idx_path.exists():
        yield f"index {idx_path}: missing; --index {idx_path} makes it"
        return
    try:
        listed, offsets = read_index(idx_path)
    except UserError as error:
        yield f"index {error}"
        return
    known = np.isin(offsets, starts)
    lacking = len(starts) - len(np.unique(offsets[known]))
    wrong = int((~known).sum())
    found = [f"at {wrong} of them no record begins, the first has key {listed[~known][0]}"] if wrong else []
    found += [f"{lacking} records are not listed"] if lacking else []
    yield f"index {idx_path}: {len(listed)} records, " + ("; ".join(found) or "all of the file")


def label_lines(reader, labels):
    """Yield the range of the labels, the records of each, and records whose labels are unusable."""
    if labels.several:
        records, position, number = labels.several
        yield f"labels: {records} records have several, first {reader.describe(position)} with {number}"
    if labels.unusable:
        records, position, label = labels.unusable
        yield (f"labels: {records} are no whole number, the first is {label} of {reader.describe(position)}")
    if labels.table:
        table = labels.table
        yield f"labels: {table[0][0]} to {table[-1][0]}, {len(table)} different"
        for label, records, _ in table[:SHOWN]:
            yield f"  {label:>8}  {records} records"
        if len(table) > SHOWN:
            counts = [records for _, records, _ in table]
            yield f"  ... {len(table) - SHOWN} more labels; {min(counts)} to {max(counts)} records each"
    yield from damage_lines(labels.damaged)


def image_lines(reader, images):
    """Yield formats and sizes of the images, and those that do not decode."""
    if images.formats:
        yield "images: " + ", ".join(f"{name} {records}" for name, records, _ in images.formats)
        yield (f"sizes: {images.widths[0]} to {images.widths[1]} pixels wide, "
               f"{images.heights[0]} to {images.heights[1]} high")
    yield from damage_lines(images.damaged)


def damage_lines(damaged):
    yield from (f"damaged: {sentence}" for _, sentence in damaged[:SHOWN])
    if len(damaged) > SHOWN:
        yield f"damaged: {len(damaged) - SHOWN} more records"


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE", type=Path, help="the record file")
    parser.add_argument("--index", metavar="OUT.idx", type=Path, help="write the index there")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing --index")
    parser.add_argument("--no-images", action="store_true",
                        help="leave formats and sizes out, which needs the start of each image decoded")
    args = parser.parse_args(sys.argv[1:] if argv is None else argv)
    args.file = args.file.expanduser()
    if not args.file.is_file():
        raise UserError(f"{args.file}: is no file; give a record file, such as train.rec")
    if args.index:
        args.index = args.index.expanduser()
        make_folder("--index", args.index.parent)
        if args.index.exists() and not args.overwrite:
            raise UserError(f"--index {args.index}: exists; give --overwrite to replace it")
        if args.index.is_dir() or args.index.exists() and args.index.samefile(args.file):
            raise UserError(f"--index {args.index}: is a folder or the record file itself; give another name")
    return args


if __name__ == "__main__":
    run_main(main, prog="records")
