"""The record next to the file of --init-params: it names the net and the preparation of its images.

Of the net nothing can be changed, so flags that contradict the record are refused. Size and normalisation of
the images may be changed by flags, as other images may need it; the log warns of it.
"""

from gluon_tricks.errors import UserError
from gluon_tricks.saved.record import CLASSIFICATION, find_run
from gluon_tricks.script.flags import completed

ZOO = "zoo"
IMAGES = ("input_size", "crop_ratio", "rgb_mean", "rgb_std")
SWITCHES = ("use_se", "fix_use_se", "use_gn", "batch_norm")          # of train_imagenet.py
NO_EFFECT = ("in_channels", "drop_rate")                             # on the names and shapes of parameters


def init_run(path, flag="--init-params"):
    """The `TrainedRun` of a parameter file; None for the zoo, for no file, and for one without a record.

    Raises
    ------
    UserError
        If it was no classifier.
    """
    run = find_run(path) if path and path != ZOO else None
    if run and run.net.task != CLASSIFICATION:
        raise UserError(f"{flag} {path}: is a net for {run.net.task}, as {run.path} says; give a classifier")
    return run


def with_imagenet_record(args, given):
    """The flags of train_imagenet.py with the net and images of --init-params where no flag states them.

    Parameters
    ----------
    given : set of str
        Flags on the command line.
    """
    run = init_run(args.init_params)
    if run is None:
        return args
    changes = {name: getattr(run.net, name) for name in ("model", *IMAGES)}
    changes.update({name: True for name in SWITCHES if run.net.switches.get(name)})
    return completed(args, **{name: value for name, value in changes.items() if name not in given})


def with_cifar_record(args, no_model):
    """The flags of train_cifar.py with the net of --init-params where no flag states it.

    Parameters
    ----------
    no_model : str
        The default of --model.
    """
    run = init_run(args.init_params)
    if run is None:
        return args
    words = [f"{name}={value!r}" for name, value in run.net.switches.items() if name not in NO_EFFECT]
    return completed(args, model=run.net.model if args.model == no_model else args.model,
                     model_kwargs=args.model_kwargs or words)


def check_net(flag, path, run, model, switches=None):
    """Refuse a file whose record is of another net.

    Parameters
    ----------
    switches : dict, optional
        Arguments of the net in training; None: they are not compared.
    """
    from gluon_tricks.models.registry import published_name  # here: flags are read without MXNet

    theirs = published_name(run.net.model, run.net.switches.get("use_se"))
    ours = published_name(model, (switches or {}).get("use_se"))
    if theirs != ours:
        raise UserError(f"{flag} {path}: is of a {run.net.model}, as {run.path} says, not of a {model}; give "
                        "the file of such a net")
    theirs, ours = (kept_words(found) for found in (run.net.switches, switches or {}))
    if switches is not None and theirs != ours:
        raise UserError(f"{flag} {path}: its {model} was made with {theirs or 'no further arguments'}, as "
                        f"{run.path} says, this one with {ours or 'none'}; give the same")


def kept_words(switches):
    """The text of the arguments that decide parameters, without those that are part of the model's name."""
    return " ".join(f"{name}={value}" for name, value in sorted(switches.items())
                    if value and name not in (*NO_EFFECT, "use_se", "fix_use_se"))
