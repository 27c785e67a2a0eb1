"""Fine-tuning: start from the parameters of another task, and train a part of the net. Not in the paper.

The head is the layer that gives the classes. Names are structural ones, those of `.params` files.
"""

import mxnet as mx

from gluon_tricks.errors import UserError
from gluon_tricks.parameters import batch_norms, named_parameters

BACKBONE = "backbone"            # in place of a name: all but the head


def head_names(make):
    """Names of the head's parameters: those whose shape depends on the number of classes.

    Parameters
    ----------
    make : callable, (classes=) -> HybridBlock
    """
    with mx.name.NameManager():            # does not change the numbers in the names of later blocks
        seven, eight = (named_parameters(make(classes=classes)) for classes in (7, 8))
    return [name for name in seven if seven[name].shape != eight[name].shape]


def freeze(net, prefixes, head, norms=False):
    """Exclude parameters from training; call it before the net is compiled.

    Parameters
    ----------
    prefixes : sequence of str
        Beginnings of names, at whole parts: `layer1` is `layer1.0.conv1.weight` but not `layer10.weight`. Or
        `backbone`: all but the head. BatchNorm's running statistics still follow the images.
    head : sequence of str
        As from `head_names`.
    norms : bool
        BatchNorm layers are not trained and normalise by their running statistics, which stay as they are.

    Raises
    ------
    UserError
        If a prefix is that of no parameter, there is no BatchNorm, or nothing is left to train.
    """
    trained = {name: param for name, param in named_parameters(net).items() if param.grad_req != "null"}
    for prefix in prefixes:
        inside = [name for name in trained if name not in head] if prefix == BACKBONE else [
            name for name in trained if f"{name}.".startswith(f"{prefix.rstrip('.')}.")]
        if not inside:
            raise UserError(f"--freeze {prefix}: this model trains no parameter whose name begins so; give "
                            f"{BACKBONE} or one of {', '.join(_first_parts(trained))}")
        for name in inside:
            trained[name].grad_req = "null"
    layers = batch_norms(net) if norms else []
    if norms and not layers:
        raise UserError("--freeze-norm: this model has no BatchNorm; leave it out")
    for layer in layers:
        layer._kwargs["use_global_stats"] = True
        layer.gamma.grad_req = layer.beta.grad_req = "null"
    if all(param.grad_req == "null" for param in trained.values()):
        raise UserError(f"--freeze {' '.join(prefixes)}: nothing is left to train; freeze less")


def _first_parts(names):
    """The first parts of names; with the second ones if there are only two or fewer, as in `features.0`."""
    parts = list(dict.fromkeys(name.partition(".")[0] for name in names))
    if len(parts) > 2:
        return parts
    return list(dict.fromkeys(".".join(name.split(".")[:-1][:2]) for name in names))


def set_rate(net, names, factor):
    """Train these parameters with `factor` times the schedule's rate; call it before the first update."""
    params = named_parameters(net)
    for name in names:
        params[name].lr_mult = factor
