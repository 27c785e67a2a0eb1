"""A net with saved parameters: where `evaluate` and `export` start."""

import json
import warnings
from functools import partial
from pathlib import Path

import mxnet as mx
from mxnet import gluon, nd

from gluon_tricks.cifar_net import find_run, make_net, net_keywords
from gluon_tricks.data.cifar import DATASETS, Augmentation
from gluon_tricks.errors import UserError
from gluon_tricks.models import GroupNorm
from gluon_tricks.models_command import natural_size
from gluon_tricks.script import keywords, load_params, make_ready, per_channel


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


def open_net(args, engine, dtype="float32", data_classes=None):
    """The net that the flags name, with its parameters, compiled.

    Parameters
    ----------
    args : Namespace
        As `check_model_flags` leaves it.
    data_classes : int, optional
        How many classes the data have.

    Returns
    -------
    net : HybridBlock
    classes : int

    Raises
    ------
    UserError
        If the file is of another net, or flags, file, data and net disagree about the number of classes.
    """
    if args.classes and data_classes and args.classes != data_classes:
        raise UserError(f"--classes {args.classes}: the data have {data_classes}")
    model = partial(make_net, args.model, keywords=args.keywords, **({"norm_layer": GroupNorm} if args.use_gn else {}))
    if args.params_file:
        saved = read_shapes(args.params_file)
        classes = _agreed_classes(args, model, saved, data_classes)
        with mx.name.NameManager():        # Gluon numbers its blocks anew, so that equal nets have equal names
            net = model(classes=classes)
        _check_names(args, net, saved)
        load_params(net, "--params-file", args.params_file, engine)
    else:
        net = model(classes=None, pretrained=True)
        net.collect_params().reset_ctx(engine.ctx)
    if dtype == "float16":
        net.cast("float16")
    classes = run_once(net, args, dtype, engine)
    for said, source in _said(args, data_classes):
        if said != classes:
            raise UserError(f"--model {args.model}: has {classes} outputs, {source} {said}")
    return net, classes


def import_symbol(prefix, ctx=None):
    """The net in MXNet's PREFIX-symbol.json and PREFIX-0000.params, as `export --format symbol` writes them."""
    symbol, params = (Path(f"{prefix}{end}").expanduser() for end in ("-symbol.json", "-0000.params"))
    for path in (symbol, params):
        if not path.is_file():
            raise UserError(f"--model-prefix {prefix}: {path} does not exist")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Cannot decide type")    # of the images; it is float32
        try:
            return gluon.SymbolBlock.imports(str(symbol), ["data"], str(params), ctx=ctx)
        except (AssertionError, ValueError, RuntimeError, mx.MXNetError) as error:
            raise UserError(f"--model-prefix {prefix}: cannot be read ({_reason(error)})") from error


def run_once(net, args, dtype, engine):
    """Compile the net for images of the given size; how many outputs it has."""
    try:
        channels = channels_of(args)
        make_ready(net, args.input_size, dtype, "hybrid", engine, channels)
        output = net(mx.sym.Variable("data"))
        if isinstance(output, (list, tuple)):
            raise UserError(f"--model {args.model}: has {len(output)} outputs beside each other; only nets with one are for "
                            f"this")
        _, [(_, classes)], _ = output.infer_shape(data=(1, channels, args.input_size, args.input_size))
    except mx.MXNetError as error:
        raise UserError(f"--input-size {args.input_size}: model {args.model} takes no such images "
                        f"({_reason(error)})") from error
    return classes


def read_shapes(path):
    """{name: shape} of the arrays in a `.params` file."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"--params-file {path}: does not exist")
    try:
        saved = nd.load(str(path))
    except (mx.MXNetError, ValueError) as error:
        raise UserError(f"--params-file {path}: is no parameter file, or a damaged one ({_reason(error)})") from error
    if not isinstance(saved, dict) or not saved:
        raise UserError(f"--params-file {path}: holds arrays without names, so no net's parameters")
    return {name: array.shape for name, array in saved.items()}


def classes_in(saved, model):
    """How many classes the classifier in a file has; None if that does not show.

    The classifier is what differs between a net of 7 classes and one of 8.

    Parameters
    ----------
    saved : dict of tuple
        As from `read_shapes`.
    model : callable, (classes=) -> HybridBlock
    """
    try:
        seven, eight = (model(classes=classes)._collect_params_with_prefix() for classes in (7, 8))
    except UserError:                      # a net of GluonCV's that takes no classes
        return None
    widths = {saved[name][0] for name in seven if name in saved and seven[name].shape != eight[name].shape}
    return widths.pop() if len(widths) == 1 else None


def _agreed_classes(args, model, saved, data_classes):
    """The number of classes in the file, which flags and data must not contradict; None for the net's own."""
    found = classes_in(saved, model)
    for said, source in _said(args, data_classes):
        if found and said != found:
            raise UserError(f"--params-file {args.params_file}: its classifier has {found} classes, {source} {said}")
    return found or args.classes


def _said(args, data_classes):
    """`(number of classes, who says so)`, where it is said."""
    return [(said, source) for said, source in ((args.classes, "--classes says"), (data_classes, "the data have")) if said]


def _check_names(args, net, saved):
    """Refuse another net's file; files with Gluon names, as old scripts wrote them, are left to MXNet to judge."""
    names = net._collect_params_with_prefix()
    missing, more = ([name for name in one if name not in other] for one, other in ((names, saved), (saved, names)))
    if (missing or more) and any("." in name for name in saved):
        raise UserError(f"--params-file {args.params_file}: is of another net than --model {args.model}: "
                        + (f"{missing[0]} and {len(missing) - 1} more of {len(names)} parameters are not in it" if missing
                           else f"it also has {more[0]} and {len(more) - 1} more"))


def _reason(error):
    """What went wrong, without MXNet's traceback."""
    last = (str(error).strip() or type(error).__name__).splitlines()[-1]
    return last.rpartition("Check failed: ")[2].rpartition("Error: ")[2]
