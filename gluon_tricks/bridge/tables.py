"""How a table of names translates the parameters of a net to PyTorch's and back.

A table is a list of rules for one family of nets. It is written in one direction, from the structural names
of `.params` files to those of a `state_dict`; the other direction follows, because the net has all of our
names. For BatchNorm, gamma is `weight` there, beta `bias`, and each layer also counts its batches.
"""

import re
from typing import NamedTuple

import numpy as np

NORMS = ((r"\bgamma$", "weight"), (r"\bbeta$", "bias"))
COUNTER = "num_batches_tracked"              # of PyTorch's BatchNorm; momentum None would use it
AUXILIARY = re.compile(r"(AuxLogits|aux\d*)\.")          # classifiers that torchvision has for training only


class Table(NamedTuple):
    """The names of a family of nets.

    Attributes
    ----------
    family : str
    rules : tuple of (regular expression, replacement)
        Applied in turn to our name.
    kernels : dict
        Our name of a dense layer's weight -> side of the kernel with which it is a convolution there; or of a
        1x1 convolution's -> 0, which is a dense layer there.
    zeros : dict
        Their name of a bias that our nets do not have -> our name whose first axis it has.
    """
    family: str
    rules: tuple = ()
    kernels: dict = {}       # never modified
    zeros: dict = {}

    def name(self, ours):
        """Their name of a parameter."""
        for pattern, replacement in (*NORMS, *self.rules):
            ours = re.sub(pattern, replacement, ours)
        return ours

    def there(self, arrays):
        """Our arrays as a `state_dict`: {their name: array}."""
        found = {}
        for ours, value in arrays.items():
            found[self.name(ours)] = self._reshaped(ours, value)
            if ours.endswith(".running_var"):
                found[self.name(ours)[:-len("running_var")] + COUNTER] = np.zeros((), np.int64)
        for name, ours in self.zeros.items():
            found[name] = np.zeros(len(arrays[ours]), np.float32)
        return found

    def _reshaped(self, ours, value):
        side = self.kernels.get(ours)
        if side is None:
            return value
        return value.reshape(len(value), -1, side, side) if side else value.reshape(len(value), -1)

    def here(self, arrays, ours):
        """{our name: array} of a `state_dict`; None if it is not one of this family and this net.

        Parameters
        ----------
        arrays : dict of name -> array
        ours : iterable of str
            The net's names; those that the file lacks are lacking in what is returned.
        """
        arrays = without_extras(arrays)
        if any(name not in arrays or np.any(arrays[name]) for name in self.zeros):
            return None
        theirs = {self.name(name): name for name in ours}
        left = {name: value for name, value in arrays.items() if name not in self.zeros}
        if not left.keys() <= theirs.keys():
            return None
        found = {theirs[name]: value for name, value in left.items()}
        for name, side in self.kernels.items():
            if name in found:
                value = found[name]
                found[name] = value.reshape(len(value), -1) if side else value.reshape(*value.shape[:2], 1, 1)
        return found


def without_extras(arrays):
    """The arrays of a `state_dict` that predict: no counters, no auxiliary classifiers."""
    return {name: value for name, value in arrays.items()
            if name.rpartition(".")[2] != COUNTER and not AUXILIARY.match(name)}


AS_HERE = Table("as here")
