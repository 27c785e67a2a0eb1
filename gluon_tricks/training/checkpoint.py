"""Resume files: save and load all state that a bit-equal continuation needs.

A resume file is one `.npz` archive without pickles:

    param/NAME      parameter or running statistic, structural names, first device
    param@D/NAME    running statistics of device D > 0, which differ between devices
    state/I/NAME    I-th array of the optimizer's state: NAG's momentum; with float16 also float32 weights
    ema/NAME        moving average of a parameter or running statistic, with --ema
    meta            JSON: SHA-256 of all of this, progress, update count, arguments, data root hash

It is written under a temporary name, synced, read back and renamed, so a killed process or a full disk leaves
the previous file. The one before it is kept as NAME.previous.npz. Before the first value is assigned, the
hash is compared, and every array and number with net, optimizer and plan. `.params` files, for exchange with
GluonCV, are written in the same way.
"""

import json
import logging
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_path, keep_aside
from gluon_tricks.models.params_file import write_params
from gluon_tricks.parameters import connect, flat, is_statistic, named_parameters
from gluon_tricks.recipes.flags import known_flag, must_agree
from gluon_tricks.training.archive import Damaged, read_archive, read_text, write_archive
from gluon_tricks.training.progress import Diverged
from gluon_tricks.training.resume_meta import FORMAT, OPTIMIZER_NUMBERS, parse_meta

MUST_AGREE = must_agree()


def save_params(net, path):
    """Write a `.params` file of Gluon and GluonCV, and read it back."""
    mx.nd.waitall()
    write_params(path, {name: param._reduce().asnumpy() for name, param in named_parameters(net).items()})


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
            elif is_statistic(param):
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
    write_archive(path, arrays, before_rename=lambda: keep_previous(path))


def previous_of(path):
    """The path of the resume file before the newest one."""
    path = Path(path)
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def newest(path):
    """`path`, or the previous file where only that exists; None if neither does."""
    return next((one for one in (Path(path), previous_of(path)) if one.exists()), None)


def remove_resume(path):
    """Remove a run's resume file and the previous one."""
    for one in (Path(path), previous_of(path)):
        one.unlink(missing_ok=True)


def keep_previous(path):
    """Keep a resume file, which is about to be replaced, as the previous one; a damaged file is put aside."""
    if not Path(path).exists():
        return
    try:
        read_archive("", path)
    except Damaged as error:
        logging.getLogger().info(f"warning: {path} was damaged ({error}); it is kept as {keep_aside(path)}")
        return
    with atomic_path(previous_of(path)) as part:
        try:
            os.link(path, part)
        except OSError:                    # a file system without hard links
            shutil.copyfile(path, part)


def read_meta(path):
    """`(facts, Progress)` of a resume file, without its arrays.

    Raises
    ------
    UserError
        If the file is missing, damaged, or of another format.
    """
    try:
        facts, progress, _ = parse_meta(read_text("--resume ", path))
    except ValueError as error:
        raise _unusable(path, error) from error
    return facts, progress


def _unusable(path, error):
    """The UserError for a resume file that cannot be used; it offers the previous one if that is whole."""
    if isinstance(error, UserError):       # it could not be opened
        return error
    path, previous, remedy = Path(path), previous_of(path), "delete it to start again"
    if previous.exists():
        try:
            archive, _ = read_archive("", previous)
            num_update = parse_meta(archive["meta"].tobytes()).progress.num_update
            remedy = (f"the previous one is whole: --resume {previous} continues from update {num_update}; "
                      f"or delete both to start again")
        except (KeyError, ValueError):
            remedy = f"so is {previous}; delete both to start again"
    return UserError(f"--resume {path}: cannot be used: {error}; {remedy}")


def check_facts(path, saved, current):
    """Compare the facts of a resume file with those of this run; returns notes on permitted differences.

    Raises
    ------
    UserError
        If model, data, seed, type or global batch differ.
    """
    current = json.loads(json.dumps(current))        # tuples become lists, as in the file
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
        notes.append(f"OMP_NUM_THREADS was {saved.get('threads')!s:.20} and is now {current.get('threads')}: "
                     f"the order of sums changes, so the last bits will differ from the uninterrupted run's")
    return notes


def check_position(path, saved, current, progress, batches_in, num_epochs):
    """Refuse a resume file whose position is none of this run's plan.

    Parameters
    ----------
    saved, current : dict
        Facts of the file and of this run.
    batches_in : callable, epoch -> number of batches

    Raises
    ------
    UserError
    """
    if progress.epoch > num_epochs:
        raise UserError(f"--resume {path}: is in epoch {progress.epoch}, this run has {num_epochs} epochs; "
                        f"give the run's own number of epochs")
    before, now = sum(map(batches_in, range(progress.epoch))), batches_in(progress.epoch)
    # other processes or another loader may cut an epoch into one batch more or less
    same = all(saved.get(key) == current.get(key) for key in ("world_size", "devices", "data_backend"))
    slack = 0 if same else progress.epoch + 1
    if progress.batch > now + slack or abs(before + progress.batch - progress.num_update) > slack:
        raise _unusable(path, Damaged(f"it is at update {progress.num_update}, in epoch {progress.epoch}, "
                                      f"batch {progress.batch}; this run has {before} updates before that "
                                      f"epoch and {now} in it"))


def load_resume(path, net, trainer, average=None):
    """Load parameters, optimizer state and average into a net whose shapes are known.

    Returns
    -------
    list of str
        Notes for the log.

    Raises
    ------
    UserError
        If the file is damaged, or a value is not one of this net and optimizer; nothing has been changed
        then.
    """
    connect(trainer)
    try:
        stored, is_hashed = read_archive("--resume ", path)
        meta = parse_meta(stored.pop("meta").tobytes())
        states = _new_states(net, trainer)
        _check_arrays(net, states[0], stored, meta)
        for name in OPTIMIZER_NUMBERS:
            if hasattr(trainer._optimizer, name) != (name in meta.optimizer):
                raise Damaged(f"only one of it and this optimizer has {name}")
    except ValueError as error:
        raise _unusable(path, error) from error
    params = named_parameters(net)
    for name, param in params.items():
        value = stored[f"param/{name}"]
        for device, target in enumerate(param.list_data()):
            target[:] = nd.array(stored.get(f"param@{device}/{name}", value), dtype=value.dtype)
    _restore_optimizer(net, trainer, states, stored)
    trainer._optimizer.begin_num_update = trainer._optimizer.num_update = meta.progress.num_update
    for name, value in meta.optimizer.items():
        setattr(trainer._optimizer, name, value)
    if average:
        average.restore({name: stored.get(f"ema/{name}", stored[f"param/{name}"]) for name in params})
    mx.nd.waitall()
    return [] if is_hashed else [f"{path} was written by an earlier version, without a hash of its contents, "
                                 f"so changed values in it cannot be seen"]


def _trainer_indices(net, trainer):
    """{structural name: index in the Trainer} of the trained parameters."""
    index_of = {id(param): i for i, param in enumerate(trainer._params)}
    return {name: index_of[id(param)] for name, param in named_parameters(net).items()
            if param.grad_req != "null"}


def _optimizer_states(net, trainer):
    """{structural name: list of state arrays on the first device}; empty before the first update."""
    states = trainer._updaters[0].states
    return {name: list(flat(states[i])) for name, i in _trainer_indices(net, trainer).items() if i in states}


def _new_states(net, trainer):
    """For each device: {structural name: a new state of the optimizer, with its shapes and nesting}.

    `Trainer.save_states` is not used: it pickles the whole optimizer with its schedule.
    """
    create, indices = trainer._optimizer.create_state_multi_precision, _trainer_indices(net, trainer)
    return [{name: create(i, trainer._params[i].list_data()[device]) for name, i in indices.items()}
            for device in range(len(trainer._updaters))]


def _check_arrays(net, states, stored, meta):
    """Raise Damaged unless the arrays are those that `save_resume` writes for this net and optimizer."""
    params = named_parameters(net)
    expected = {f"param/{name}": (param.shape, param.dtype) for name, param in params.items()}
    moments = {f"state/{i}/{name}": (value.shape, value.dtype) for name, state in states.items()
               for i, value in enumerate(flat(state))}
    skipped = meta.progress.loss_scale.get("skipped", 0)
    if meta.progress.num_update > skipped or any(name.startswith("state/") for name in stored):
        expected |= moments
    # the average may be switched on or off, and the number of devices may change; a note says so
    if any(name.startswith("ema/") for name in stored):
        expected |= {f"ema/{name}": (param.shape, "float32") for name, param in params.items()}
    devices = {name.partition("/")[0] for name in stored if name.startswith("param@")}
    for device in range(1, max(1 + len(devices), min(meta.facts.get("devices") or 1, len(stored)))):
        expected |= {f"param@{device}/{name}": (param.shape, param.dtype) for name, param in params.items()
                     if is_statistic(param)}
    missing = sorted(set(stored).symmetric_difference(expected))
    if missing:
        whose = "this run" if missing[0] in expected else "it"
        raise Damaged(f"its arrays are not this model's and optimizer's: only {whose} has {missing[0]}")
    for name, (shape, dtype) in expected.items():
        value = stored[name]
        if value.shape != tuple(shape):
            raise Damaged(f"{name} has shape {value.shape}, here {tuple(shape)}")
        if value.dtype != np.dtype(dtype):
            raise Damaged(f"{name} has type {value.dtype}, here {np.dtype(dtype)}")
        if not np.isfinite(value).all():
            raise Damaged(f"{name} is not finite")


def _restore_optimizer(net, trainer, states, stored):
    """Fill new states, one dict per device, and give them to the updaters."""
    for updater, made in zip(trainer._updaters, states):
        for name, i in _trainer_indices(net, trainer).items():
            if f"state/0/{name}" not in stored:
                continue
            updater.states[i], updater.states_synced[i] = made[name], True
            for number, target in enumerate(flat(made[name])):
                value = stored[f"state/{number}/{name}"]
                target[:] = nd.array(value, dtype=value.dtype)
