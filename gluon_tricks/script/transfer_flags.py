"""Checks that train_faster_rcnn.py and train_fcn.py have in common. Nothing here imports MXNet."""

from gluon_tricks.engines.launcher import devices_per_process
from gluon_tricks.errors import UserError
from gluon_tricks.recipes.flags import FLAGS, TRANSFER_FLAGS
from gluon_tricks.script.engine_flags import settled_kvstore
from gluon_tricks.script.flags import check_numbers, completed


def check_limits(args):
    """Refuse numbers outside their limits, and a first epoch behind the last."""
    check_numbers(args, {**FLAGS, **TRANSFER_FLAGS})
    if args.start_epoch >= args.epochs:
        raise UserError(f"--start-epoch {args.start_epoch}: must be below --epochs {args.epochs}, or nothing is trained")


def with_devices(args, num_gpus, kvstore):
    """The flags with the number of GPUs and the kvstore; `engine_of` checks whether there are so many.

    Parameters
    ----------
    num_gpus : int
    kvstore : str
        By the script's own flag.
    """
    if args.kvstore is None and (kvstore == "horovod" or "dist" in kvstore):
        args = completed(args, kvstore=kvstore)
    args = completed(args, num_gpus=num_gpus)
    settled = settled_kvstore(args)
    if settled == "device" and num_gpus and kvstore in ("local", "nccl"):
        settled = kvstore
    devices = devices_per_process(args.num_gpus, args.num_cpus)
    if args.batch_size % devices:
        raise UserError(f"--batch-size {args.batch_size}: must be a multiple of the {devices} devices of a process")
    return completed(args, kvstore=settled)


def is_params(args):
    """Whether --resume names parameters to start from, as in GluonCV's scripts, and no resume file."""
    return args.resume.endswith(".params")


def resume_flag(args):
    """The part of --resume that resumes a run exactly."""
    return "" if is_params(args) else args.resume


def splits_of(flag, text):
    """`2007_trainval,2012_trainval` as [(2007, "trainval"), (2012, "trainval")]."""
    found = []
    for word in text.split(","):
        year, _, split = word.strip().partition("_")
        if not (year.isdigit() and split.isidentifier()):
            raise UserError(f"{flag} {text}: give years and splits, as 2007_trainval,2012_trainval")
        found.append((int(year), split))
    return found
