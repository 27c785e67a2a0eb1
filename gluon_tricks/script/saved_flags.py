"""Flags of `evaluate` and `export` that name a saved net, completed from the record of its run."""

import json

from gluon_tricks.data.cifar_sets import DATASETS, Augmentation
from gluon_tricks.errors import UserError
from gluon_tricks.models.from_flags import net_keywords
from gluon_tricks.models.sizes import natural_size
from gluon_tricks.saved.net import SavedNet
from gluon_tricks.saved.record import find_run
from gluon_tricks.script.flags import completed, flag_name, keywords, per_channel


def add_model_flags(parser):
    """Add the flags that name the net; returns their group."""
    group = parser.add_argument_group("Model")
    group.add_argument("--model", help="a name of this kit or of GluonCV's zoo, such as resnet50_v1d")
    group.add_argument("--params-file", metavar="FILE", help="its parameters (default: --pretrained)")
    group.add_argument("--run-json", metavar="FILE",
                       help="record of the train_cifar.py run that wrote the parameters: its run.json or "
                            "resume file (default: the one next to the parameters, if any); it replaces the "
                       "flags that are not given")
    group.add_argument("--model-kwargs", nargs="*", default=[], metavar="NAME=VALUE",
                       help="further arguments of the net, as in train_cifar.py; drop_rate=RATE too")
    group.add_argument("--pretrained", action="store_true", help="GluonCV's published weights (downloaded)")
    group.add_argument("--classes", type=int,
                       help="width of the classifier (default: as in the parameter file)")
    group.add_argument("--use-gn", action="store_true", help="GroupNorm instead of BatchNorm")
    group.add_argument("--input-size", type=int,
                       help="side of the images in pixels (default: the net's; 224 for most)")
    return group


def add_normalisation_flags(group):
    """Add the flags for the normalisation of the net's images."""
    group.add_argument("--augment", choices=("gluoncv", "follow-up"),
                       help="--augment of the train_cifar.py run; follow-up normalises by ImageNet's mean "
                            "and deviation (default: from the run's record, else gluoncv)")
    group.add_argument("--rgb-mean", metavar="R,G,B",
                       help="channel means, 0..255; one number for grey images (default: GluonCV's for the "
                            "data set)")
    group.add_argument("--rgb-std", metavar="R,G,B",
                       help="channel deviations, 0..255; one number for grey images (default: GluonCV's for "
                            "the data set)")


def channels_of(dataset):
    """Channels of the images in a data set; 3 for those that train_cifar.py does not know."""
    return DATASETS[dataset].channels if dataset in DATASETS else 3


def saved_net_of(args):
    """The completed arguments as a `SavedNet`."""
    return SavedNet(args.model, args.params_file, args.classes, args.use_gn, args.keywords, args.input_size,
                    channels_of(args.dataset))


def complete_by_run(args, other_datasets=()):
    """Complete the flags from the record of the training.

    Parameters
    ----------
    args : Namespace
    other_datasets : sequence of str
        Values of --dataset that train_cifar.py does not have; they cannot contradict a record.

    Returns
    -------
    args : Namespace
        `model`, `dataset` and `augment` are those given or recorded, else None; `keywords` are the arguments
        of `get_model` other than the number of classes; `run_json` is the path of the record or None.
    run : TrainedRun or None

    Raises
    ------
    UserError
        If a flag contradicts the record.
    """
    if args.run_json and not args.params_file:
        raise UserError(f"--run-json {args.run_json}: is the record of a --params-file; give that too")
    run = find_run(args.params_file, args.run_json) if args.params_file else None
    given = keywords("--model-kwargs", args.model_kwargs)
    if run is None:
        drop_rate = given.pop("drop_rate", 0.0)
        found = net_keywords(args.model, channels_of(args.dataset), given, drop_rate) if args.model else {}
        return completed(args, keywords=found, run_json=None), None
    is_other = args.dataset in other_datasets
    _refuse_contradictions(args, run, given, is_other)
    if is_other and DATASETS[run.dataset].channels == 1:
        raise UserError(f"--dataset {args.dataset}: --params-file {args.params_file} is of a net for the "
                        f"grey images of {run.dataset}")
    return completed(args, model=run.model, dataset=args.dataset or run.dataset, augment=run.augment,
                   keywords=run.keywords, run_json=str(run.path)), run


def _refuse_contradictions(args, run, model_kwargs, is_other_dataset):
    """Raise UserError for flags whose value differs from the record."""
    dataset = None if is_other_dataset or not args.dataset else args.dataset.removesuffix("-excerpt")
    recorded_kwargs = {"drop_rate": run.drop_rate, **run.model_kwargs} if run.drop_rate else run.model_kwargs
    for flag, given, recorded in (("--model", args.model and args.model.lower(), run.model.lower()),
                                  ("--dataset", dataset, run.dataset.removesuffix("-excerpt")),
                                  ("--augment", args.augment, run.augment),
                                  ("--model-kwargs", _words(model_kwargs) or None,
                                   _words(recorded_kwargs) or "none")):
        if given not in (None, recorded):
            raise UserError(f"{flag} {given}: the run that left {args.params_file} had {recorded}, as "
                            f"{run.path} says; leave the flag out")


def _words(values):
    """The text of keywords for --model-kwargs; the same for tuples and lists."""
    return " ".join(f"{name}={json.dumps(value)}" for name, value in sorted(values.items()))


def complete_normalisation(args, run):
    """Complete the normalisation for a data set of train_cifar.py: from the flags, the record, or GluonCV.

    Adds `normalisation`, (mean, deviation) on the scale 0..1; `rgb_mean` and `rgb_std` are the same on
    0..255.
    """
    defaults = Augmentation(colors=args.augment == "follow-up").normalisation(args.dataset)
    shown, exact = {}, []
    for name, default in zip(("rgb_mean", "rgb_std"), defaults):
        flag, given, rounded = flag_name(name), getattr(args, name), tuple(round(255 * x, 4) for x in default)
        shown[name] = per_channel(flag, given, len(default)) if given else rounded
        if run and shown[name] != rounded:
            raise UserError(f"{flag} {given}: the run that left {args.params_file} had "
                            f"{','.join(map(str, rounded))}, as {run.path} says; leave the flag out")
        # If the flag repeats the default, keep the default's digits: `rounded` has fewer
        exact.append(default if shown[name] == rounded else tuple(x / 255 for x in shown[name]))
    return completed(args, normalisation=tuple(exact), **shown)


def parse_normalisation(args, mean=None, std=None):
    """Turn --rgb-mean and --rgb-std into tuples of three numbers; `mean` and `std` are the defaults."""
    values = {name: per_channel(flag_name(name), getattr(args, name)) if getattr(args, name) else default
              for name, default in (("rgb_mean", mean), ("rgb_std", std))}
    return completed(args, **values)


def complete_model_flags(args):
    """Check the model flags and fill in the image size."""
    if not args.model:
        raise UserError("--model: give the name of the net; python -m gluon_tricks models lists this kit's")
    if args.pretrained and args.params_file:
        raise UserError("--params-file and --pretrained: give one")
    if args.input_size is not None:
        return args
    known = DATASETS.get(args.dataset)
    return completed(args, input_size=known.side if known else natural_size(args.model.lower()))
