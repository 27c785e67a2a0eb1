"""What both training scripts do the same way: checks of flags, a net's start, the last lines."""

import ast

from gluon_tricks.engines.launcher import devices_per_process, launched_processes
from gluon_tricks.errors import UserError
from gluon_tricks.script.engine_flags import check_engine_flags

FLAGS = {"num_workers": "num-data-workers"}        # what the classification scripts call otherwise than their attribute


def at_least(args, limits, flags=FLAGS):
    """Refuse numbers below their limit, and nan.

    Parameters
    ----------
    limits : dict, attribute name -> least value
    flags : dict, attribute name -> flag
        Where they differ by more than dashes.
    """
    for name, least in limits.items():
        if not getattr(args, name) >= least:
            raise UserError(f"--{flags.get(name, name.replace('_', '-'))} {getattr(args, name)}: must be at least {least}")


def check_rate(args):
    """Refuse a --lr that is not a positive number."""
    if not 0 < args.lr < float("inf"):
        raise UserError(f"--lr {args.lr}: must be positive")


def check_common(args):
    """What can be wrong with flags that both scripts have."""
    at_least(args, {"batch_size": 1, "num_epochs": 1, "num_gpus": 0, "num_workers": 0, "warmup_epochs": 0,
                    "checkpoint_period": 0, "log_interval": 0, "max_updates": 0, "mixup_off_epoch": 0, "seed": 0})
    check_rate(args)
    if args.mixup_alpha <= 0:
        raise UserError(f"--mixup-alpha {args.mixup_alpha}: must be positive")
    if not args.save_dir:
        raise UserError("--save-dir '': name a folder (GluonCV's script would write to / here)")
    if args.warmup_epochs >= args.num_epochs:
        raise UserError(f"--warmup-epochs {args.warmup_epochs}: must be fewer than --num-epochs {args.num_epochs}")
    if args.dtype == "float16" and not args.num_gpus:
        raise UserError("--dtype float16: MXNet 1.9.1 has no float16 convolution on CPUs; use --num-gpus, or bfloat16")
    if args.dtype == "bfloat16" and args.num_gpus:
        raise UserError("--dtype bfloat16: MXNet 1.9.1 computes it on CPUs only; use float16 on GPUs")
    decay_epochs(args)
    check_engine_flags(args)
    if args.dtype == "auto" and args.num_gpus:
        raise UserError("--dtype auto: chooses for CPUs; use float32 or float16 on GPUs")
    if args.dtype == "auto" and launched_processes(args.kvstore) > 1:
        raise UserError("--dtype auto: each process would try for itself; run it once without the launcher, and give the "
                        "type that its log names")


def engine_of(args, parts_per_device=1):
    """The engine that the flags ask for."""
    from gluon_tricks.engines.create import create_engine  # imports MXNet

    return create_engine(args.num_gpus, parts_per_device, args.num_cpus, args.kvstore, args.timeout, args.deterministic)


def local_batch_size(args):
    """Images per update on one process."""
    parts = getattr(args, "accumulate", 1) * max(1, getattr(args, "emulate_gpus", 0))
    return args.batch_size * max(1, devices_per_process(args)) * parts


def global_batch_size(args):
    """Images per update on all devices of all processes: the paper's batch size."""
    return local_batch_size(args) * launched_processes(args.kvstore)


def decay_epochs(args):
    """--lr-decay-epoch as a list of int."""
    try:
        return [int(epoch) for epoch in args.lr_decay_epoch.split(",") if epoch.strip()]
    except ValueError:
        raise UserError(f"--lr-decay-epoch {args.lr_decay_epoch}: give epochs with commas between, as 100,150") from None


def per_channel(flag, text, channels=3):
    """Numbers with commas between, one per channel, as --rgb-mean and --rgb-std have them."""
    try:
        values = tuple(float(value) for value in text.split(","))
        if len(values) != channels:
            raise ValueError
    except ValueError:
        raise UserError(f"{flag} {text}: give " + ("three numbers with commas" if channels == 3 else "one number")) from None
    return values


def keywords(flag, words):
    """`["width=4", "last_bn=True"]` as a dict; values are Python's literals, anything else is text.

    Raises
    ------
    UserError
        If a word is not NAME=VALUE.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name.isidentifier()):
            raise UserError(f"{flag} {word}: give NAME=VALUE, as width=4")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def split_at_dashes(argv):
    """The words before `--` and those after it."""
    if "--" in argv:
        at = argv.index("--")
        return argv[:at], argv[at + 1:]
    return argv, []
