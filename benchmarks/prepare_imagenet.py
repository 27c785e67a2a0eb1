"""Images per second of the ImageNet preparation beside MXNet's im2rec.py, on the same images with as many threads.

    python benchmarks/prepare_imagenet.py                                                   # generated images
    python benchmarks/prepare_imagenet.py --photographs imagenet-sample.tar --copies 20     # photographs: a tar or a folder
    python benchmarks/prepare_imagenet.py --modes pass-through --rounds 9 --im2rec ~/incubator-mxnet/tools/im2rec.py

Both read the same class folders and write one .rec file in the same order, as commands of their own, in turn, --rounds
times; ratios are taken round by round. What a command needs before its first image (interpreter, imports, an empty output)
is measured in the same round, on a single image, and taken off, for beside 1.3 million images it does not count. Ours
includes listing the folders, hashing every record and syncing the files to disk, none of which im2rec does here (its list
is made beforehand). All images are in the page cache.

pass-through: images keep their bytes. im2rec looks at none of them, like ours with --verify none; the default, --verify
full, decodes each to see that it can be. resize: shorter edge 480, JPEG quality 95. Where ours looks for nothing more than
im2rec the two files are compared, and exit code 1 says that they differ.
"""

import argparse
import filecmp
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tqdm import tqdm

from benchmarks.make_believe_imagenet import copies, generated, photographs, write_folders
from gluon_tricks.compat import visible_cpus
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.run_record import environment

# gluon_tricks first: im2rec imports MXNet, which needs it where NumPy is 1.24 or newer
RUN_IM2REC = "import gluon_tricks, runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
RESIZE = ["--resize", "480", "--quality", "95"]
MODES = {                          # the flags of im2rec, and those of ours: the first write the same file as im2rec
    "pass-through": (["--pass-through"], [["--verify", "none"], ["--verify", "header"], ["--verify", "full"]]),
    "resize": (RESIZE, [RESIZE]),
}


def main(argv=None):
    args = parse_args(argv)
    images = photographs(args.photographs) if args.photographs else generated(classes=160, per_class=1, size=(500, 375))
    images = copies(images, args.copies)
    sizes = [len(image) for members in images.values() for image in members.values()]
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        many, one, wnid = Path(scratch) / "many", Path(scratch) / "one", min(images)
        write_folders(many, images)
        write_folders(one, {wnid: dict(list(images[wnid].items())[:1])})
        for folder in (many, one):
            run(im2rec(args, folder, ["--list", "--recursive", "--no-shuffle"]))
        print(f"{len(sizes)} images of {sum(sizes) / len(sizes) / 1e3:.0f} kB, {args.num_thread} threads, "
              f"{environment()['processor']}; images/s, median of {args.rounds} rounds (least to most)", flush=True)
        equal = [compare(mode, args, many, one, len(sizes)) for mode in args.modes]
    return 0 if all(equal) else 1


def compare(mode, args, many, one, number):
    """Print the rates of one mode; whether both tools wrote the same file."""
    their_flags, our_flags = MODES[mode]
    sides = {f"im2rec {' '.join(their_flags)}": lambda folder: im2rec(args, folder, their_flags)}
    for flags in our_flags:
        sides[f"ours {' '.join(flags)}"] = lambda folder, flags=flags: ours(args, folder, flags)
    theirs, same_file = list(sides)[:2]
    rates, startups, equal = {name: [] for name in sides}, {name: [] for name in sides}, True
    with tqdm(total=args.rounds * len(sides), desc=mode, unit="runs", disable=None) as bar:
        for _ in range(args.rounds):
            for name, command in sides.items():
                startup, whole = timed(command, one), timed(command, many)
                startups[name].append(startup)
                rates[name].append((number - 1) / (whole - startup))
                if name == same_file:
                    equal &= filecmp.cmp(their_record_file(many), our_folder(many) / "train.rec", shallow=False)
                bar.update()
    for name, values in rates.items():
        ratios = [mine / other for mine, other in zip(values, rates[theirs])]
        beside = "" if name == theirs else f"; ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:33} {statistics.median(values):6.0f} ({min(values):.0f} to {max(values):.0f}), "
              f"start {statistics.median(startups[name]):.1f} s{beside}", flush=True)
    print(f"{mode}: files of im2rec and {same_file!r} {'equal' if equal else 'DIFFERENT'} in every round", flush=True)
    return equal


# --- the two commands ---------------------------------------------------------------------------------------------

def im2rec(args, folder, flags):
    return [sys.executable, "-c", RUN_IM2REC, str(args.im2rec), *flags, "--num-thread", str(args.num_thread),
            str(folder), str(folder)]


def ours(args, folder, flags):
    return [sys.executable, "data_prep/imagenet.py", "--train-dir", str(folder), "--subset", "--no-shuffle",
            "--num-thread", str(args.num_thread), *flags, "--out", str(our_folder(folder))]


def their_record_file(folder):
    return folder.with_suffix(".rec")


def our_folder(folder):
    return folder.with_suffix(".ours")


def timed(command, folder):
    """Seconds of a command; what came before it is on disk by then, and its output not there yet."""
    if command(folder)[1] == "-c":
        their_record_file(folder).unlink(missing_ok=True)
    else:
        shutil.rmtree(our_folder(folder), ignore_errors=True)
    os.sync()
    start = time.monotonic()
    run(command(folder))
    return time.monotonic() - start


def run(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(command[:3])} ... ended with exit code {done.returncode}: {done.stderr.strip()[-2000:]}")


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", metavar="TAR_OR_DIR",
                        help="class folders, as n01440764/*.JPEG; default: 160 generated images")
    parser.add_argument("--copies", type=int, default=10, help="of each image; default %(default)s")
    parser.add_argument("--modes", nargs="+", choices=sorted(MODES), default=sorted(MODES), help="default: both")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--num-thread", type=int, default=visible_cpus(), help="of both; default: one for each CPU, "
                                                                              "%(default)s")
    parser.add_argument("--im2rec", type=Path, metavar="PATH", help="default: the one in MXNet's wheel")
    parser.add_argument("--scratch", metavar="DIR", help="where images and files are written; default: the system's place "
                                                         "for temporary files")
    args = parser.parse_args(argv)
    if args.im2rec is None:
        package = importlib.util.find_spec("mxnet")
        args.im2rec = Path(package.origin).parent / "tools" / "im2rec.py" if package else Path("mxnet/tools/im2rec.py")
    if not args.im2rec.is_file():
        raise UserError(f"--im2rec {args.im2rec}: is no file; give the tools/im2rec.py of a copy of MXNet's source")
    for flag, value in (("--copies", args.copies), ("--rounds", args.rounds), ("--num-thread", args.num_thread)):
        if value < 1:
            raise UserError(f"{flag} {value}: must be at least 1")
    return args


if __name__ == "__main__":
    run_main(main)
