"""A net with saved parameters: where `evaluate` and `export` start."""

import warnings
from functools import partial
from pathlib import Path

import mxnet as mx
from mxnet import gluon, nd

from gluon_tricks.errors import UserError
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.from_flags import make_net
from gluon_tricks.models.ready import load_params, make_ready
from gluon_tricks.saved.flags import channels_of


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
