"""Load parameters into a net: from `.params`, `.safetensors` and `.pth` files, under ours or PyTorch's names.
"""

from pathlib import Path

import numpy as np

from gluon_tricks.bridge.architectures import ALL_TABLES
from gluon_tricks.bridge.tables import without_extras
from gluon_tricks.errors import UserError
from gluon_tricks.models.params_file import read_params
from gluon_tricks.models.pretrained import DEFAULT_ROOT, published_file
from gluon_tricks.models.pth_file import read_pth
from gluon_tricks.models.safetensors_file import read_safetensors

READERS = {".safetensors": read_safetensors, ".pth": read_pth, ".pt": read_pth, ".bin": read_pth,
           ".tar": read_pth}
SUFFIXES = (".params", *READERS)
FLOATS = ("float16", "float32", "float64")


def read_weights(what, path):
    """{name: array} of a parameter file; its suffix decides how it is read, `.params` if it has another.

    Parameters
    ----------
    what : str
        The flag that names the file, for messages.

    Raises
    ------
    UserError
        If it is missing or damaged.
    """
    return READERS.get(Path(path).suffix, read_params)(what, path)


def own_arrays(arrays, net, optional=()):
    """The arrays of a file under the net's structural names; those of another net keep their names.

    Parameters
    ----------
    arrays : dict of name -> array
        Named as in any `.params` file, as in timm or as in torchvision.
    optional : sequence of str
        Of these structural names all or none may be missing in the file.
    """
    own = net._collect_params_with_prefix()
    names = structural_names(arrays, net, optional)
    found = {names[name]: value for name, value in arrays.items()}
    if found.keys() == own.keys():
        return found
    for table in ALL_TABLES:
        theirs = table.here(arrays, own)
        if theirs is not None and own.keys() - theirs.keys() in (set(), {*optional}):
            return theirs
    return without_extras(found)


def structural_names(names, net, optional=()):
    """{name in a file: structural name}; names that the net does not have stay as they are.

    Of the structural names in `optional`, all or none may be missing in the file.

    `net.save_parameters` writes structural names (`features.0.weight`). `collect_params().save` writes
    Gluon's (`resnet0_conv0_weight`, or without the net's prefix), `export` those with `arg:` and `aux:`
    before them. The prefix has a number that counts the nets of the process that wrote it.
    """
    plain = {name: name.partition(":")[2] if name.startswith(("arg:", "aux:")) else name for name in names}
    own = {param.name.removeprefix(net.prefix): name
           for name, param in net._collect_params_with_prefix().items()}
    lacking = set(), {name for name, one in own.items() if one in optional}
    first = next(iter(plain.values()), "")
    for end in (0, *(i + 1 for i, letter in enumerate(first) if letter == "_")):
        inner = {name: one.removeprefix(first[:end]) for name, one in plain.items()}
        if set(own).difference(inner.values()) in lacking and own.keys() >= set(inner.values()):
            return {name: own[one] for name, one in inner.items()}
    return {name: name for name in names}


def load_params(net, what, path, ctx, head=()):
    """Load a parameter file into a net; values are cast to the net's types.

    Parameters
    ----------
    what : str
        The flag that names the file, for messages.
    ctx : Context or list of Context
    head : sequence of str
        Structural names of the last layer's parameters. They stay as they are if the file has none or has
        them for another number of classes.

    Returns
    -------
    dict of name -> tuple or None
        The parameters that stay as they are, and their shapes in the file.

    Raises
    ------
    UserError
        If the file cannot be read or does not fit the net.
    """
    from mxnet import nd

    arrays = own_arrays(read_weights(what, path), net, head)
    params = net._collect_params_with_prefix()
    kept = {}
    if any(name not in arrays or len(arrays[name]) != params[name].shape[0] for name in head):
        kept = {name: arrays[name].shape if name in arrays else None for name in head}
        params, arrays = ({name: one for name, one in part.items() if name not in kept}
                          for part in (params, arrays))
    reason = misfit(params, arrays)
    if reason:
        raise UserError(f"{what} {path}: does not load into this model ({reason})")
    for name, value in arrays.items():
        params[name]._load_init(nd.array(value, dtype=value.dtype), ctx, cast_dtype=True)
    return kept


def load_pretrained(net, name, tag=True, root=DEFAULT_ROOT, ctx=None):
    """Initialise a net with the weights GluonCV publishes under its name.

    Parameters
    ----------
    net : HybridBlock
    ctx : Context or list of Context
        Default: the CPU.
    name, tag, root
        As of `published_file`.
    """
    import mxnet as mx

    load_params(net, "pretrained:", published_file("pretrained", name, tag, root),
                mx.cpu() if ctx is None else ctx)


def misfit(params, arrays):
    """Why arrays are not those of a net's parameters by structural name; "" if they are."""
    shared = {}
    for name, param in params.items():             # a parameter of several blocks may stand there once
        shared.setdefault(id(param), []).append(name)
    for name, param in params.items():
        if not any(other in arrays for other in shared[id(param)]):
            return f"it has no {name}"
    for name, value in arrays.items():
        if name not in params:
            return f"the model has no {name}"
        param = params[name]
        ours = tuple(param.shape or value.shape)           # 0: not known before the first forward
        if len(ours) != value.ndim or any(one not in (0, other) for one, other in zip(ours, value.shape)):
            return f"{name} has shape {value.shape}, the model's has {tuple(param.shape)}"
        kind = np.dtype(param.dtype).name
        if value.dtype.name != kind and not (value.dtype.name in FLOATS and kind in FLOATS):
            return f"{name} is {value.dtype.name}, the model's is {kind}"
    doubles = [name for name, value in arrays.items() if value.dtype == np.float64]
    if 0 < len(doubles) < len(arrays):         # no net mixes them: a header is damaged
        return f"{doubles[0]} is float64 and other arrays are not"
    return ""
