"""Flags of the commands that open a saved net, completed from the record of its run."""

import json

from gluon_tricks.data.cifar_sets import DATASETS, Augmentation
from gluon_tricks.errors import UserError
from gluon_tricks.models.from_flags import net_keywords
from gluon_tricks.models.sizes import natural_size
from gluon_tricks.saved.record import find_run
from gluon_tricks.script.flags import keywords, per_channel


def add_model_flags(parser):
    """The flags that say which net; `check_model_flags` completes them."""
    group = parser.add_argument_group("Model")
    group.add_argument("--model", help="a name of this kit or of GluonCV's zoo, as resnet50_v1d")
    group.add_argument("--params-file", metavar="FILE", help="its parameters (default: --pretrained)")
    group.add_argument("--run-json", metavar="FILE",
                       help="record of the train_cifar.py run that left them: its run.json or resume file (default: one of "
                            "these beside them, where there is one); it says what the flags leave open")
    group.add_argument("--model-kwargs", nargs="*", default=[], metavar="NAME=VALUE",
                       help="what the net was made with besides, as in train_cifar.py; drop_rate=RATE too")
    group.add_argument("--pretrained", action="store_true", help="GluonCV's published weights (downloaded)")
    group.add_argument("--classes", type=int, help="width of the classifier (default: as in the parameter file)")
    group.add_argument("--use-gn", action="store_true", help="GroupNorm instead of BatchNorm")
    group.add_argument("--input-size", type=int, help="side of the images in pixels (default: the net's; 224 for most)")
    return group


def add_normalisation_flags(group):
    """The flags that say how the images that the net takes are normalised; `check_model_flags` completes them."""
    group.add_argument("--augment", choices=("gluoncv", "follow-up"),
                       help="what train_cifar.py was given: follow-up normalises by ImageNet's mean and deviation (default: "
                            "as the run's record says, else gluoncv)")
    group.add_argument("--rgb-mean", metavar="R,G,B",
                       help="channel means, 0..255; of grey images one number (default: GluonCV's for the kind of data)")
    group.add_argument("--rgb-std", metavar="R,G,B", help="channel deviations, 0..255 (default: likewise)")


def settle_by_run(args, others=()):
    """Let the record of a training complete the flags, which must not contradict it.

    Afterwards `model`, `dataset` and `augment` hold what was said, else what is recorded, else None; `keywords` is what
    `get_model` takes besides the number of classes.

    Parameters
    ----------
    args : Namespace
    others : sequence of str
        Values of `dataset` besides those of train_cifar.py, which say nothing of the training.

    Returns
    -------
    TrainedRun or None

    Raises
    ------
    UserError
    """
    if args.run_json and not args.params_file:
        raise UserError(f"--run-json {args.run_json}: says how --params-file was made; give that too")
    run = find_run(args.params_file, args.run_json) if args.params_file else None
    given = keywords("--model-kwargs", args.model_kwargs)
    if run:
        foreign = args.dataset in others
        recorded = {"drop_rate": run.drop_rate, **run.model_kwargs} if run.drop_rate else run.model_kwargs
        for flag, said, known in (
                ("--model", args.model and args.model.lower(), run.model.lower()),
                ("--dataset", None if foreign or not args.dataset else args.dataset.removesuffix("-excerpt"),
                 run.dataset.removesuffix("-excerpt")),
                ("--augment", args.augment, run.augment),
                ("--model-kwargs", _words(given) or None, _words(recorded) or "none")):
            if said not in (None, known):
                raise UserError(f"{flag} {said}: the run that left {args.params_file} had {known}, as {run.path} says; "
                                f"leave the flag out")
        args.model, args.augment = run.model, run.augment
        args.dataset = args.dataset or run.dataset
        if foreign and DATASETS[run.dataset].channels == 1:
            raise UserError(f"--dataset {args.dataset}: --params-file {args.params_file} is of a net for the grey images of "
                            f"{run.dataset}")
        args.keywords = run.keywords
    elif args.model:
        args.keywords = net_keywords(args.model, channels_of(args), given, given.pop("drop_rate", 0.0))
    args.run_json = str(run.path) if run else None
    return run


def _words(values):
    """Keywords as --model-kwargs takes them; tuples and lists are alike."""
    return " ".join(f"{name}={json.dumps(value)}" for name, value in sorted(values.items()))


def settle_normalisation(args, run):
    """How images of a data set of train_cifar.py are normalised, by the flags, the record or GluonCV.

    Afterwards `normalisation` is (mean, std) on the 0..1 scale, and `rgb_mean` and `rgb_std` are the same on 0..255.
    """
    defaults = Augmentation(colors=args.augment == "follow-up").normalisation(args.dataset)
    chosen = []
    for name, default in zip(("rgb_mean", "rgb_std"), defaults):
        flag, said, shown = f"--{name.replace('_', '-')}", getattr(args, name), tuple(round(255 * x, 4) for x in default)
        values = per_channel(flag, said, len(default)) if said else shown
        if run and values != shown:
            raise UserError(f"{flag} {said}: the run that left {args.params_file} had {','.join(map(str, shown))}, as "
                            f"{run.path} says; leave the flag out")
        setattr(args, name, values)
        chosen.append(default if values == shown else tuple(x / 255 for x in values))      # digits that rounding would lose
    args.normalisation = tuple(chosen)


def check_model_flags(args):
    """What can be wrong with these flags by themselves; fills in the image size."""
    if not args.model:
        raise UserError("--model: name the net; python -m gluon_tricks models lists this kit's own")
    if args.pretrained and args.params_file:
        raise UserError("--params-file and --pretrained: give one")
    for name in ("classes", "input_size"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: must be at least 1")
    if args.input_size is None:
        known = DATASETS.get(args.dataset)
        args.input_size = known.side if known else natural_size(args.model.lower())


def channels_of(args):
    """Of the images that the net takes."""
    return DATASETS[args.dataset].channels if args.dataset in DATASETS else 3
