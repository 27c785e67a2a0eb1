"""Load a training script, which stands at the repository's root, as a module."""

import importlib
import sys
from pathlib import Path

from gluon_tricks.files import ROOT


def load_script(file_name):
    """Import a training script.

    Parameters
    ----------
    file_name : str
        As `train_cifar.py`.

    Returns
    -------
    module
        With `parse_args`, `main` and the builders of that script.
    """
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module(Path(file_name).stem)
