"""Training images per second through the input pipeline, without a net: this kit, MXNet's iterator, PyTorch,
decoding alone.

    python -m gluon_tricks bench input --rec-train ~/.mxnet/datasets/imagenet/rec/train.rec
    python -m gluon_tricks bench input --rec-train train.rec -j 8 --batch-size 128 --images 5120 --out bench
    python -m gluon_tricks bench input --rec-train train.rec --sides ours mxnet decode --rounds 11
    python -m gluon_tricks bench input --rec-train train.rec --torch-python .venv-torch/bin/python

The steps are those of the published runs: a random crop of 8 to 100 % of the area, flip, brightness, contrast
and saturation by 0.4, PCA noise, normalisation, float32 batches. Sides read the same records, which are
copied to a temporary file first so that they come from the page cache; they are repeated if there are fewer
than --images. Sides take turns, each in its own process.

    ours       --data-backend ours            decode     only decode every photograph in full, -j threads
    mxnet      ImageRecordIter, as GluonCV    decode-1   the same by one thread
    pytorch    DataLoader and torchvision over Pillow, -j processes

Effective decode threads: the number of threads that only decode, in full, and together are as fast as the
side.
"""

import argparse
import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np

from gluon_tricks.benching.paired import (
    LEAST_ROUNDS,
    Spread,
    at_least_a_batch,
    at_least_rounds,
    machine_line,
    paired,
    processor_times,
    table,
    write_report,
)
from gluon_tricks.data.recordio import RecordReader, frame
from gluon_tricks.errors import UserError
from gluon_tricks.launching.torch_python import add_torch_python, can_import, torch_python
from gluon_tricks.launching.worker import Worker
from gluon_tricks.recipes.flags import COMMAND_FLAGS, PROCESSES
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.training.status import announce

SIDES = ("ours", "mxnet", "pytorch", "decode", "decode-1")
HEADER = ("side", "images/s (least to greatest)", "ours / side", "effective decode threads", "CPU ms/image",
          "side / ours")


def main(argv):
    args = parse_args(argv)
    python, missing = torch_python(args.torch_python), {}
    if "pytorch" in args.sides and not can_import(python, "torch, torchvision, PIL"):
        missing["pytorch"] = "no torchvision; make torch installs it"
    flags = ["-j", args.num_workers, "--batch-size", args.batch_size, "--input-size", args.input_size]
    with contextlib.ExitStack() as stack:
        rec = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "some.rec"
        announce("copying photographs and starting a process for each side", everywhere=True)
        mean_bytes = copy_records(args.rec_train, rec, args.images)
        sides = {side: stack.enter_context(worker(side, python, ["--rec", rec, *flags]))
                 for side in args.sides if side not in missing}
        versions = {side: one.facts["versions"] for side, one in sides.items()}
        result = paired(sides, args.rounds, what="input")
        cpu_ms = processor_times(sides, args.rounds)
    rows = [report_row(side, result, cpu_ms, missing) for side in args.sides]
    text = [table(HEADER, rows), "", *(f"{side}: not run, {why}" for side, why in missing.items()),
            *sentences(result), f"-j {args.num_workers}, batch {args.batch_size}, {args.images} photographs "
            f"a turn of {mean_bytes / 1e3:.0f} kB to {args.input_size} pixels, {args.rounds} rounds in turn; "
            f"{machine_line(**versions.get('pytorch', {}))}"]
    write_report(args.out, "input", "\n".join(text), images_per_s=result.rates, cpu_ms_per_image=cpu_ms.rates,
                 rounds=args.rounds, not_run=missing, num_workers=args.num_workers,
                 batch_size=args.batch_size, images=args.images, input_size=args.input_size,
                 mean_bytes=mean_bytes, side_versions=versions)
    return 0


# --- Report -------------------------------------------------------------------------------------------------

def report_row(side, result, cpu_ms, missing):
    """The cells of `HEADER`; either ratio is above 1 where this kit is the faster one."""
    if side in missing:
        return side, "not run", "", "", "", ""
    speed_up = processor = threads = ""
    if "ours" in result.rates:
        speed_up, processor = result.ratio("ours", side).show(2), cpu_ms.ratio(side, "ours").show(2)
    if "decode-1" in result.rates:
        threads = result.ratio(side, "decode-1").show(2)
    return side, result.rate(side).show(0), speed_up, threads, f"{cpu_ms.rate(side).median:.2f}", processor


def sentences(result):
    """The share of the decoding limit that this kit reaches."""
    if {"ours", "decode"} <= set(result.rates):
        share = Spread(*(100 * value for value in result.ratio("ours", "decode")))
        yield f"ours reaches {share.show(0)} % of what decoding in full alone does"


# --- Sides --------------------------------------------------------------------------------------------------

def worker(side, python, flags):
    """The process of a side; `python` is the interpreter that has PyTorch."""
    env = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS")}
    if side == "pytorch":
        return Worker(side, ["-m", "gluon_tricks.benching.torch_input_side", *flags], python, env)
    return Worker(side, ["-m", "gluon_tricks.benching.input_side", "--side", side, *flags], env=env)


def copy_records(source, rec, count):
    """Write `count` records spread evenly over a file, or all of it repeated; returns the mean size of an
    image in bytes."""
    reader, total = RecordReader(source), 0
    if count > len(reader):
        chosen = np.arange(count) % len(reader)
    else:
        chosen = np.linspace(0, len(reader) - 1, count).astype(int)
    with open(rec, "wb") as records, open(rec.with_suffix(".idx"), "w") as index:
        for key, position in enumerate(chosen):
            payload = reader.read(int(position))
            index.write(f"{key}\t{records.tell()}\n")
            records.write(frame(payload))
            total += len(payload)
    return total / count


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rec-train", type=lambda path: Path(path).expanduser(), metavar="FILE",
                        default="~/.mxnet/datasets/imagenet/rec/train.rec",
                        help="photographs in a record file, its .idx next to it (default %(default)s)")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), metavar="SIDE",
                        help=f"sides to compare: {', '.join(SIDES)} (default all)")
    parser.add_argument("--num-workers", "-j", type=int, default=2,
                        help="threads or processes of each side (default 2)")
    parser.add_argument("--batch-size", type=int, default=64, help="images per batch (default 64)")
    parser.add_argument("--input-size", type=int, default=224, help="pixels (default 224)")
    parser.add_argument("--images", type=int, default=1280, help="images per turn (default 1280)")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS,
                        help=f"turns of each side (default {LEAST_ROUNDS})")
    add_torch_python(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for input.md and input.json")
    args = parser.parse_args(argv)
    if not args.rec_train.is_file():
        raise UserError(f"--rec-train {args.rec_train}: does not exist; make it with data_prep/imagenet.py")
    check_numbers(args, COMMAND_FLAGS, spelling={}, num_workers=PROCESSES)
    at_least_a_batch(args.images, args.batch_size)
    at_least_rounds(args.rounds)
    return args
