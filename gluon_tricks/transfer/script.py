"""What train_faster_rcnn.py and train_fcn.py do the same way: checks of flags, devices, paths, the first and last lines."""

from pathlib import Path

import mxnet as mx

from gluon_tricks.engines.launcher import devices_per_process, launched_processes
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.files import make_folder
from gluon_tricks.machine import operator_threads
from gluon_tricks.models.ready import load_params
from gluon_tricks.parameters import settle_weights
from gluon_tricks.script import flags as script
from gluon_tricks.script.engine_flags import check_engine_flags
from gluon_tricks.training.run import RunPaths
from gluon_tricks.transfer.backbone import start_base


def check_numbers(args, limits):
    """Refuse numbers below their limit, a rate that is not positive, and a first epoch behind the last."""
    script.at_least(args, limits, flags={})
    script.check_rate(args)
    if args.start_epoch >= args.epochs:
        raise UserError(f"--start-epoch {args.start_epoch}: must be below --epochs {args.epochs}, or nothing is trained")


def check_batch(args, images, processes):
    """Refuse a training set that has not one update's images."""
    if args.batch_size * processes > images:
        each = f" in each of {processes} processes" if processes > 1 else ""
        raise UserError(f"--batch-size {args.batch_size}{each}: the training set has {images} images")


def check_devices(args, num_gpus, kvstore):
    """Settle on the number of devices and on the kvstore; `engine_of` sees whether there are so many."""
    args.num_gpus = num_gpus
    if args.kvstore is None and (kvstore == "horovod" or "dist" in kvstore):
        args.kvstore = kvstore
    check_engine_flags(args)
    if args.kvstore == "device" and args.num_gpus and kvstore in ("local", "nccl"):
        args.kvstore = kvstore
    devices = devices_per_process(args.num_gpus, args.num_cpus)
    if args.batch_size % devices:
        raise UserError(f"--batch-size {args.batch_size}: must be a multiple of the {devices} devices of a process")


def engine_of(args, flag, gpus):
    """The engine for the GPU ids, or for so many GPUs, that `flag` names.

    Raises
    ------
    UserError
        If MXNet does not see them.
    """
    by_id, seen = isinstance(gpus, list), mx.context.num_gpus()
    if (max(gpus, default=-1) + 1 if by_id else gpus) > seen:
        none = "''" if by_id else "0"
        raise UserError(f"{flag} {getattr(args, flag[2:])}: MXNet sees {seen} GPUs; give {flag} {none} to train on the CPU")
    if by_id and gpus and launched_processes(args.kvstore) == 1:
        return SingleProcess([mx.gpu(number) for number in gpus], kvstore=args.kvstore)
    return script.engine_of(args)


def paths_beside_log(flag, log, save_dir, **names):
    """`RunPaths` with metrics, plot and pictures in a folder named after the log."""
    make_folder(flag, save_dir)
    folder = make_folder(flag, log.with_suffix(""))
    names["resume"] = save_dir / names["resume"]
    return RunPaths(log=log, metrics=folder / "metrics.jsonl", plot=folder / "history.png", save_dir=save_dir,
                    save_flag=flag, **names)


def is_params(args):
    """Whether --resume names parameters to start from, as in GluonCV's scripts, and is no exact resumption."""
    return args.resume.endswith(".params")


def resume_flag(args):
    """What of --resume is an exact resumption."""
    return "" if is_params(args) else args.resume


def first_weights(args, base, name, resumed):
    """Give the base its first weights, unless the whole net is loaded later; a sentence on where they come from."""
    if resumed or is_params(args):
        start_base(base, name)
        return f"weights: {args.resume}" if is_params(args) else "weights: of the resumed run"
    return start_base(base, name, args.init, args.backbone_params, args.pretrained_base)


def start_params(args, net, engine):
    """Load the parameters of the whole net, if --resume names some."""
    if is_params(args):
        load_params(net, "--resume", args.resume, engine)
        settle_weights(net)


def splits_of(flag, text):
    """`2007_trainval,2012_trainval` as [(2007, "trainval"), (2012, "trainval")]."""
    found = []
    for word in text.split(","):
        year, _, split = word.strip().partition("_")
        if not (year.isdigit() and split.isidentifier()):
            raise UserError(f"{flag} {text}: give years and splits, as 2007_trainval,2012_trainval")
        found.append((int(year), split))
    return found


def opening(args, train_set, val_set, engine):
    """Lines on batch and data."""
    devices = len(engine.ctx)
    yield (f"global batch {args.batch_size * engine.world_size} = {args.batch_size // devices} per device x {devices} "
           f"device{'s' * (devices > 1)} x {engine.world_size} process{'es' * (engine.world_size > 1)}")
    yield (f"data: {len(train_set)} training and {len(val_set)} validation images, {len(train_set.classes)} "
           f"class{'es' * (len(train_set.classes) > 1)}, root hash {train_set.root_hash}")
    yield f"seed {args.seed}; {operator_threads()} operator threads, {args.num_workers} loader processes"


def finish(run):
    """Say where the results are; the exit code."""
    if run.engine.is_writer and run.progress.history:
        name, last = run.facts["score"], run.progress.history[-1]
        print(f"log: {run.paths.log}\nplot and pictures: {Path(run.paths.plot).parent}\n"
              f"{name}: last {last.get(name, float('nan')):.4f}, best {run.progress.best_val:.4f}")
    return run.exit_code
