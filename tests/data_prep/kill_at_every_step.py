"""Run as a script: kill a preparation at each of its file operations, go on each time, and compare.

    python tests/data_prep/kill_at_every_step.py SCRATCH_DIR FLAG ...

The flags are those of data_prep/imagenet.py without --out. Each trial runs in a forked process that ends
itself, without any clean-up, in place of its n-th fsync, rename or removal. Prints the number of trials; exit
code 0 if every one ended with the root hash of the undisturbed run and nothing else in its folder.
"""

import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_prep import imagenet

STEPS = ("fsync", "replace", "unlink")


def run(flags, die_at=None):
    """Exit code of a preparation in a process of its own, and how many steps it took."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        for step in STEPS:
            setattr(os, step, counted(getattr(os, step), writer, die_at))
        os._exit(imagenet.main(flags))
    os.close(writer)
    steps = len(os.fdopen(reader, "rb").read())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), steps


def counted(step, writer, die_at, taken=[0]):  # noqa: B006  shared by all steps on purpose
    def take(*args, **options):
        taken[0] += 1
        if taken[0] == die_at:
            os._exit(9)
        os.write(writer, b".")
        return step(*args, **options)
    return take


def outcome(folder):
    return json.loads((folder
                       / "manifest.json").read_text())["root_hash"], sorted(
                           path.name for path in folder.iterdir())


def main(scratch, *flags):
    out = Path(scratch) / "out"
    flags = [*flags, "--journal-seconds", "0", "--out", str(out)]
    code, steps = run(flags)
    assert code == 0
    expected = outcome(out)
    for step in range(1, steps + 1):
        shutil.rmtree(out)
        assert run(flags, die_at=step)[0] == 9
        code, _ = run(flags)
        if code or outcome(out) != expected:
            print(f"killed at step {step} of {steps}: exit code {code}, {os.listdir(out)}")
            return 1
    print(steps)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
