"""Read the `.states` files of GluonCV's scripts: a Trainer's momentum, and with float16 its float32 master copies.

Such a file is a pickle of arrays and of the whole optimizer, learning-rate schedule included; MXNet would run
whatever code is in it, and let its schedule and rate override those of the command. Here arrays and numbers
are all that is made of it: any other class becomes an empty shell, nothing is called.
"""

import pickle

from gluon_tricks.errors import UserError
from gluon_tricks.parameters import flat

BUILDERS = {("mxnet.ndarray.ndarray", "NDArray"), ("builtins", "bytearray"), ("builtins", "set"), ("_codecs", "encode"),
            ("collections", "OrderedDict"), ("numpy.core.multiarray", "scalar"), ("numpy", "dtype")}


class Shell:
    """Stands for an object of any class; keeps nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


class ArraysOnly(pickle.Unpickler):
    """Makes NDArrays, containers and numbers; of everything else a `Shell`."""

    def find_class(self, module, name):
        return super().find_class(module, name) if (module, name) in BUILDERS else Shell


def load_states(path, trainer):
    """Put the optimizer state of a `.states` file into a Trainer whose parameters are known.

    Parameters
    ----------
    path : path
        Written by `Trainer.save_states` for the same model and optimizer.
    trainer : gluon.Trainer
        Updating on its devices.

    Raises
    ------
    UserError
        If the file is no such pickle, or its arrays do not fit the parameters.
    """
    try:
        with open(path, "rb") as stream:
            states = ArraysOnly(stream).load()
        states = states[0] if isinstance(states, tuple) else states
        stored = {index: list(flat(state)) for index, state in states.items()}
    except Exception as error:             # a damaged pickle raises all kinds
        raise UserError(f"--resume-states {path}: is no file of Trainer.save_states "
                        f"({type(error).__name__}: {error})") from error
    expected = [i for i, param in enumerate(trainer._params) if param.grad_req != "null"]
    if sorted(stored) != expected:
        raise UserError(f"--resume-states {path}: holds states of {len(stored)} parameters, this model trains "
                        f"{len(expected)}")
    for device, updater in enumerate(trainer._updaters):
        for index in expected:
            param = trainer._params[index]
            state = trainer._optimizer.create_state_multi_precision(index, param.list_data()[device])
            targets = list(flat(state))
            if [target.shape for target in targets] != [value.shape for value in stored[index]]:
                raise UserError(f"--resume-states {path}: the state of {param.name} has shapes "
                                f"{[value.shape for value in stored[index]]}, here {[target.shape for target in targets]}; "
                                f"give the same --model, --dtype and --momentum")
            for target, value in zip(targets, stored[index]):
                target[:] = value.as_in_context(target.context)
            updater.states[index], updater.states_synced[index] = state, True
