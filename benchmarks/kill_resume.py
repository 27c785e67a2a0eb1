"""Kill a training at random moments, resume it each time, and compare its parameters with an uninterrupted
run's.

    python benchmarks/kill_resume.py                    # 10 kills on the embedded excerpt, cifar_resnet20_v1
    python benchmarks/kill_resume.py --kills 3 --model cifar_wideresnet16_10 --flags "--drop-rate 0.3"

Each trial starts afresh, is killed with SIGKILL once at a moment drawn uniformly from the uninterrupted run's
duration (drawn again if the run was not yet training or had ended), is resumed with --resume auto, and must
end with the same bytes in its last .params file. Prints a line per trial and `N of N equal`; exit code 0 only
then.
"""

import argparse
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EPOCHS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--model", default="cifar_resnet20_v1")
    parser.add_argument("--batch-size", default="64")
    parser.add_argument("--flags", default="", help="more flags for train_cifar.py")
    parser.add_argument("--seed", type=int, default=None, help="of the moments; default: new ones each time")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.time()
        train(args, Path(scratch) / "straight").wait()
        duration = time.time() - start
        expected = parameters(args, Path(scratch) / "straight")
        print(f"uninterrupted: {duration:.1f} s")
        equal = trial = 0
        while trial < args.kills:
            folder = Path(scratch) / f"trial{time.time()}"
            moment = rng.uniform(0, duration)
            process = train(args, folder, "--checkpoint-period", str(rng.randint(1, 40)))
            time.sleep(moment)
            process.kill()
            if process.wait() != -signal.SIGKILL or not list(folder.glob("params/*.resume.npz")):
                continue               # ended before the kill, or had nothing to resume from
            resumed = train(args, folder, "--resume", "auto", stderr=subprocess.PIPE)
            said = resumed.stderr.read()
            assert resumed.wait() == 0, said
            same = parameters(args, folder) == expected
            where = re.search(r"resumed at (epoch \d+, batch \d+, update \d+)", said).group(1)
            trial, equal = trial + 1, equal + same
            print(f"kill {trial}: after {moment:.1f} s, resumed at {where}: "
                  f"{'equal' if same else 'DIFFERENT'}", flush=True)
    print(f"{equal} of {args.kills} equal")
    return equal != args.kills


def train(args, folder, *more, stderr=subprocess.DEVNULL):
    command = [sys.executable, "train_cifar.py", "--dataset", "cifar10-excerpt", "--model", args.model,
               "--mode", "hybrid",
               "-j", "2", "--batch-size", args.batch_size, "--num-epochs", str(EPOCHS), "--lr-decay-epoch",
               "2",
               "--save-dir", f"{folder}/params", "--logging-dir", str(folder), "--save-plot-dir", str(folder),
               *shlex.split(args.flags), *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stderr, text=True)


def parameters(args, folder):
    return (folder / "params" / f"cifar10-{args.model}-{EPOCHS - 1}.params").read_bytes()


if __name__ == "__main__":
    sys.exit(main())
