"""Resume files: save and load all state that a bit-equal continuation needs.

A resume file is one `.npz` archive without pickles:

    param/NAME      parameter or running statistic, structural names, first device
    param@D/NAME    running statistics of device D > 0, which differ between devices
    state/I/NAME    I-th array of the optimizer's state: NAG's momentum; with float16 also float32 weights
    ema/NAME        moving average of a parameter or running statistic, with --ema
    meta            JSON: progress, update count, arguments, data root hash, versions

It is written under a temporary name, synced and renamed, so a killed process leaves the previous file.
`.params` files, for exchange with GluonCV, are written by Gluon and renamed in the same way.
"""

import json
import zipfile
from dataclasses import asdict

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_path
from gluon_tricks.parameters import connect, flat, named_parameters
from gluon_tricks.recipes.flags import known_flag, must_agree
from gluon_tricks.training.progress import Diverged, Progress

FORMAT = 1
MUST_AGREE = must_agree()


# State of an optimizer other than arrays and update count: the running product of MXNet's Nadam
OPTIMIZER_NUMBERS = ("m_schedule",)


def save_params(net, path):
    """Write a `.params` file of Gluon and GluonCV, and read it back."""
    mx.nd.waitall()
    write_params(path, {name: param._reduce().asnumpy() for name, param in named_parameters(net).items()})


def save_states(trainer, path):
    """Write a `.states` file of GluonCV (a pickled optimizer without schedule) through a temporary name."""
    with atomic_path(path) as part:
        trainer.save_states(str(part))


def save_resume(path, net, trainer, progress, facts, average=None, is_writer=True):
    """Write a resume file. Of several processes, all check their arrays and only the writer writes.

    Parameters
    ----------
    facts : dict
        Values that JSON can hold; `check_facts` compares them with those of the resumed run.
    average : ParameterAverage, optional

    Raises
    ------
    Diverged
        If a value is not finite; the previous file is kept.
    """
    # on CPUs, backward writes BatchNorm's statistics without the engine's dependencies
    mx.nd.waitall()
    arrays = {}
    for name, param in named_parameters(net).items():
        for device, value in enumerate(param.list_data()):
            if device == 0:
                arrays[f"param/{name}"] = value.asnumpy()
            elif param.grad_req == "null":
                arrays[f"param@{device}/{name}"] = value.asnumpy()
    for name, state in _optimizer_states(net, trainer).items():
        for i, value in enumerate(state):
            arrays[f"state/{i}/{name}"] = value.asnumpy()
    for name, value in (average.arrays.items() if average else ()):
        arrays[f"ema/{name}"] = value.asnumpy()
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            raise Diverged(progress.epoch, progress.num_update, f"{name.split('/')[-1]} is not finite")
    if not is_writer:
        return
    meta = {"format": FORMAT, "facts": facts, "progress": asdict(progress),
            "optimizer": {name: getattr(trainer._optimizer, name) for name in OPTIMIZER_NUMBERS
                          if hasattr(trainer._optimizer, name)}}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    with atomic_path(path) as part, open(part, "wb") as stream:
        np.savez(stream, **arrays)


def read_meta(path):
    """`(facts, Progress)` of a resume file, without its arrays.

    Raises
    ------
    UserError
        If the file is missing, damaged, or of another format.
    """
    with _open(path) as archive:
        try:
            meta = json.loads(archive["meta"].tobytes())
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"--resume {path}: is not a resume file of gluon_tricks ({error})") from error
    if meta.get("format") != FORMAT:
        raise UserError(f"--resume {path}: has format {meta.get('format')}, this version reads format "
                        f"{FORMAT}")
    return meta["facts"], Progress(**meta["progress"])


def check_facts(path, saved, current):
    """Compare the facts of a resume file with those of this run; returns notes on permitted differences.

    Raises
    ------
    UserError
        If model, data, seed, type or global batch differ.
    """
    for key, flag in MUST_AGREE.items():
        if key in saved and saved[key] != current.get(key):      # files of earlier versions lack some keys
            raise UserError(f"--resume {path}: was made with {key} {saved.get(key)!r}, this run has "
                            f"{current.get(key)!r}; give the same {flag}, or another --save-dir")
    notes = []
    for name, value in current["args"].items():
        if known_flag(name).resume != "free" and name in saved["args"] and saved["args"][name] != value:
            notes.append(f"--{name.replace('_', '-')} was {saved['args'][name]!r} and is now {value!r}: "
                         f"results will differ from the uninterrupted run's")
    if any(saved.get(key, 1) != current.get(key, 1) for key in ("world_size", "devices")):
        was, now = (f"{facts.get('world_size', 1)} x {facts.get('devices', 1)}" for facts in (saved, current))
        notes.append(f"processes x devices were {was} and are now {now}: BatchNorm sees other parts of the "
                     f"batch and the order of sums changes, so results will differ from the uninterrupted "
                     f"run's")
    if saved.get("threads") != current.get("threads"):
        notes.append(f"OMP_NUM_THREADS was {saved.get('threads')} and is now {current.get('threads')}: the "
                     f"order of sums changes, so the last bits will differ from the uninterrupted run's")
    return notes


def load_resume(path, net, trainer, average=None):
    """Load parameters, optimizer state and average into a net whose shapes are known."""
    with _open(path) as archive:
        try:
            stored = {name: archive[name] for name in archive.files if name != "meta"}
            meta = json.loads(archive["meta"].tobytes())
        except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
            raise UserError(f"--resume {path}: is damaged ({error}); delete it to start again") from error
    params = named_parameters(net)
    names = {name.split("/", 1)[1] for name in stored if name.startswith("param/")}
    if names != set(params):
        name = sorted(names.symmetric_difference(params))[0]
        raise UserError(f"--resume {path}: its parameters are not this model's (only one of them has {name})")
    connect(trainer)
    for name, param in params.items():
        value = stored[f"param/{name}"]
        if value.shape != param.shape:
            raise UserError(f"--resume {path}: {name} has shape {value.shape}, the model's has {param.shape}")
        for device, target in enumerate(param.list_data()):
            target[:] = nd.array(stored.get(f"param@{device}/{name}", value), dtype=value.dtype)
    _restore_optimizer(net, trainer, stored)
    trainer._optimizer.begin_num_update = trainer._optimizer.num_update = meta["progress"]["num_update"]
    for name, value in meta.get("optimizer", {}).items():
        setattr(trainer._optimizer, name, value)
    if average:
        average.restore({name: stored.get(f"ema/{name}", stored[f"param/{name}"]) for name in params})
    mx.nd.waitall()


def _trainer_indices(net, trainer):
    """{structural name: index in the Trainer} of the trained parameters."""
    index_of = {id(param): i for i, param in enumerate(trainer._params)}
    return {name: index_of[id(param)] for name, param in named_parameters(net).items()
            if param.grad_req != "null"}


def _optimizer_states(net, trainer):
    """{structural name: list of state arrays on the first device}; empty before the first update."""
    states = trainer._updaters[0].states
    return {name: list(flat(states[i])) for name, i in _trainer_indices(net, trainer).items() if i in states}


def _restore_optimizer(net, trainer, stored):
    """Let MXNet create each state with its shape and nesting, then fill it.

    `Trainer.save_states` is not used: it pickles the whole optimizer with its schedule.
    """
    optimizer = trainer._optimizer
    for device, updater in enumerate(trainer._updaters):
        for name, i in _trainer_indices(net, trainer).items():
            if f"state/0/{name}" not in stored:
                continue
            weight = trainer._params[i].list_data()[device]
            updater.states[i] = optimizer.create_state_multi_precision(i, weight)
            updater.states_synced[i] = True
            for number, target in enumerate(flat(updater.states[i])):
                value = stored[f"state/{number}/{name}"]
                target[:] = nd.array(value, dtype=value.dtype)


def _open(path):
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"--resume {path}: cannot be read ({error}); delete it to start again") from error
