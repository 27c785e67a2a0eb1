"""Shared parts of train_faster_rcnn.py and train_fcn.py that need MXNet: devices, weights, paths, lines."""

import mxnet as mx

from gluon_tricks.data.cifar_sets import IMAGENET_MEAN, IMAGENET_STD
from gluon_tricks.engines.launcher import launched_processes
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.files import make_folder
from gluon_tricks.models.ready import load_params
from gluon_tricks.parameters import settle_weights
from gluon_tricks.saved.record import NetFacts
from gluon_tricks.script import opening
from gluon_tricks.script.init_record import check_net, init_run
from gluon_tricks.script.transfer_flags import is_params
from gluon_tricks.training.settings import RunPaths
from gluon_tricks.transfer.backbone import SHORT_NAMES, start_base


def engine_of(args, flag, gpus):
    """The engine for the GPU ids, or the number of GPUs, of `flag`.

    Raises
    ------
    UserError
        If MXNet does not see these GPUs.
    """
    by_id, seen = isinstance(gpus, list), mx.context.num_gpus()
    wanted = max(gpus, default=-1) + 1 if by_id else gpus
    if wanted > seen:
        none = "''" if by_id else "0"
        raise UserError(f"{flag} {getattr(args, flag[2:])}: MXNet sees {seen} GPUs; give {flag} {none} to "
                        f"train on the CPU")
    if by_id and gpus and launched_processes(args.kvstore) == 1:
        return SingleProcess([mx.gpu(number) for number in gpus], kvstore=args.kvstore)
    return opening.engine_of(args)


def check_batch(batch_size, images, processes):
    """Raise UserError for a training set with fewer images than one update needs."""
    if batch_size * processes > images:
        each = f" in each of {processes} processes" if processes > 1 else ""
        raise UserError(f"--batch-size {batch_size}{each}: the training set has {images} images")


def paths_with_log(flag, log, save_dir, **names):
    """`RunPaths` with metrics, plot and pictures in a folder named after the log."""
    make_folder(flag, save_dir)
    folder = make_folder(flag, log.with_suffix(""))
    names["resume"] = save_dir / names["resume"]
    return RunPaths(log=log, metrics=folder / "metrics.jsonl", plot=folder / "history.png", save_dir=save_dir,
                    save_flag=flag, log_flag=flag, **names)


def transfer_net(task, model, switches, train_set, dataset, input_size):
    """The description of a net for its record: `NetFacts`. Images have ImageNet's mean and deviation."""
    names = list(train_set.classes) if isinstance(train_set.classes[0], str) else None
    mean, std = (tuple(255 * value for value in values) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return NetFacts(model, switches, len(train_set.classes), names, dataset, input_size, 3, "center", 1.0,
                    mean, std, train_set.root_hash, task)


def transfer_facts(args, net, train_set, engine, **more):
    """The facts for run.json and the resume file: dict. `args` are the flags of the log's header."""
    return opening.facts_of(args, engine, net, dataset=args.dataset, classes=len(train_set.classes),
                            dtype="float32", data_root_hash=train_set.root_hash,
                            global_batch_size=args.batch_size * engine.world_size, **more)


def first_weights(args, base, name, resumed):
    """Give the base its first weights, unless the net is loaded later; returns a log line on their source."""
    if resumed or is_params(args):
        start_base(base, name)
        return f"weights: {args.resume}" if is_params(args) else "weights: of the resumed run"
    run = init_run(args.backbone_params, "--backbone-params")
    if run:
        check_net("--backbone-params", args.backbone_params, run, SHORT_NAMES.get(name, name))
    return start_base(base, name, args.init, args.backbone_params, args.pretrained_base)


def start_params(args, net, engine):
    """Load the parameters of the whole net, if --resume is a .params file."""
    if is_params(args):
        load_params(net, "--resume", args.resume, engine)
        settle_weights(net)


def skip_epochs(run, start_epoch, batches_per_epoch):
    """Start at GluonCV's --start-epoch, unless the run is resumed."""
    if start_epoch and not run.resumed:
        run.progress.epoch, run.progress.num_update = start_epoch, start_epoch * batches_per_epoch


def opening_lines(args, train_set, val_set, engine):
    """Yield the log lines on batch, data and threads."""
    devices, classes = len(engine.ctx), len(train_set.classes)
    yield (f"global batch {args.batch_size * engine.world_size} = {args.batch_size // devices} per device x "
           f"{opening.counted(devices, 'device')} x {opening.counted(engine.world_size, 'process')}")
    yield (f"data: {len(train_set)} training and {len(val_set)} validation images, "
           f"{opening.counted(classes, 'class')}, root hash {train_set.root_hash}")
    yield from filter(None, (getattr(images, name, "") for images in (train_set, val_set)
                             for name in ("contents", "left_out")))
    yield opening.threads_line(args, "processes")
