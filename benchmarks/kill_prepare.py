"""Kill the preparation of ImageNet at random moments, start it again each time, and compare with an
undisturbed run.

    python benchmarks/kill_prepare.py                                            # generated images, 10 trials
    python benchmarks/kill_prepare.py --photographs imagenet-sample.tar --copies 10 # a tar or a folder
    python benchmarks/kill_prepare.py --trials 3 --flags "--resize 480"

Builds a synthetic ILSVRC2012 in the publisher's layout, a tar of class tars and a tar of validation images,
with a CMYK JPEG, a PNG named .JPEG, a truncated and an empty member. Says what each --on-error does with
these. Then, in each trial, data_prep/imagenet.py is killed with SIGKILL one to three times, at moments drawn
uniformly from the undisturbed run's duration, and in the end left to finish. A trial is equal if it ends with
the root hash of the undisturbed run and every file of its folder has that run's bytes. Phases too short for
chance to have hit them are then aimed at, one trial each.

Prints a line per trial and `N of N equal`; exit code 0 only then, and if every --on-error did what it should.
"""

import argparse
import collections
import hashlib
import json
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.synthetic_imagenet import (
    FAULTS,
    as_validation,
    copies,
    faulty,
    generated,
    photographs,
    write_tar,
    write_train_tar,
)
from gluon_tricks.data.manifest import read_manifest

# The script as it is, but for the published MD5s: those of the synthetic archives, so that it reads them
# through.
PREPARE = """
import json, sys
from data_prep import imagenet
imagenet.PUBLISHED.md5.update(json.loads(sys.argv.pop(1)))
imagenet.run_main(imagenet.main, "imagenet.py")
"""
PHASES = ("before the journal", "saving the journal", "checksums", "packing train", "finishing train",
          "packing val",
          "finishing val", "writing the manifest", "tidying up")
AIMED_SHOTS = 40                   # at one phase, before it is called missed


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", metavar="TAR_OR_DIR", help="class folders, as n01440764/*.JPEG; "
                                                                    "default: 160 generated images")
    parser.add_argument("--copies", type=int, default=10, help="of each image, so that the kills land in the "
                                                               "middle of the work; default %(default)s")
    parser.add_argument("--trials", type=int, default=10, help="default %(default)s")
    parser.add_argument("--flags", default="", help="more flags for data_prep/imagenet.py")
    parser.add_argument("--journal-seconds", default="0.1", help="default %(default)s")
    parser.add_argument("--seed", type=int, default=None, help="of the moments; default: new ones each time")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        preparation = Preparation(Path(scratch), args)
        as_asked = preparation.try_on_error()
        expected, duration = preparation.undisturbed()
        equal, hit = random_kills(preparation, args, expected, duration)
        missed = [phase for phase in PHASES if phase not in hit]
        aimed = sum(aimed_kill(preparation, phase, expected) for phase in missed)
    print(f"{equal} of {args.trials} "
          "equal" + (f", and {aimed} of {len(missed)} aimed ones" if missed else ""))
    return 0 if as_asked and (equal, aimed) == (args.trials, len(missed)) else 1


# --- kills --------------------------------------------------------------------------------------------------

def random_kills(preparation, args, expected, duration):
    """How many of the trials ended equal, and the phases that were hit."""
    rng, equal, hit = random.Random(args.seed), 0, set()
    for trial in range(1, args.trials + 1):
        out, kills, wanted = preparation.folder(f"trial{trial}"), [], rng.randint(1, 3)
        while len(kills) < wanted:
            moment, before = rng.uniform(0, duration), noted(out)
            process = preparation.start(out)
            time.sleep(moment)
            if not killed(process):                      # had ended by itself
                if kills:
                    break
                preparation.clear(out)
                continue
            # Until it has noted something, a run started again may be listing the archives or reading the
            # part file.
            phase = "going on" if before and noted(out) == before else phase_of(out)
            kills.append(f"after {moment:.2f} s, {phase}{records_noted(out)}")
            hit.add(phase)
        same = preparation.finish(out) == expected
        equal += same
        print(f"trial {trial}: killed {'; '.join(kills)}: {'equal' if same else 'DIFFERENT'}", flush=True)
    return equal, hit


def aimed_kill(preparation, phase, expected):
    """Whether a run killed in this phase, as seen in its folder, ends equal when it is started again."""
    for shot in range(1, AIMED_SHOTS + 1):
        out = preparation.folder(f"{phase} {shot}")
        process = preparation.start(out)
        while process.poll() is None and phase_of(out) != phase:
            pass
        if killed(process) and phase_of(out) == phase:
            same = preparation.finish(out) == expected
            print(f"aimed at {phase}, shot {shot}{records_noted(out)}: "
                  f"{'equal' if same else 'DIFFERENT'}", flush=True)
            return same
    print(f"aimed at {phase}: not hit in {AIMED_SHOTS} shots", flush=True)
    return False


def killed(process):
    process.kill()
    return process.wait() == -signal.SIGKILL


def noted(out):
    """The journal, byte for byte; None before there is one."""
    try:
        return (out / ".prepare.json").read_bytes()
    except FileNotFoundError:
        return None


def phase_of(out):
    """What a preparation was doing that left this folder behind; it may be doing it still."""
    journal = noted(out)
    if (out / "manifest.json").exists():
        return "tidying up"
    if any(out.glob("..prepare.json.*")):                # the journal under its temporary name
        return "saving the journal"
    if journal is None:
        return "before the journal"
    journal = json.loads(journal)
    if len(journal["archives"]) < 2:
        return "checksums"
    for split in ("train", "val"):
        if split not in journal["splits"]:
            return f"{'finishing' if (out / f'{split}.idx').exists() else 'packing'} {split}"
    return "writing the manifest"


def records_noted(out):
    """`, N records noted` of the split that is growing."""
    progress = json.loads(noted(out) or b"{}").get("progress", {})
    return "".join(f", {state['records']} records noted" for state in progress.values())


# --- the preparation ----------------------------------------------------------------------------------------

class Preparation:
    """A synthetic ILSVRC2012 in a folder of its own, and data_prep/imagenet.py run on it."""

    def __init__(self, scratch, args):
        self.scratch = scratch
        train = photographs(args.photographs) if args.photographs else generated(classes=160, per_class=1,
                                                                                 size=(500, 375))
        train = copies(train, args.copies)
        val = as_validation(dict(list(train.items())[:len(train) // 2]))
        self.good = sum(map(len, train.values()))
        self.faulty_class = min(train)
        train[self.faulty_class].update(faulty(self.faulty_class,
                                               next(iter(train[self.faulty_class].values()))))
        archives = {"--train-tar": write_train_tar(scratch / "ILSVRC2012_img_train.tar", train),
                    "--val-tar": write_tar(scratch / "ILSVRC2012_img_val.tar", val)}
        self.md5 = {flag: hashlib.md5(path.read_bytes()).hexdigest() for flag, path in archives.items()}
        self.flags = ["--subset", "--journal-seconds", args.journal_seconds, *shlex.split(args.flags)]
        for flag, path in archives.items():
            self.flags += [flag, str(path)]
        megabytes = sum(path.stat().st_size for path in archives.values()) / 1e6
        print(f"{self.good} training images and {len(FAULTS)} faulty ones, {len(val)} validation images, "
              f"{megabytes:.0f} MB")

    def folder(self, name):
        return self.scratch / name.replace(" ", "-")

    def start(self, out, *flags, **options):
        command = [sys.executable, "-c", PREPARE, json.dumps(self.md5), *self.flags, *flags, "--out",
                   str(out)]
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(command, cwd=ROOT, **options)

    def finish(self, out, *flags):
        """Run to the end and empty the folder; `(root hash, {file name: SHA-256})`."""
        process = self.start(out, *flags)
        said = process.communicate()[1]
        assert process.returncode == 0, said
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}
        root_hash = read_manifest(out).root_hash
        self.clear(out)
        return root_hash, files

    @staticmethod
    def clear(out):
        for path in out.iterdir():
            path.unlink()

    def undisturbed(self):
        start = time.monotonic()
        expected = self.finish(self.folder("undisturbed"))
        duration = time.monotonic() - start
        print(f"undisturbed: {duration:.1f} s, root hash {expected[0]}", flush=True)
        return expected, duration

    def try_on_error(self):
        """Print what each --on-error does with the faulty images; whether it is what its help says."""
        process = self.start(self.folder("fail"), "--on-error", "fail")
        said = process.communicate()[1].strip().rpartition("\n")[2]
        print(f"--on-error fail: exit code {process.returncode}, {said}")
        as_asked = process.returncode == 2 and f"{self.faulty_class}_fault" in said
        for on_error, mended in (("skip", 0), ("repair", 2)):            # a CMYK JPEG and a PNG can be mended
            out = self.folder(on_error)
            process = self.start(out, "--on-error", on_error)
            assert process.wait() == 0, process.stderr.read()
            split = read_manifest(out).splits["train"]
            print(f"--on-error {on_error}: {split.records} records, "
                  f"{len(split.repaired)} repaired{reasons(split.repaired)}, "
                  f"{len(split.left_out)} left out{reasons(split.left_out)}", flush=True)
            as_asked &= (split.records, len(split.repaired), len(split.left_out)) == \
                (self.good + mended, mended, len(FAULTS) - mended)
        return as_asked


def reasons(members):
    counts = collections.Counter(member.rsplit(": ", 1)[1] for member in members)
    return f" ({', '.join(f'{count} {what}' for what, count in counts.items())})" if counts else ""


if __name__ == "__main__":
    sys.exit(main())
