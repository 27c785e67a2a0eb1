"""Fill the disk at every write of a short run, and of the preparation of its records, and go on each time.

    python benchmarks/disk_full.py                       # all write points of both; needs a C compiler
    python benchmarks/disk_full.py --job prepare
    python benchmarks/disk_full.py --job train --points "rename .*resume,write .*train.log"

A preloaded library (full_disk.c) makes the Nth call that creates, writes, syncs, closes or renames a file of
the run's folder fail with ENOSPC, and all later ones that need room. The run is a training of two epochs with
log, metrics, picture, parameters, optimizer states, averaged parameters, resume file and run.json; the
preparation writes records, indices and a manifest. Each trial is a process forked from one that has imported
MXNet.

A trial passes if the program ends with exit code 1 or 2 and one sentence, or with a warning on the picture
and exit code 0; if every file in its folder is whole, and equal to that of the undisturbed run where it has
the same name; and if the same command with --resume auto then ends with the bits of the undisturbed run. Of
equal calls on one file that follow each other, the first and the last are tried. Prints a line per trial that
does not pass, and `N of N passed`; exit code 0 only then.
"""

import argparse
import ctypes
import importlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gluon_tricks.errors import run_main

LIBRARY = Path(__file__).with_name("full_disk.c")
SCRATCH = "FULL_DISK_SCRATCH"       # environment variable: a folder for the process with the library
CODES = (1, 2)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", choices=("all", *JOBS), default="all")
    parser.add_argument("--points", default="",
                        help="only these: patterns separated by commas, each for the last call that it fits")
    args = parser.parse_args(argv)
    if SCRATCH in os.environ:              # no clean-up here, which the forked processes would do too
        return walk(args.job, args.points.split(",") if args.points else [], Path(os.environ[SCRATCH]))
    codes = []
    for job in JOBS if args.job == "all" else [args.job]:
        with tempfile.TemporaryDirectory() as scratch:
            codes.append(in_a_process_of_its_own(Path(scratch), job, args.points).returncode)
    return max(codes)


def compile_library(folder):
    """The preloadable library, compiled; FileNotFoundError without a compiler."""
    built = folder / "full_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", built, LIBRARY, "-ldl"], check=True)
    return built


def in_a_process_of_its_own(scratch, job, points="", **options):
    """This script with the library preloaded; a `CompletedProcess`."""
    environ = {**os.environ, "LD_PRELOAD": str(compile_library(scratch)), SCRATCH: str(scratch),
               "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    return subprocess.run([sys.executable, __file__, "--job", job, "--points", points], cwd=ROOT, env=environ,
                          check=False, **options)


def walk(name, patterns, scratch):
    """Fill the disk at each point, or at those that fit the patterns; returns the exit code."""
    job, calls = JOBS[name](scratch), scratch / "calls.txt"
    code, output = job.run("undisturbed", 0, calls)
    assert code == 0, output
    expected = job.results("undisturbed")
    names = calls.read_text().splitlines()
    ends = first_and_last(names)
    fitting = ([point for point in ends if re.search(pattern, names[point - 1])] for pattern in patterns)
    points = [points[-1] for points in fitting] or ends
    passed = 0
    for point in points:
        what = names[point - 1].replace(str(job.folder("undisturbed")), "")
        faults = list(job.trial(point, expected))
        passed += not faults
        for fault in faults:
            print(f"{name}, call {point} ({what}): {fault}", flush=True)
    print(f"{name}: {len(names)} calls, {len(ends)} of them the first or last of a kind on a file; "
          f"{passed} of {len(points)} passed", flush=True)
    return int(passed < len(points))


def first_and_last(names):
    """Numbers, from 1, of calls before or after which comes a call of another kind or on another file."""
    return [number for number in range(1, len(names) + 1)
            if number in (1, len(names)) or names[number - 1] != names[number - 2]
            or names[number - 1] != names[number]]


class Job:
    """A program that writes to a folder.

    Parameters
    ----------
    scratch : Path
    """

    def __init__(self, scratch):
        self.scratch = scratch

    def folder(self, name):
        return self.scratch / name

    def run(self, name, full_at, calls=None, *more):
        """`(exit code, output)` of the program in a forked process, on a disk that is full from a call on."""
        (self.folder(name)).mkdir(exist_ok=True)
        with open(self.scratch / "output.txt", "w+") as output:
            child = os.fork()
            if child == 0:
                for number in (1, 2):
                    os.dup2(output.fileno(), number)
                library = ctypes.CDLL(None)
                library.name_calls(str(calls).encode() if calls else None)
                library.fill_disk(f"{self.folder(name)}/".encode(), ctypes.c_long(full_at))
                words = self.words(self.folder(name), *more)
                sys.argv = [self.script, *words]
                run_main(partial(self.main, words))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            return code, output.read()

    def trial(self, point, expected):
        """Yield what is wrong after a full disk at a call, and after the program was started again."""
        name = "trial"
        shutil.rmtree(self.folder(name), ignore_errors=True)
        code, output = self.run(name, point)
        sentences = [line for line in output.splitlines() if "error: " in line]
        if code == 0:
            if "was not written" not in output and self.results(name) != expected:
                yield f"exit code 0 with other results: {output[-1500:]}"
        elif code not in CODES or len(sentences) != 1:
            yield f"exit code {code}, {len(sentences)} sentences: {output[-1500:]}"
        if re.search("Traceback|Logging error|Exception ignored", output):
            yield f"a traceback: {output[-1500:]}"
        try:
            for key, value in self.results(name).items():
                if key in expected and not self.agrees(key, value, expected[key]):
                    yield f"{key} differs from the undisturbed run's"
        except Exception as error:
            yield f"a file is not whole: {type(error).__name__}: {error}"
        code, output = self.run(name, 0, None, *self.again)
        if code:
            yield f"started again: exit code {code}: {output[-1500:]}"
            return
        results = self.results(name)
        for key in sorted(expected.keys() | results.keys()):
            if key not in results or key not in expected:
                yield f"started again: {key} is in one of both runs only"
            elif results[key] != expected[key]:
                yield f"started again: {key} differs: {first_difference(results[key], expected[key])}"

    def agrees(self, key, value, expected):
        """Whether a file of an interrupted run is a part of the undisturbed run's."""
        return value == expected


def first_difference(one, other):
    """Where two lists or dictionaries differ first; nothing about bytes."""
    if isinstance(one, dict) and isinstance(other, dict):
        return next(name for name in [*one, *other] if one.get(name) != other.get(name))
    if isinstance(one, list) and isinstance(other, list):
        return next(((a, b) for a, b in zip(one, other) if a != b), f"{len(one)} and {len(other)} entries")
    return ""


class Training(Job):
    """Two epochs of two updates, with every kind of file."""
    script, again = "train_imagenet.py", ("--resume", "auto")

    def __init__(self, scratch):
        super().__init__(scratch)
        import train_imagenet
        self.main = train_imagenet.main
        for module in ("gluon_tricks.script.imagenet", "gluon_tricks.training.run",
                       "matplotlib.backends.backend_agg"):
            importlib.import_module(module)        # before the forks

    def words(self, folder, *more):
        return ["--model", "cifar_resnet20_v1", "--synthetic", "--classes", "10", "--num-training-samples",
                "16", "--input-size", "16", "--batch-size", "8", "--num-epochs", "2", "--save-frequency", "1",
                "--log-interval", "1", "--checkpoint-period", "1", "--ema", "0.5", "--save-dir",
                f"{folder}/params", "--logging-file", f"{folder}/train.log", *more]

    def results(self, name):
        """{name: content} of the files, without times."""
        from gluon_tricks.parameters import flat

        folder, found = self.folder(name), {}
        for path in sorted(folder.rglob("*")):
            key, content = str(path.relative_to(folder)), path.read_bytes() if path.is_file() else None
            if path.suffix == ".params":
                found[key] = content
            elif path.suffix == ".states":         # the rest is MXNet's count of updates since the start
                states, _ = pickle.loads(content)
                found[key] = [array.asnumpy().tobytes() for i in sorted(states) for array in flat(states[i])]
            elif path.suffix == ".npz":
                with np.load(path) as archive:
                    arrays = {one: archive[one].tobytes() for one in archive.files if "/" in one}
                found[key] = "whole" if ".previous" in path.name else arrays
            elif path.suffix == ".jsonl":
                found[key] = [without_times(json.loads(line)) for line in content.splitlines()]
            elif path.suffix == ".log":
                lines = content.decode().splitlines()
                assert not content or content.endswith(b"\n"), "the log's last line is torn"
                found[key] = sorted({re.sub(r"(time cost|Speed|speed): .*", "", line) for line in lines
                                     if re.search(r"\[Epoch \d\] (training|validation): ", line)})
            elif path.suffix == ".json" and path.name != "run.json":
                found[key] = "whole" if json.loads(content) else ""
            elif path.suffix == ".json":
                found[key] = json.loads(content)["versions"]
            elif path.is_file():
                found[key] = "present"
        return found

    def agrees(self, key, value, expected):
        if key.endswith((".jsonl", ".log")):
            return all(one in expected for one in value)
        return key.endswith(".npz") or value == expected


def without_times(record):
    return {name: value for name, value in record.items()
            if not name.endswith(("_s", "_mib")) and name != "samples_per_s"}


class Preparation(Job):
    """Records of a small ILSVRC2012."""
    script, again = "data_prep/imagenet.py", ()

    def __init__(self, scratch):
        super().__init__(scratch)
        from benchmarks.synthetic_imagenet import as_validation, generated, write_tar, write_train_tar
        from data_prep import imagenet
        self.main, images = imagenet.main, generated(classes=3, per_class=2)
        write_train_tar(scratch / "train.tar", images)
        write_tar(scratch / "val.tar", as_validation(images))

    def words(self, folder, *more):
        return ["--train-tar", str(self.scratch / "train.tar"), "--val-tar", str(self.scratch / "val.tar"),
                "--subset", "--no-checksum", "--num-thread", "1", "--out", str(folder), *more]

    def results(self, name):
        return {path.name: path.read_bytes() for path in self.folder(name).iterdir()}


JOBS = {"train": Training, "prepare": Preparation}


if __name__ == "__main__":
    sys.exit(main())
