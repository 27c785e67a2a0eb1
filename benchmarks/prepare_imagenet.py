"""Images per second of the ImageNet preparation beside MXNet's im2rec.py, on the same images with as many
threads.

    python benchmarks/prepare_imagenet.py                                                   # generated images
    python benchmarks/prepare_imagenet.py --photographs imagenet-sample.tar --copies 20    # a tar or a folder
    python benchmarks/prepare_imagenet.py --modes pass-through --rounds 9 --im2rec ~/mxnet/tools/im2rec.py

Both read the same class folders and write one .rec file in the same order, as commands of their own, in turn,
--rounds times; ratios are taken round by round. What a command needs before its first image (interpreter,
imports, an empty output) is measured on a single image in each round, and the median taken off: beside 1.3
million images it does not count. Ours includes listing the folders, hashing every record and syncing the
files to disk, none of which im2rec does here (its list is made beforehand). All images are in the page cache.
CPU time is that of all threads and processes of a command; where other programs run it is the better measure,
for more processes get a larger share of the machine.

pass-through: images keep their bytes. im2rec looks at none of them, like ours with --verify none; the
default, --verify full, decodes each to see that it can be. resize: shorter edge 480, JPEG quality 95. Where
ours looks for nothing more than im2rec the two files are compared, and exit code 1 says that they differ.
"""

import argparse
import filecmp
import importlib.util
import os
import resource
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

from benchmarks.synthetic_imagenet import copies, generated, photographs, write_folders
from gluon_tricks.compat import visible_cpus
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.machine import environment

# gluon_tricks first: im2rec imports MXNet, which needs it where NumPy is 1.24 or newer
RUN_IM2REC = "import gluon_tricks, runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
RESIZE = ["--resize", "480", "--quality", "95"]
MODES = {  # the flags of im2rec, and those of ours: the first write the same file as im2rec
    "pass-through": (["--pass-through"],
                     [["--verify", "none"], ["--verify", "header"], ["--verify", "full"]]),
    "resize": (RESIZE, [RESIZE]),
}


def main(argv=None):
    args = parse_args(argv)
    images = photographs(args.photographs) if args.photographs else generated(classes=160, per_class=1,
                                                                              size=(500, 375))
    images = copies(images, args.copies)
    sizes = [len(image) for members in images.values() for image in members.values()]
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        many, one, wnid = Path(scratch) / "many", Path(scratch) / "one", min(images)
        write_folders(many, images)
        write_folders(one, {wnid: dict(list(images[wnid].items())[:1])})
        for folder in (many, one):
            run(im2rec(args, folder, ["--list", "--recursive", "--no-shuffle"])[0])
        print(f"{environment()['processor']}, {args.num_thread} threads, {len(sizes)} images of "
              f"{sum(sizes) / len(sizes) / 1e3:.0f} kB; median of {args.rounds} rounds (least to "
              "most)", flush=True)
        equal = [compare(mode, args, many, one, len(sizes)) for mode in args.modes]
    return 0 if all(equal) else 1


def compare(mode, args, many, one, number):
    """Print the rates of one mode; whether both tools wrote the same file."""
    their_flags, our_flags = MODES[mode]
    sides = {f"im2rec {' '.join(their_flags)}": lambda folder: im2rec(args, folder, their_flags)}
    for flags in our_flags:
        sides[f"ours {' '.join(flags)}"] = lambda folder, flags=flags: ours(args, folder, flags)
    theirs, same_file = list(sides)[:2]
    many_runs, one_runs, equal = {name: [] for name in sides}, {name: [] for name in sides}, True
    with tqdm(total=args.rounds * len(sides), desc=mode, unit="runs", disable=None) as bar:
        for _ in range(args.rounds):
            for name, command in sides.items():
                one_runs[name].append(timed(*command(one)))
                many_runs[name].append(timed(*command(many)))
                if name == same_file:
                    equal &= filecmp.cmp(sides[theirs](many)[1], command(many)[1], shallow=False)
                bar.update()
    rates = {}
    for name, runs in many_runs.items():
        start, start_cpu = (statistics.median(column) for column in zip(*one_runs[name]))
        rates[name] = [(number - 1) / (seconds - start) for seconds, _ in runs]
        cpu_ms = [1e3 * (cpu - start_cpu) / (number - 1) for _, cpu in runs]
        ratios = [mine / other for mine, other in zip(rates[name], rates[theirs])]
        print(f"{name:33} {spread(rates[name], '.0f')} images/s, {spread(cpu_ms, '.2f')} ms of CPU each, "
              f"after a start of {start:.1f} "
              "s" + (f", ratio {spread(ratios, '.2f')}" if name != theirs else ""), flush=True)
    print(f"files of {same_file!r} and im2rec: "
          f"{'equal in every round' if equal else 'DIFFERENT'}", flush=True)
    return equal


def spread(values, digits):
    return f"{statistics.median(values):{digits}} ({min(values):{digits}} to {max(values):{digits}})"


# --- the two commands ---------------------------------------------------------------------------------------

def im2rec(args, folder, flags):
    """The command, and the file it writes."""
    prefix = folder.with_suffix(".im2rec")
    return [sys.executable, "-c", RUN_IM2REC, str(args.im2rec), *flags, "--num-thread", str(args.num_thread),
            str(prefix), str(folder)], Path(f"{prefix}.rec")


def ours(args, folder, flags):
    """The command, and the file it writes."""
    out = folder.with_suffix(".ours")
    return [sys.executable, "data_prep/imagenet.py", "--train-dir", str(folder), "--subset", "--classes",
            "found",
            "--no-shuffle", "--num-thread", str(args.num_thread), *flags, "--out",
            str(out)], out / "train.rec"


def timed(command, written):
    """Seconds of a command, by the clock and of CPUs.

    What was written before is on disk, its own earlier output gone.
    """
    if written.parent.suffix == ".ours":
        shutil.rmtree(written.parent, ignore_errors=True)
    written.unlink(missing_ok=True)
    os.sync()
    start, start_cpu = time.monotonic(), cpu_seconds()
    said = run(command)
    seconds = time.monotonic() - start, cpu_seconds() - start_cpu
    if not written.exists():                       # im2rec ends with 0 whatever happens
        raise UserError(f"{' '.join(command)}: wrote no {written.name}: {said[-2000:]}")
    return seconds


def cpu_seconds():
    """Of all commands that have ended, and what they started."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(command):
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode:
        raise UserError(f"{' '.join(command)}: exit code {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", metavar="TAR_OR_DIR",
                        help="class folders, as n01440764/*.JPEG; default: 160 generated images")
    parser.add_argument("--copies", type=int, default=10, help="of each image; default %(default)s")
    parser.add_argument("--modes", nargs="+", choices=sorted(MODES), default=sorted(MODES),
                        help="default: both")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--num-thread", type=int, default=visible_cpus(), help="of both; default: one for "
                                                                              "each CPU, %(default)s")
    parser.add_argument("--im2rec", type=Path, metavar="PATH", help="default: the one in MXNet's wheel")
    parser.add_argument("--scratch", metavar="DIR", help="where images and files are written; default: the "
                                                         "system's place for temporary files")
    args = parser.parse_args(argv)
    if args.im2rec is None:
        package = importlib.util.find_spec("mxnet")
        folder = Path(package.origin).parent if package else Path("mxnet")
        args.im2rec = folder / "tools" / "im2rec.py"
    if not args.im2rec.is_file():
        raise UserError(f"--im2rec {args.im2rec}: is no file; give the tools/im2rec.py of a copy of MXNet's "
                        "source")
    for flag, value in (("--copies", args.copies), ("--rounds", args.rounds),
                        ("--num-thread", args.num_thread)):
        if value < 1:
            raise UserError(f"{flag} {value}: must be at least 1")
    return args


if __name__ == "__main__":
    run_main(main)
