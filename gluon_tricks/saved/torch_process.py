"""PyTorch in its own process: what the net in a folder of `export --format torch` computes."""

import json
import tempfile
from pathlib import Path

import numpy as np

from gluon_tricks.launching.worker import Worker

NEEDED = "torch, timm, safetensors"          # packages in its environment


class TorchProcess(Worker):
    """A process of `bridge/torch_side.py`; `facts` has the versions of torch and timm.

    Parameters
    ----------
    python : path
        An interpreter that can import the packages `NEEDED`.
    """

    def __init__(self, python):
        super().__init__("PyTorch", ["-m", "gluon_tricks.bridge.torch_side"], python)

    def compute(self, folder, back=None, **given):
        """Let it open a folder and compute.

        Parameters
        ----------
        folder : path
        back : path, optional
            A folder for the net's state dict, in three formats.
        given : arrays
            `images`, and `weights` for gradients.

        Returns
        -------
        dict of arrays
            As in `bridge/torch_side.py`.
        """
        with tempfile.TemporaryDirectory() as exchange:
            given_file, out = Path(exchange, "given.npz"), Path(exchange, "out.npz")
            np.savez(given_file, **given)
            job = {"folder": str(folder), "given": str(given_file), "out": str(out),
                   "back": str(back) if back else None}
            self.told.append(self.ask(json.dumps(job)))
            with np.load(out) as found:
                return dict(found)
