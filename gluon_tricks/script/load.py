"""Import a training script, or a script of data_prep/, from the repository's root."""

import importlib
import sys
from pathlib import Path

from gluon_tricks.files import ROOT


def load_script(file_name):
    """Import a script next to the package, in a checkout or in an installation.

    Parameters
    ----------
    file_name : str
        Relative to the repository's root, such as `train_cifar.py` or `data_prep/cifar.py`.

    Returns
    -------
    module
        It has `main`; a training script also has `parse_args`.
    """
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module(".".join(Path(file_name).with_suffix("").parts))
