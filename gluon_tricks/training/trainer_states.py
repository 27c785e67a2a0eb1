"""Read and write the `.states` files of GluonCV's scripts: momentum and, with float16, float32 master
weights.

Such a file is a pickle of arrays and of the whole optimizer with its schedule. MXNet would run any code in
it, and the file's schedule and rate would replace those of the command. This reader creates containers and
numbers only: an array keeps its bytes, which `models/params_file.py` reads, objects of other classes become
empty shells, and nothing else is called. Ours end with a line that `files.trailer` describes and pickles do
not read.
"""

import io
import pickle
import pickletools

import numpy as np
from mxnet import nd

from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_write, check_trailer, open_file, trailer
from gluon_tricks.models.params_file import single_array
from gluon_tricks.parameters import flat

MOST_OPERATIONS = 1_000_000      # of the pickle; a net of 1000 parameters has about 30 000
MOST_PARTS, MOST_DEPTH = 16, 4   # of the state of one parameter


class Shell:
    """Replaces an object of any class; keeps nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass


class ArrayBytes(Shell):
    """Replaces an NDArray; keeps its bytes."""

    content = None

    def __setstate__(self, state):
        self.content = state["handle"]


def as_bytes(*args):
    """What pickles of bytes and bytearrays call: `bytearray(content)`, or the Latin-1 text of bytes."""
    if args and isinstance(args[0], str) and args[1:] in ((), ("latin-1",), ("latin1",)):
        return args[0].encode("latin-1")
    if len(args) == 1 and isinstance(args[0], bytes):
        return args[0]
    raise pickle.UnpicklingError("bytes are made from something else")


BUILDERS = {("mxnet.ndarray.ndarray", "NDArray"): ArrayBytes, ("builtins", "bytearray"): as_bytes,
            ("__builtin__", "bytearray"): as_bytes, ("_codecs", "encode"): as_bytes}


class ArraysOnly(pickle.Unpickler):
    """Unpickler that creates arrays' bytes, containers and numbers, and a `Shell` for any other object."""

    def find_class(self, module, name):
        return BUILDERS.get((module, name), Shell)


def save_states(trainer, path):
    """Write a `.states` file of GluonCV, and read it back; each parameter is updated on its devices."""
    content = trainer._updaters[0].get_states(dump_optimizer=True)
    atomic_write(path, [content, trailer([content])])


def read_states(path):
    """{index of a parameter: list of the arrays of its state} of a `.states` file.

    Raises
    ------
    UserError
        If it is no such file, or a damaged one.
    """
    with open_file("--resume-states ", path) as stream:
        content = stream.read()
    try:
        check_trailer(content, end_of_pickle(content))
        states = ArraysOnly(io.BytesIO(content)).load()
        states = states[0] if isinstance(states, tuple) else states
        return {index: [single_array(part.content) for part in parts_of(state)]
                for index, state in states.items()}
    except Exception as error:             # a damaged pickle can raise any exception
        raise UserError(f"--resume-states {path}: is not a file of Trainer.save_states, or a damaged one "
                        f"({type(error).__name__}: {error})") from error


def end_of_pickle(content):
    """Position after a pickle in bytes.

    Raises
    ------
    ValueError
        If it would reserve memory for more than it holds: it names a size beyond its end, or a number of the
        memo that no pickle of its length needs.
    """
    for count, (operation, value, start) in enumerate(pickletools.genops(content), start=1):
        if count > MOST_OPERATIONS:
            raise ValueError(f"has more than {MOST_OPERATIONS} operations")
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and value > count:
            raise ValueError(f"numbers its parts wrongly at byte {start}")
        if operation.name == "STOP":
            return start + 1
    raise ValueError("has no end")


def parts_of(state, depth=0):
    """The arrays of a state, which may be nested a little."""
    if isinstance(state, ArrayBytes):
        return [state]
    if state is None:
        return []
    if not isinstance(state, (list, tuple)) or depth == MOST_DEPTH or len(state) > MOST_PARTS:
        raise ValueError(f"holds a {type(state).__name__} where arrays belong")
    found = [part for one in state for part in parts_of(one, depth + 1)]
    if len(found) > MOST_PARTS:
        raise ValueError(f"holds more than {MOST_PARTS} arrays for one parameter")
    return found


def load_states(path, trainer):
    """Load the optimizer state of a `.states` file into a Trainer; its parameters must have known shapes.

    Parameters
    ----------
    path : path
        Written by `Trainer.save_states` for the same model and optimizer.
    trainer : gluon.Trainer
        It updates on its devices, not on a kvstore.

    Raises
    ------
    UserError
        If the file is not such a pickle, or if its arrays do not fit the parameters.
    """
    stored = read_states(path)
    expected = [i for i, param in enumerate(trainer._params) if param.grad_req != "null"]
    if set(stored) != set(expected):
        raise UserError(f"--resume-states {path}: holds states of {len(stored)} parameters, this model "
                        f"trains {len(expected)}")
    states = [{index: trainer._optimizer.create_state_multi_precision(
        index, trainer._params[index].list_data()[device]) for index in expected}
        for device in range(len(trainer._updaters))]
    for index in expected:                 # all of them before the first is assigned
        check_state(path, trainer._params[index].name, stored[index], list(flat(states[0][index])))
    for updater, made in zip(trainer._updaters, states):
        for index, state in made.items():
            for target, value in zip(flat(state), stored[index]):
                target[:] = nd.array(value, dtype=value.dtype)
            updater.states[index], updater.states_synced[index] = state, True


def check_state(path, name, stored, targets):
    """Raise UserError if arrays are not a parameter's state: shapes, types, or a value that is not finite."""
    ours, theirs = ([(value.shape, np.dtype(value.dtype).name) for value in part]
                    for part in (targets, stored))
    if ours != theirs:
        raise UserError(f"--resume-states {path}: the state of {name} has shapes {theirs}, here {ours}; give "
                        f"the same --model, --dtype and --momentum")
    if not all(np.isfinite(value).all() for value in stored):
        raise UserError(f"--resume-states {path}: the state of {name} is not finite; the training that wrote "
                        f"it diverged, so take a file of an earlier epoch")
