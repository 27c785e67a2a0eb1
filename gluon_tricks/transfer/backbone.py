"""A classifier of this kit as the base of a detector or a segmentation net (§6).

The heads are GluonCV's; the base is any ResNet of `models/resnet.py`. Children have the names of GluonCV's
own detectors and FCNs, and so have parameters in `.params` files: files of either load in the other.
"""

from functools import partial

import mxnet as mx
from mxnet.gluon import nn

from gluon_tricks.errors import UserError
from gluon_tricks.models.initializers import imagenet_initializer
from gluon_tricks.models.loading import load_params, load_pretrained
from gluon_tricks.models.names import RESNETS
from gluon_tricks.models.registry import get_model
from gluon_tricks.parameters import named_parameters

# Names of bases in GluonCV's segmentation scripts
SHORT_NAMES = {"resnet18": "resnet18_v1b", "resnet34": "resnet34_v1b", "resnet50": "resnet50_v1s",
               "resnet101": "resnet101_v1s", "resnet152": "resnet152_v1s"}


def base_network(flag, name, dilated=False, frozen_norm=False, norm_layer=nn.BatchNorm):
    """A ResNet of this kit, not initialised.

    Parameters
    ----------
    flag : str
        The flag with the name, for messages.
    name : str
        As `resnet50_v1d`, or GluonCV's short `resnet50`, which is v1s.
    dilated : bool
        Stages 3 and 4 keep height and width and dilate their convolutions: the total stride is 8.
    frozen_norm : bool
        BatchNorm uses its running statistics also in training.
    norm_layer : callable

    Raises
    ------
    UserError
        If there is no such ResNet, or it has no dilated or frozen form.
    """
    name = SHORT_NAMES.get(name, name).lower()
    if name not in RESNETS:
        raise UserError(f"{flag} {name}: is no ResNet of this kit; there are {', '.join(RESNETS)}")
    if name.endswith("_gn") and (frozen_norm or norm_layer is not nn.BatchNorm):
        raise UserError(f"{flag} {name}: has no BatchNorm to freeze or to synchronise; use {name[:-3]}")
    counts_layers = name.endswith("_v1")
    if counts_layers and dilated:
        raise UserError(f"{flag} {name}: has no dilated form, as in GluonCV; use {name}b")
    kwargs = {}
    if not name.endswith("_gn"):
        layer = norm_layer
        if counts_layers and frozen_norm:
            layer = partial(norm_layer, use_global_stats=True)
        elif frozen_norm:
            kwargs["use_global_stats"] = True
        kwargs["norm_layer"] = layer
    if not counts_layers:
        kwargs["dilated"] = dilated
    return get_model(name, **kwargs)


def start_base(base, name, init="gluoncv", params_file="", pretrained=False, flag="--backbone-params"):
    """Set a base network's initial weights: from a classifier's `.params`, from GluonCV's zoo, or drawn.

    The classifier's last layer is not loaded, so it may have any number of classes.

    Returns
    -------
    str
        The source of the weights, for the log.

    Raises
    ------
    UserError
        If the file is not one of this network, or the zoo cannot be reached.
    """
    name = SHORT_NAMES.get(name, name).lower()
    base.initialize(imagenet_initializer(init))
    if not params_file:
        if pretrained:
            try:
                load_pretrained(base, name)
            except UserError as error:
                raise UserError(f"{error}; {flag} FILE loads your own weights, --no-pretrained-base draws "
                                "them") from error
            return f"base: GluonCV's weights of {name}"
        return f"base: drawn ({init})"
    last_layer = [key for key in named_parameters(base) if key.startswith(("fc.", "output."))]
    load_params(base, flag, params_file, mx.cpu(), last_layer)
    return f"base: {params_file}"


def parts_of(base):
    """`(stem, stages)` of a ResNet of this kit: the four layers of the input stem, and the four stages."""
    if hasattr(base, "layer1"):
        return ([base.conv1, base.bn1, base.relu, base.maxpool],
                [base.layer1, base.layer2, base.layer3, base.layer4])
    layers = list(base.features._children.values())        # v1 counts its layers
    return layers[:4], layers[4:8]


def width_of(stage):
    """Number of output channels of a stage."""
    return [part for part in _descendants(stage) if hasattr(part, "gamma")][-1].gamma.shape[0]


def _descendants(block):
    for child in block._children.values():
        yield child
        yield from _descendants(child)


def freeze(blocks, only_norms=False):
    """Exclude the parameters of blocks from training.

    With `only_norms` only those of normalization layers.
    """
    for block in blocks:
        for part in ([block, *_descendants(block)] if only_norms else [block]):
            if only_norms and not hasattr(part, "gamma"):
                continue
            for param in part.collect_params().values():
                param.grad_req = "null"
