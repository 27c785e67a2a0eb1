"""The interpreter that has PyTorch, which needs another NumPy than MXNet: an environment of its own."""

import subprocess
import sys
from pathlib import Path

from gluon_tricks.errors import UserError
from gluon_tricks.files import ROOT


def can_import(python, modules):
    """Whether an interpreter can import these modules, given as "torch, PIL"."""
    return subprocess.run([python, "-c", f"import {modules}"], capture_output=True).returncode == 0


def torch_python(given):
    """The interpreter that has PyTorch: the one given, that of `make torch`, or this one."""
    if given and not given.exists():
        raise UserError(f"--torch-python {given}: does not exist; make torch makes .venv-torch/bin/python")
    made = ROOT / ".venv-torch" / "bin" / "python"
    return given or (made if made.exists() else sys.executable)


def add_torch_python(parser):
    parser.add_argument("--torch-python", type=Path, metavar="FILE",
                        help="interpreter that has torch (default .venv-torch/bin/python, or this one)")
