"""Which nets PyTorch has, by which names, and the proof that they are the same nets.

    python -m gluon_tricks bridge
    python -m gluon_tricks bridge --check
    python -m gluon_tricks bridge --check --models resnet50_v1d cifar_resnet20_v1

The first lists the nets of `export --format torch`. The second, after `make torch`, puts equal parameters and
images on both sides and compares outputs, gradients and running means, then reads back what PyTorch saves;
exit code 1 if a difference is beyond --tolerance or a bit is lost. Give --models for some nets only.
"""

import argparse
import sys

from gluon_tricks.bridge.architectures import ARCHITECTURES, Architecture
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder
from gluon_tricks.launching.torch_python import add_torch_python, can_import, torch_python
from gluon_tricks.machine import environment
from gluon_tricks.models.names import MODELS
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.saved.torch_process import NEEDED, TorchProcess
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.studies.text import markdown_table

HEADER = ("net", "in PyTorch", "parameters", "logits", "in training", "gradients", "running means", "back")


def main(argv=None):
    args = parse_args(argv)
    if not args.check:
        for line in markdown_table(("net", "in timm", "arguments"), listed(args.models)):
            print(line)
        return 0
    python = torch_python(args.torch_python)
    if not can_import(python, NEEDED):
        raise UserError(f"--torch-python {python}: cannot import {NEEDED}; make torch makes an environment "
                        "that can")
    text, passed = checked(args.models, python, args.tolerance)
    print(text)
    if args.out:
        atomic_write(args.out, text + "\n")
    return 0 if passed else 1


def checked(models, python, tolerance):
    """`(table of the proofs, whether all pass)`."""
    from gluon_tricks.saved.torch_proof import prove

    rows, passed = [], True
    with TorchProcess(python) as process:
        for model in models:
            proof = prove(model, process)
            passed &= proof.passes(tolerance)
            rows.append((model, proof.there, f"{proof.parameters:,}", *map("{:.1e}".format, proof[2:6]),
                         "equal" if proof.equal_back else "DIFFERENT"))
            print(*rows[-1], "" if proof.passes(tolerance) else "FAILS", file=sys.stderr, flush=True)
    versions = {**environment()["versions"], **process.facts}
    used = ", ".join(f"{name} {versions[name]}" for name in ("mxnet", "gluoncv", "torch", "timm")
                     if name in versions)
    return "\n".join([*markdown_table(HEADER, rows), "", f"{used}; {environment()['processor']}"]), passed


def listed(models):
    """Rows of the nets: name, timm's name, arguments."""
    for model in models:
        there = ARCHITECTURES.get(model, Architecture("net.py"))
        yield model, there.name, " ".join(f"{key}={value}" for key, value in there.args.items())


def all_models():
    """The nets of timm, then those of this kit that timm lacks."""
    return [*ARCHITECTURES, *(name for name in MODELS if name not in ARCHITECTURES)]


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="prove it, with PyTorch's environment")
    parser.add_argument("--models", nargs="+", default=all_models(), metavar="MODEL", help="(default all)")
    parser.add_argument("--tolerance", type=float, default=1e-4,
                        help="largest difference allowed, as a share of the largest value (default 1e-4)")
    parser.add_argument("--out", metavar="FILE", help="file for the table")
    add_torch_python(parser)
    args = parser.parse_args(argv)
    check_numbers(args, COMMAND_FLAGS)
    args.models = [name.lower() for name in args.models]
    unknown = [name for name in args.models if name not in all_models()]
    if unknown:
        raise UserError(f"--models {' '.join(unknown)}: PyTorch has no such net of this kit; python -m "
                        "gluon_tricks bridge lists those it has")
    if args.out:
        make_folder("--out", args.out.rpartition("/")[0] or ".")
    return args


if __name__ == "__main__":
    run_main(main, prog="bridge")
