"""Training steps per second on synthetic images: this kit, GluonCV's net, PyTorch.

    python -m gluon_tricks bench net
    python -m gluon_tricks bench net --models cifar_resnet20_v1 cifar_resnet56_v1 --sides ours gluoncv --out bench
    python -m gluon_tricks bench net --models resnet50_v1d --updates 2 --torch-python .venv-torch/bin/python

A step is forward, loss, backward and update of one batch. Every side is a process of its own, and they take turns. PyTorch's
nets have the same layers, channels-last memory and, in bfloat16, autocast; `make torch` installs it. Where there is no AMX
or no PyTorch, its sides are `not run`. Beside the time on the clock stands that of the processor, of all threads together:
other programs on the machine hardly change it, least with --threads 1, where no thread waits for another.
"""

import argparse
import contextlib
import os
import subprocess
import sys
from pathlib import Path

from gluon_tricks.benching.paired import (
    LEAST_ROUNDS,
    Measured,
    at_least_rounds,
    machine_line,
    paired,
    table,
    write_report,
)
from gluon_tricks.compat import permit_amx
from gluon_tricks.errors import UserError
from gluon_tricks.files import ROOT
from gluon_tricks.launching.worker import Worker
from gluon_tricks.script.auto_dtype import without_amx
from gluon_tricks.script.flags import at_least

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
    missing = {side: why for side in args.sides if (why := not_here(side, args))}
    rows, measured, versions = [], {}, {}
    for model in args.models:
        work = work_of(model, args)
        with contextlib.ExitStack() as stack:
            sides = {side: stack.enter_context(worker(side, model, work, args))
                     for side in args.sides if side not in missing}
            check_same_net(model, sides)
            versions.update(("torch", one.facts["version"]) for side, one in sides.items() if SIDES[side][0] is None)
            result = paired(sides, args.rounds)
            cpu_ms = Measured({side: [told["cpu_ms"] for told in one.told[-args.rounds:]] for side, one in sides.items()})
        measured[model] = {**work, "images_per_s": result.rates, "cpu_ms_per_image": cpu_ms.rates}
        rows += report_rows(model, work, args.sides, missing, result, cpu_ms)
    base = args.sides[0]
    header = ("model", "batch", "pixels", "side", "images/s (least to greatest)", f"{base} / side", "CPU ms/image",
              f"side / {base}")
    text = [table(header, rows), ""]
    text += [f"{side}: not run, {why}" for side, why in missing.items()]
    text.append(f"{args.rounds} rounds in turn; {machine_line(**versions)}")
    write_report(args.out, "net", "\n".join(text), measured=measured, rounds=args.rounds, not_run=missing, torch=versions)
    return 0


def report_rows(model, work, sides, missing, result, cpu_ms):
    """A row per side; either ratio is above 1 where the first side is the faster one."""
    base = next(iter(result.rates))
    for side in sides:
        cells = ("not run", "", "", "") if side in missing else (
            result.rate(side).show(1), result.ratio(base, side).show(2),
            f"{cpu_ms.rate(side).median:.2f}", cpu_ms.ratio(side, base).show(2))
        yield model, work["batch_size"], work["input_size"], side, *cells


def work_of(model, args):
    """Shape of the work; a turn of the default length takes some seconds."""
    cifar = model.startswith("cifar_")
    return {"classes": 10 if cifar else 1000, "batch_size": args.batch_size or (128 if cifar else 16),
            "input_size": args.input_size or (32 if cifar else 224), "updates": args.updates or (8 if cifar else 2)}


def worker(side, model, work, args):
    """The process of a side."""
    kind, dtype, amx = SIDES[side]
    flags = ["--model", model, "--dtype", dtype, *(word for name, value in work.items()
                                                   for word in (f"--{name.replace('_', '-')}", value))]
    env = {"OMP_NUM_THREADS": str(args.threads) if args.threads else os.environ["OMP_NUM_THREADS"], **without_amx()}
    if kind is None:
        return Worker(side, ["-m", "gluon_tricks.benching.torch_side", *flags], torch_python(args), env)
    flags += ["--side", kind, *(["--amx"] if amx else [])]
    return Worker(side, ["-m", "gluon_tricks.benching.net_side", *flags], env=env)


def check_same_net(model, sides):
    """All sides must train the same number of parameters."""
    counts = {side: worker.facts["parameters"] for side, worker in sides.items()}
    assert len(set(counts.values())) == 1, f"{model} differs between sides: {counts}"


def not_here(side, args):
    """Why a side cannot be measured on this machine; None if it can."""
    if side == "ours-bf16-amx" and not permit_amx():
        return "this processor or kernel has no AMX"
    if SIDES[side][0] is None and subprocess.run([torch_python(args), "-c", "import torch"], capture_output=True).returncode:
        return "no PyTorch; make torch installs it"
    return None


def torch_python(args):
    """The interpreter that has PyTorch: --torch-python, what `make torch` made, or this one."""
    made = ROOT / ".venv-torch" / "bin" / "python"
    return args.torch_python or (made if made.exists() else sys.executable)


def add_torch_python(parser):
    parser.add_argument("--torch-python", type=Path, metavar="FILE",
                        help="interpreter that has torch (default .venv-torch/bin/python, or this one)")


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m gluon_tricks bench net", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["cifar_resnet20_v1"], metavar="MODEL",
                        help="(default cifar_resnet20_v1)")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES, metavar="SIDE",
                        help=f"what to compare: {', '.join(SIDES)} (default all); ratios are to the first")
    parser.add_argument("--batch-size", type=int, default=0, help="images per step (default 128 for CIFAR, else 16)")
    parser.add_argument("--input-size", type=int, default=0, help="pixels (default 32 for CIFAR, else 224)")
    parser.add_argument("--updates", type=int, default=0, help="steps per turn (default 8 for CIFAR, else 2)")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help=f"turns of each side (default {LEAST_ROUNDS})")
    parser.add_argument("--threads", type=int, default=0,
                        help="of each side's operators (default OMP_NUM_THREADS, or every core)")
    add_torch_python(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for net.md and net.json")
    args = parser.parse_args(argv)
    at_least(args, {"batch_size": 0, "input_size": 0, "updates": 0, "threads": 0})
    at_least_rounds(args.rounds)
    if args.torch_python and not args.torch_python.exists():
        raise UserError(f"--torch-python {args.torch_python}: does not exist; make torch makes .venv-torch/bin/python")
    return args
