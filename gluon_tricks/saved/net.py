"""A net with saved parameters, ready to be shown images."""

import warnings
from functools import partial
from pathlib import Path

import mxnet as mx
from mxnet import gluon

from gluon_tricks.errors import UserError
from gluon_tricks.files import open_file, parse_json
from gluon_tricks.models.fine_tuning import head_names
from gluon_tricks.models.from_flags import make_net
from gluon_tricks.models.loading import own_arrays, read_weights
from gluon_tricks.models.params_file import read_params
from gluon_tricks.models.ready import load_params, make_ready


def open_net(saved, engine, dtype="float32", data_classes=None):
    """Make a net, load its parameters and compile it.

    Parameters
    ----------
    saved : SavedNet
    data_classes : int, optional
        Number of classes in the data.

    Returns
    -------
    net : HybridBlock
    classes : int

    Raises
    ------
    UserError
        If the file is of another net, or flags, file, data and net disagree about the number of classes.
    """
    facts = saved.facts
    if not saved.run and facts.classes and data_classes and facts.classes != data_classes:
        raise UserError(f"--classes {facts.classes}: the data have {data_classes}")
    model = partial(make_net, facts.model, keywords=facts.switches)
    if saved.params_file:
        arrays = read_weights("--params-file", saved.params_file)
        classes = _agreed_classes(saved, model, arrays, data_classes)
        # Gluon numbers its blocks from 0, so that equal nets have equal names
        with mx.name.NameManager():
            net = model(classes=classes)
        _check_names(saved, net, arrays)
        load_params(net, "--params-file", saved.params_file, engine)
    else:
        net = model(classes=None, pretrained=True)
        net.collect_params().reset_ctx(engine.ctx)
    if dtype == "float16":
        net.cast("float16")
    classes = run_once(net, saved, dtype, engine)
    for count, source in _stated_classes(saved, data_classes):
        if count != classes:
            raise UserError(f"--model {facts.model}: has {classes} outputs, {source} {count}")
    return net, classes


def import_symbol(prefix, ctx=None):
    """The net in MXNet's PREFIX-symbol.json and PREFIX-0000.params, as `export --format symbol` writes
    them."""
    symbol, params = (Path(f"{prefix}{end}").expanduser() for end in ("-symbol.json", "-0000.params"))
    check_graph(f"--model-prefix {prefix}: ", symbol)
    read_params(f"--model-prefix {prefix}:", params)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Cannot decide type")    # of the images; it is float32
        try:
            return gluon.SymbolBlock.imports(str(symbol), ["data"], str(params), ctx=ctx)
        except (AssertionError, ValueError, RuntimeError, mx.MXNetError) as error:
            raise UserError(f"--model-prefix {prefix}: cannot be read ({_reason(error)})") from error


def check_graph(what, path):
    """Refuse a file that is no graph of MXNet: it would follow numbers of nodes that do not exist."""
    with open_file(what, path) as stream:
        try:
            graph = parse_json(stream.read())
            nodes, heads = graph["nodes"], graph["heads"]
            is_graph = all(isinstance(node["op"], str) and isinstance(node["name"], str)
                           and all(_names_node(entry, number) for entry in node["inputs"])
                           and all(isinstance(value, str) for value in node.get("attrs", {}).values())
                           for number, node in enumerate(nodes))
            is_graph &= all(_names_node(entry, len(nodes)) for entry in heads) and bool(heads)
            is_graph &= all(type(one) is int and 0 <= one < len(nodes) for one in graph["arg_nodes"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{what}{path}: is no graph of MXNet ({error!r})") from error
    if not is_graph:
        raise UserError(f"{what}{path}: is no graph of MXNet, or a damaged one")


def _names_node(entry, count):
    """Whether an entry `[node, output, version]` is of one of the first `count` nodes."""
    return all(type(one) is int and one >= 0 for one in entry) and 2 <= len(entry) <= 3 and entry[0] < count


def run_once(net, saved, dtype, engine):
    """Compile the net for images of the given size; returns its number of outputs."""
    size, model, channels = saved.facts.input_size, saved.facts.model, saved.facts.channels
    make_ready(net, size, dtype, "hybrid", engine, channels, f"--model {model}")
    output = net(mx.sym.Variable("data"))
    if isinstance(output, (list, tuple)):
        raise UserError(f"--model {model}: returns {len(output)} arrays; this command needs a net that "
                        "returns one")
    _, [(_, classes)], _ = output.infer_shape(data=(1, channels, size, size))
    return classes


def classes_in(arrays, model):
    """Number of classes of the classifier in a file; None if unknown.

    Parameters
    ----------
    arrays : dict of name -> array
        As from `read_weights`.
    model : callable, (classes=) -> HybridBlock
    """
    try:
        net, head = model(classes=7), head_names(model)
    except UserError:                      # some of GluonCV's nets take no number of classes
        return None
    arrays = own_arrays(arrays, net)
    widths = {len(arrays[name]) for name in head if name in arrays}
    return widths.pop() if len(widths) == 1 else None


def _agreed_classes(saved, model, arrays, data_classes):
    """The number of classes in the file, which flags and data must not contradict; None for the net's own."""
    found = classes_in(arrays, model)
    for count, source in _stated_classes(saved, data_classes):
        if found and count != found:
            raise UserError(f"--params-file {saved.params_file}: its classifier has {found} classes, "
                            f"{source} {count}")
    return found or saved.facts.classes


def _stated_classes(saved, data_classes):
    """`(number of classes, its source)` for each number that is stated."""
    says = f"{saved.run.path} says" if saved.run else "--classes says"
    stated = (saved.facts.classes, says), (data_classes, "the data have")
    return [(count, source) for count, source in stated if count]


def _check_names(saved, net, arrays):
    """Refuse another net's file."""
    names, found = net._collect_params_with_prefix(), set(own_arrays(arrays, net))
    missing = [name for name in names if name not in found]
    more = sorted(found - set(names))
    if not (missing or more):
        return
    difference = f"it also has {more[0]} and {len(more) - 1} more" if more else ""
    if missing:
        difference = f"{missing[0]} and {len(missing) - 1} more of {len(names)} parameters are not in it"
    raise UserError(f"--params-file {saved.params_file}: is of another net than --model {saved.facts.model}: "
                    f"{difference}")


def _reason(error):
    """The last line of an error, without MXNet's traceback."""
    last = (str(error).strip() or type(error).__name__).splitlines()[-1]
    return last.rpartition("Check failed: ")[2].rpartition("Error: ")[2]
