"""Number of parameters and multiply-adds of a net, as papers print them next to the accuracy."""

import json
import math
from ast import literal_eval
from typing import NamedTuple

from gluon_tricks.errors import UserError


def count_parameters(net):
    """Number of values in a net's parameters.

    Parameters
    ----------
    net : HybridBlock
        All shapes known: of our nets they are from the start, of GluonCV's after one forward.

    Returns
    -------
    (int, int)
        Trained values; and all values, with BatchNorm's running statistics and other fixed ones.

    Raises
    ------
    ValueError
        If a shape is still unknown.
    """
    trainable = with_statistics = 0
    for name, parameter in net.collect_params().items():
        if parameter.shape is None or 0 in parameter.shape:
            raise ValueError(f"the shape of {name} is still unknown: run one batch through the net first")
        size = math.prod(parameter.shape)
        with_statistics += size
        trainable += size if parameter.grad_req != "null" else 0
    return trainable, with_statistics


def count_multiply_adds(net, image_shape):
    """Multiply-adds of the convolutions and dense layers for one image, from inferred shapes.

    This is what the papers call FLOPs (3.8 G for ResNet-50 at 224x224); BatchNorm, pooling, activations and
    biases are not counted.

    Parameters
    ----------
    net : HybridBlock
    image_shape : (int, int, int)
        Channels, height, width.

    Returns
    -------
    int
    """
    return sum(layer.multiply_adds for layer in layer_sizes(net, image_shape))


class LayerSize(NamedTuple):
    """A convolution or dense layer."""

    weight: str          # Gluon name
    kind: str            # conv 3x3, stride 2
    output_shape: tuple  # of one image
    multiply_adds: int


def layer_sizes(net, image_shape):
    """The convolutions and dense layers of a net, in the order they are computed.

    Parameters
    ----------
    net : HybridBlock
    image_shape : (int, int, int)
        Channels, height, width.

    Returns
    -------
    list of LayerSize
    """
    import mxnet as mx

    graph = net(mx.sym.Variable("data"))
    internals = graph.get_internals()
    argument_shapes, output_shapes, _ = internals.infer_shape(data=(1, *image_shape))
    weight_shape = dict(zip(internals.list_arguments(), argument_shapes))
    output_shape = dict(zip(internals.list_outputs(), output_shapes))

    nodes = json.loads(graph.tojson())["nodes"]
    layers = []
    for node in nodes:
        if node["op"] in ("Convolution", "FullyConnected"):
            weight = nodes[node["inputs"][1][0]]["name"]
            outputs = output_shape[node["name"] + "_output"]
            per_output = math.prod(weight_shape[weight][1:])  # (out, in / groups, height, width) or (out, in)
            layers.append(LayerSize(weight, _kind(node), outputs[1:], per_output * math.prod(outputs)))
    return layers


def _kind(node):
    if node["op"] == "FullyConnected":
        return "dense"
    attributes = node["attrs"]
    height, width = literal_eval(attributes["kernel"])
    kind = f"conv {height}x{width}"
    for attribute, word in [("stride", "stride"), ("dilate", "dilation"), ("num_group", "groups")]:
        value = literal_eval(attributes.get(attribute, "1"))
        value = max(value) if isinstance(value, tuple) else value  # the same in both directions
        kind += f", {word} {value}" if value > 1 else ""
    return kind


def sizes_of(net, name, size, channels=3):
    """`layer_sizes` for images of size x size; afterwards GluonCV's nets, too, know all shapes."""
    import mxnet as mx

    shape = (channels, size, size)
    try:
        net.infer_shape(mx.nd.zeros((1, *shape)))
        return layer_sizes(net, shape)
    except (ValueError, mx.MXNetError) as error:
        raise wrong_size(f"--model {name}", size, error) from error


def wrong_size(what, size, error):
    """The `UserError` for a net that raised `error` on images of size x size; `what` names its flag and name.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    checks = [line for line in lines if "Check failed: " in line]
    reason = (checks or lines)[-1].strip().rstrip(":").rpartition(": ")[2]
    made_for = natural_size(what.split(" ")[-1].partition(":")[0].lower())
    return UserError(f"{what}: takes no images of {size}x{size} pixels ({reason}); it is made for "
                     f"{made_for}x{made_for}")


def giga(number):
    """Multiply-adds as the papers print them, with four digits."""
    return f"{number / 1e9:.4g} G"


def natural_size(name):
    """Height and width of the images a net is made for."""
    if name.startswith("cifar_"):
        return 32
    return 299 if name in ("inceptionv3", "xception", "xception71") else 224
