"""Checks that train_faster_rcnn.py and train_fcn.py share. Does not import MXNet."""

from gluon_tricks.engines.launcher import devices_per_process
from gluon_tricks.errors import UserError
from gluon_tricks.recipes.flags import FLAGS, SHAPE_FLAGS, TRANSFER_FLAGS
from gluon_tricks.script.engine_flags import settled_kvstore
from gluon_tricks.script.flags import check_numbers, completed


def check_limits(args):
    """Raise UserError for numbers outside their limits, and for a first epoch after the last."""
    check_numbers(args, {**FLAGS, **TRANSFER_FLAGS, **SHAPE_FLAGS}, spelling={})
    if args.start_epoch >= args.epochs:
        raise UserError(f"--start-epoch {args.start_epoch}: must be less than --epochs {args.epochs}")


def with_devices(args, num_gpus, kvstore):
    """The flags with the number of GPUs and the kvstore. `engine_of` checks later whether the GPUs exist.

    Parameters
    ----------
    num_gpus : int
    kvstore : str
        Value of the script's own flag.
    """
    if args.kvstore is None and (kvstore == "horovod" or "dist" in kvstore):
        args = completed(args, kvstore=kvstore)
    args = completed(args, num_gpus=num_gpus)
    settled = settled_kvstore(args)
    if settled == "device" and num_gpus and kvstore in ("local", "nccl"):
        settled = kvstore
    devices = devices_per_process(args.num_gpus, args.num_cpus)
    if args.batch_size % devices:
        raise UserError(f"--batch-size {args.batch_size}: must be a multiple of the {devices} devices of a "
                        f"process")
    return completed(args, kvstore=settled)


def is_params(args):
    """Whether --resume is a .params file to start from, as in GluonCV's scripts, and not a resume file."""
    return args.resume.endswith(".params")


def resume_flag(args):
    """--resume, or "" if it is a .params file, which does not resume a run."""
    return "" if is_params(args) else args.resume


def splits_of(flag, text):
    """`2007_trainval,2012_trainval` as [(2007, "trainval"), (2012, "trainval")]."""
    found = []
    for word in text.split(","):
        year, _, split = word.strip().partition("_")
        if not (year.isdecimal() and split.isidentifier()):
            raise UserError(f"{flag} {text}: give years and splits, such as 2007_trainval,2012_trainval")
        found.append((int(year), split))
    return found
