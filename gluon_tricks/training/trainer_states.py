"""Read the `.states` files of GluonCV's scripts: momentum and, with float16, float32 master weights.

Such a file is a pickle of arrays and of the whole optimizer with its schedule. MXNet would run any code in
it, and the file's schedule and rate would replace those of the command. This reader creates arrays and
numbers only: objects of other classes become empty shells, and nothing is called.
"""

import pickle

from gluon_tricks.errors import UserError
from gluon_tricks.parameters import flat

BUILDERS = {("mxnet.ndarray.ndarray", "NDArray"), ("builtins", "bytearray"), ("builtins", "set"),
            ("_codecs", "encode"), ("collections", "OrderedDict"), ("numpy.core.multiarray", "scalar"),
            ("numpy", "dtype")}


class Shell:
    """Replaces an object of any class; keeps nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


class ArraysOnly(pickle.Unpickler):
    """Unpickler that creates NDArrays, containers and numbers, and a `Shell` for any other object."""

    def find_class(self, module, name):
        return super().find_class(module, name) if (module, name) in BUILDERS else Shell


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
    try:
        with open(path, "rb") as stream:
            states = ArraysOnly(stream).load()
        states = states[0] if isinstance(states, tuple) else states
        stored = {index: list(flat(state)) for index, state in states.items()}
    except Exception as error:             # a damaged pickle can raise any exception
        raise UserError(f"--resume-states {path}: is not a file of Trainer.save_states "
                        f"({type(error).__name__}: {error})") from error
    expected = [i for i, param in enumerate(trainer._params) if param.grad_req != "null"]
    if sorted(stored) != expected:
        raise UserError(f"--resume-states {path}: holds states of {len(stored)} parameters, this model "
                        f"trains {len(expected)}")
    for device, updater in enumerate(trainer._updaters):
        for index in expected:
            param = trainer._params[index]
            state = trainer._optimizer.create_state_multi_precision(index, param.list_data()[device])
            targets = list(flat(state))
            if [target.shape for target in targets] != [value.shape for value in stored[index]]:
                raise UserError(f"--resume-states {path}: the state of {param.name} has shapes "
                                f"{[value.shape for value in stored[index]]}, here "
                                f"{[target.shape for target in targets]}; give the same --model, --dtype and "
                                f"--momentum")
            for target, value in zip(targets, stored[index]):
                target[:] = value.as_in_context(target.context)
            updater.states[index], updater.states_synced[index] = state, True
