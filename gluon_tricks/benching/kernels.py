"""Sums over oneDNN's log of its kernels: time and calls per operation and kernel, the slowest first.

    printf 'go\\ngo\\n' | MKLDNN_VERBOSE=1 python -m gluon_tricks.benching.net_side --side ours --updates 5 \\
        | python -m gluon_tricks.benching.kernels

Counts the last turn of a side: the lines between its last two answers. `--layouts` also distinguishes layouts
and shapes. `--least` counts every call with the least time of its kernel, layout and shape; with one operator
thread, other programs on the machine hardly change that.
"""

import argparse
import sys
from collections import defaultdict

from gluon_tricks.benching.paired import table
from gluon_tricks.errors import run_main


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", action="store_true", help="a row per layout and shape")
    parser.add_argument("--least", action="store_true", help="count calls with the least time of their kind")
    parser.add_argument("--rows", type=int, default=25, help="(default 25)")
    args = parser.parse_args(argv)
    sums = kernel_sums(last_turn(sys.stdin), args.layouts, args.least)
    total = sum(ms for ms, _ in sums.values())
    slowest_first = sorted(sums.items(), key=lambda item: -item[1][0])
    rows = [(f"{ms:.1f}", calls, *key) for key, (ms, calls) in slowest_first]
    names = ("layouts", "shape") if args.layouts else ()
    print(table(("ms", "calls", "operation", "kernel", "pass", *names), rows[:args.rows]))
    print(f"{total:.1f} ms in {sum(calls for _, calls in sums.values())} calls")


def last_turn(lines):
    """The lines of a side between its last two answers, which are JSON; all lines if there are no two."""
    turns = [[]]
    for line in lines:
        if line.startswith("{"):
            turns.append([])
        else:
            turns[-1].append(line)
    return turns[-2] if len(turns) > 2 else turns[0]


def kernel_sums(lines, layouts=False, least=False):
    """{(operation, kernel, pass, ...): (ms, calls)} of oneDNN's `exec` lines.

    Their fields are separated by commas: program, exec, engine, operation, kernel, pass, layouts, attributes,
    more, shape, milliseconds.
    """
    times = defaultdict(list)
    for line in lines:
        fields = line.strip().split(",")
        if len(fields) >= 11 and fields[1] == "exec":
            times[(*fields[3:7], fields[-2])].append(float(fields[-1]))
    sums = defaultdict(lambda: (0.0, 0))
    for kind, each in times.items():
        key = kind if layouts else kind[:3]
        ms, calls = sums[key]
        sums[key] = ms + (len(each) * min(each) if least else sum(each)), calls + len(each)
    return dict(sums)


if __name__ == "__main__":
    run_main(main, prog="kernels")
