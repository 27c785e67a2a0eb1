"""Checks and values of flags that several scripts and commands share. Does not import MXNet."""

import argparse
import ast

from gluon_tricks.engines.launcher import devices_per_process, launched_processes
from gluon_tricks.errors import UserError
from gluon_tricks.recipes.flags import EPOCHS, FLAGS
from gluon_tricks.tricks.low_precision import create_loss_scale

# attributes that differ from the flag by more than dashes
SPELLING = {"num_workers": "num-data-workers"}


def flag_name(name, spelling=SPELLING):
    """`--lr-decay` for the attribute `lr_decay`."""
    return f"--{spelling.get(name, name.replace('_', '-'))}"


def completed(args, **changes):
    """A copy of the parsed flags with some values changed."""
    return argparse.Namespace(**{**vars(args), **changes})


def check_numbers(args, table=FLAGS, spelling=SPELLING, **limits):
    """Raise UserError for numbers outside the limits of a table of flags, and for nan and infinity.

    Parameters
    ----------
    args : Namespace
        Values are numbers, None, or tuples of numbers.
    table : dict, name -> Flag
    spelling : dict
        Attributes that differ from their flag.
    limits : Limits
        Of single flags, instead of those in the table.

    Raises
    ------
    UserError
    """
    for name, value in vars(args).items():
        limit = limits.get(name) or (table[name].limits if name in table else None)
        if limit is None or value is None:
            continue
        for number in value if isinstance(value, tuple) else (value,):
            if limit.complaint(number):
                raise UserError(f"{flag_name(name, spelling)} {number}: {limit.complaint(number)}")


def check_common(args):
    """Raise UserError for unusable values of the flags that both classification scripts have."""
    check_numbers(args)
    if not args.save_dir:
        raise UserError("--save-dir '': give a folder (GluonCV's script would write to /)")
    if args.warmup_epochs >= args.num_epochs:
        raise UserError(f"--warmup-epochs {args.warmup_epochs}: must be fewer than --num-epochs "
                        f"{args.num_epochs}")
    check_dtype(args.dtype, args.num_gpus, args.mode)
    check_loss_scale(args.loss_scale)
    if args.dtype == "auto" and launched_processes(args.kvstore) > 1:
        raise UserError("--dtype auto: each process would measure for itself; run it once without the "
                        "launcher, and give the type in its log")
    decay_epochs(args)


def check_dtype(dtype, num_gpus, mode="hybrid"):
    """Raise UserError for a type that MXNet 1.9.1 does not support on the chosen devices."""
    if dtype == "float16" and not num_gpus and mode != "hybrid":
        raise UserError("--dtype float16: on CPUs it is emulated in the compiled net; give --mode hybrid, or "
                        "use --num-gpus or bfloat16")
    if dtype == "bfloat16" and num_gpus:
        raise UserError("--dtype bfloat16: MXNet 1.9.1 supports it on CPUs only; use float16 on GPUs")
    if dtype == "auto" and num_gpus:
        raise UserError("--dtype auto: is for CPUs only; use float32 or float16 on GPUs")


def check_loss_scale(loss_scale):
    """Raise UserError for a --loss-scale that is neither none, dynamic nor a positive number."""
    try:
        create_loss_scale(loss_scale)
    except ValueError:
        raise UserError(f"--loss-scale {loss_scale}: must be none, dynamic or a positive number") from None


def add_loss_scale_flag(group):
    group.add_argument("--loss-scale", default="none", metavar="none|dynamic|NUMBER",
                       help="factor of the loss, for float16 (§3.2); dynamic: raised until gradients "
                            "overflow (default none)")


def local_batch_size(args):
    """Images per update of one process."""
    parts = getattr(args, "accumulate", 1) * max(1, getattr(args, "emulate_gpus", 0))
    return args.batch_size * max(1, devices_per_process(args.num_gpus, args.num_cpus)) * parts


def global_batch_size(args):
    """Images per update on all devices of all processes: the paper's batch size."""
    return local_batch_size(args) * launched_processes(args.kvstore)


def decay_epochs(args):
    """--lr-decay-epoch as a list of int."""
    try:
        epochs = [int(epoch) for epoch in args.lr_decay_epoch.split(",") if epoch.strip()]
    except ValueError:
        raise UserError(f"--lr-decay-epoch {args.lr_decay_epoch}: give epochs separated by commas, such as "
                        f"100,150") from None
    for epoch in epochs:
        if EPOCHS.complaint(epoch):
            raise UserError(f"--lr-decay-epoch {args.lr_decay_epoch}: {epoch} {EPOCHS.complaint(epoch)}")
    return epochs


def keywords(flag, words):
    """`["width=4", "last_bn=True"]` as a dict. Values are Python literals; others are text.

    Raises
    ------
    UserError
        If a word is not NAME=VALUE.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name.isidentifier()):
            raise UserError(f"{flag} {word}: give NAME=VALUE, such as width=4")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def split_at_dashes(argv):
    """The words of a command line before and after `--`: two lists."""
    where = argv.index("--") if "--" in argv else len(argv)
    return argv[:where], argv[where + 1:]
