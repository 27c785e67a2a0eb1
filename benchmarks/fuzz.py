"""Damage files of every format thousands of times, and count what their readers do.

    python benchmarks/fuzz.py --cases 20000
    python benchmarks/fuzz.py --cases 1000 --formats params resume --seed 7
    python benchmarks/fuzz.py --formats log --only 12345            # one case again, with its traceback

Each case is a whole file with torn ends, changed bits, huge numbers or values of other types
(tests/fuzz/fuzz_mutations.py), given to the one reader of its format (tests/fuzz/fuzz_formats.py). Permitted
are the result of the whole file and a sentence. Child processes read batches of cases, so that a crash is
counted too. Prints a line per format and each unpermitted case with its seed; exit code 0 if there is none.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fuzz")]
import gluon_tricks  # noqa: F401  prepares the process for MXNet

KINDS = ("equal", "refused", "traceback", "crash", "silent difference", "over limits")
BATCH = 2000
SHOWN = 5                  # unpermitted cases of a format that are printed


def main():
    args = parse_args()
    if args.child:
        return read_cases(args.formats[0], json.loads(args.child))
    if args.only is not None:
        return one_case(args.formats[0], args.only)
    rng, failed, start = random.Random(args.seed), 0, time.time()
    print(f"{args.cases} cases of each format, seed {args.seed}\n{'format':<22}" +
          "".join(f"{kind:>19}" for kind in KINDS))
    for name in args.formats:
        counts, bad = Counter(), []
        seeds = [rng.randrange(1 << 32) for _ in range(args.cases)]
        for first in range(0, len(seeds), BATCH):
            for seed, outcome in batch(name, seeds[first:first + BATCH]):
                counts[outcome.partition(":")[0]] += 1
                if outcome not in ("equal", "refused"):
                    bad.append(f"    {name}, --only {seed}: {outcome}")
        print(f"{name:<22}" + "".join(f"{counts[kind]:>19}" for kind in KINDS), flush=True)
        print("".join(f"{line}\n" for line in bad[:SHOWN]), end="", flush=True)
        failed += len(bad)
    print(f"{failed} unpermitted cases in {time.time() - start:.0f} s")
    return 1 if failed else 0


def batch(name, seeds):
    """Yield `(seed, outcome)` of cases, read in child processes; a case that ends its process is a crash."""
    while seeds:
        words = [sys.executable, __file__, "--formats", name, "--child", json.dumps(seeds)]
        done = subprocess.run(words, capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        yield from zip(seeds, answers)
        if len(answers) == len(seeds):
            return
        if not answers and done.returncode == 1:
            sys.exit(f"{name}: the child process does not start:\n{done.stderr}")
        yield seeds[len(answers)], f"crash: exit code {done.returncode}"
        seeds = seeds[len(answers) + 1:]


def opened(name, folder):
    """Format, path, whole file and its result."""
    from fuzz_formats import FORMATS

    form = FORMATS[name]
    path = form.make(Path(folder))
    return form, path, path.read_bytes(), form.read(path)


def read_cases(name, seeds):
    """Print the outcome of each case, one a line, as JSON."""
    from fuzz_formats import damaged, outcome_of

    with tempfile.TemporaryDirectory() as folder:
        form, path, content, whole = opened(name, folder)
        for seed in seeds:
            print(json.dumps(outcome_of(form, path, whole, damaged(content, seed))), flush=True)
    return 0


def one_case(name, seed):
    """Read one case and let its error go on."""
    from fuzz_formats import damaged

    with tempfile.TemporaryDirectory() as folder:
        form, path, content, whole = opened(name, folder)
        case = damaged(content, seed)
        path.write_bytes(case)
        print(f"{len(case)} bytes of {len(content)}: {case[:2000]!r}")
        value = form.read(path)
        print("equal" if value == whole else f"another value: {str(value)[:2000]}")
    return 0


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000, help="of each format (default 1000)")
    parser.add_argument("--formats", nargs="+", metavar="NAME", help="(default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the cases (default 0)")
    parser.add_argument("--only", type=int, metavar="SEED", help="read one case of one format")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.formats:
        from fuzz_formats import FORMATS

        args.formats = list(FORMATS)
    return args


if __name__ == "__main__":
    sys.exit(main())
