"""Training steps per second on synthetic images: this kit, GluonCV's net, PyTorch.

    python -m gluon_tricks bench net
    python -m gluon_tricks bench net --models cifar_resnet20_v1 cifar_resnet56_v1 --sides ours gluoncv
    python -m gluon_tricks bench net --models resnet50_v1d --updates 2 --torch-python .venv-torch/bin/python

A step is forward, loss, backward and update of one batch. Every side is its own process, and they take turns.
PyTorch's nets have the same layers, channels-last memory and, in bfloat16, autocast; `make torch` installs
it. Without AMX or without PyTorch, its sides are `not run`. The table also has the processor time of all
threads: other programs on the machine hardly change it, least with --threads 1, where no thread waits for
another.
"""

import argparse
import contextlib
import os

from gluon_tricks.benching.paired import (
    LEAST_ROUNDS,
    at_least_rounds,
    machine_line,
    paired,
    processor_times,
    table,
    write_report,
)
from gluon_tricks.compat import permit_amx
from gluon_tricks.launching.torch_python import add_torch_python, can_import, torch_python
from gluon_tricks.launching.worker import Worker
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.script.auto_dtype import without_amx
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.training.status import announce

SIDES = {  # name -> --side, or None for PyTorch; --dtype; whether with AMX
    "ours": ("ours", "float32", False),
    "gluoncv": ("gluoncv", "float32", False),
    "pytorch": (None, "float32", False),
    "ours-bf16": ("ours", "bfloat16", False),
    "ours-bf16-amx": ("ours", "bfloat16", True),
    "pytorch-bf16": (None, "bfloat16", False),
}


def main(argv):
    args = parse_args(argv)
    python = torch_python(args.torch_python)
    missing = {side: why for side in args.sides if (why := not_here(side, python))}
    rows, measured, versions = [], {}, {}
    for side, why in missing.items():
        announce(f"{side}: not run, {why}", everywhere=True)
    for number, model in enumerate(args.models, start=1):
        what = f"model {number} of {len(args.models)}, {model}"
        announce(f"{what}: starting a process for each side", everywhere=True)
        work = work_of(model, args.batch_size, args.input_size, args.updates)
        with contextlib.ExitStack() as stack:
            sides = {side: stack.enter_context(worker(side, model, work, python, args.threads))
                     for side in args.sides if side not in missing}
            check_same_net(model, sides)
            versions.update(("torch", one.facts["version"]) for side, one in sides.items()
                            if SIDES[side][0] is None)
            result = paired(sides, args.rounds, what=what)
            cpu_ms = processor_times(sides, args.rounds)
        measured[model] = {**work, "images_per_s": result.rates, "cpu_ms_per_image": cpu_ms.rates}
        rows += report_rows(model, work, args.sides, missing, result, cpu_ms)
    base = args.sides[0]
    header = ("model", "batch", "pixels", "side", "images/s (least to greatest)", f"{base} / side",
              "CPU ms/image", f"side / {base}")
    text = [table(header, rows), ""]
    text += [f"{side}: not run, {why}" for side, why in missing.items()]
    text.append(f"{args.rounds} rounds in turn; {machine_line(**versions)}")
    write_report(args.out, "net", "\n".join(text), measured=measured, rounds=args.rounds, not_run=missing,
                 torch=versions)
    return 0


def report_rows(model, work, sides, missing, result, cpu_ms):
    """A row per side; either ratio is above 1 where the first side is the faster one."""
    base = next(iter(result.rates))
    for side in sides:
        cells = ("not run", "", "", "") if side in missing else (
            result.rate(side).show(1), result.ratio(base, side).show(2),
            f"{cpu_ms.rate(side).median:.2f}", cpu_ms.ratio(side, base).show(2))
        yield model, work["batch_size"], work["input_size"], side, *cells


def work_of(model, batch_size=0, input_size=0, updates=0):
    """Size of the work as flags of a side; 0 means the default, with which a turn takes some seconds."""
    if model.startswith("cifar_"):
        default = {"classes": 10, "batch_size": 128, "input_size": 32, "updates": 8}
    else:
        default = {"classes": 1000, "batch_size": 16, "input_size": 224, "updates": 2}
    given = {"batch_size": batch_size, "input_size": input_size, "updates": updates}
    return {**default, **{name: value for name, value in given.items() if value}}


def worker(side, model, work, python, threads):
    """The process of a side; `python` is the interpreter that has PyTorch, `threads` 0 means
    OMP_NUM_THREADS."""
    kind, dtype, amx = SIDES[side]
    flags = ["--model", model, "--dtype", dtype, *(word for name, value in work.items()
                                                   for word in (f"--{name.replace('_', '-')}", value))]
    env = {"OMP_NUM_THREADS": str(threads or os.environ["OMP_NUM_THREADS"]), **without_amx()}
    if kind is None:
        return Worker(side, ["-m", "gluon_tricks.benching.torch_side", *flags], python, env)
    flags += ["--side", kind, *(["--amx"] if amx else [])]
    return Worker(side, ["-m", "gluon_tricks.benching.net_side", *flags], env=env)


def check_same_net(model, sides):
    """All sides must train the same number of parameters."""
    counts = {side: worker.facts["parameters"] for side, worker in sides.items()}
    assert len(set(counts.values())) == 1, f"{model} differs between sides: {counts}"


def not_here(side, python):
    """The reason why a side cannot be measured on this machine; None if it can."""
    if side == "ours-bf16-amx" and not permit_amx():
        return "this processor or kernel has no AMX"
    if SIDES[side][0] is None and not can_import(python, "torch"):
        return "no PyTorch; make torch installs it"
    return None


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["cifar_resnet20_v1"], metavar="MODEL",
                        help="(default cifar_resnet20_v1)")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES, metavar="SIDE",
                        help=f"sides to compare: {', '.join(SIDES)} (default all); ratios are to the first")
    parser.add_argument("--batch-size", type=int,
                        help="images per step (default 128 for CIFAR, else 16)")
    parser.add_argument("--input-size", type=int, help="pixels (default 32 for CIFAR, else 224)")
    parser.add_argument("--updates", type=int, default=0, help="steps per turn (default 8 for CIFAR, else 2)")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS,
                        help=f"turns of each side (default {LEAST_ROUNDS})")
    parser.add_argument("--threads", type=int, default=0,
                        help="of each side's operators (default OMP_NUM_THREADS, or every core)")
    add_torch_python(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for net.md and net.json")
    args = parser.parse_args(argv)
    check_numbers(args, COMMAND_FLAGS)
    at_least_rounds(args.rounds)
    return args
