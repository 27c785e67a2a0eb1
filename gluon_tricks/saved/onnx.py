"""A net as an ONNX model, by MXNet 1.9.1's own translation (`mxnet.onnx`), corrected in five points.

    opset       MXNet writes operators of opsets 12 and 13 under the number of the newest opset that the
                installed onnx knows, and onnx rejects its ReduceMean since opset 18. The model has number 13.
    weights     are not inputs of the graph: as inputs, ONNX Runtime cannot fold BatchNorms into them.
                Two images of resnet50_v1d took 0.215 s of processor time; now 0.165 s (one thread, best of
                15).
    speed       Weights are copied as bytes, not as Python numbers: 1.1 s instead of 5 s for resnet50_v1d.
    GroupNorm   has no translation in MXNet; ONNX's InstanceNormalization on (N, G, rest) computes the same.
    fixed gamma A BatchNorm with `fix_gamma` computes with 1, but MXNet writes the values in its gamma.

Shake-shake nets are written as they predict: the mean of the branches, without random numbers.

The input is `data`, float32, shape (batch, C, H, W) with any batch; the output has shape (batch, classes).
"""

import json
from contextlib import contextmanager

import mxnet as mx
import numpy as np

from gluon_tricks import __version__
from gluon_tricks.errors import UserError
from gluon_tricks.models.cifar_shake_shake import predicting
from gluon_tricks.program import pip_command

OPSET, IR_VERSION = 13, 7        # IR version 7 is opset 13's own
REMEDY = f"make onnx, or {pip_command('onnx')}"


def to_onnx(net, size, output="logits", metadata=None, channels=3):
    """Translate a net.

    Parameters
    ----------
    net : HybridBlock
        Initialised, in float32.
    size : int
        Height and width of the images in pixels.
    output : str
        Name of the output.
    metadata : dict of str
        For the model's `metadata_props`.
    channels : int
        Of the images.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    UserError
        If onnx is not installed, or MXNet cannot translate an operator of the net.
    """
    onnx = import_onnx()
    with predicting(net):
        symbol = net(mx.sym.Variable("data"))
    parameters = {parameter.name: parameter.data().as_in_context(mx.cpu())
                  for parameter in net.collect_params().values()}
    fix_gammas(symbol, parameters)
    graph = translate(onnx, symbol, parameters, (channels, size, size))
    weights = {weight.name for weight in graph.initializer}
    inputs = [given for given in graph.input if given.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    _, [(_, classes)], _ = symbol.infer_shape(data=(1, channels, size, size))
    name_output(onnx, graph, output, classes)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)],
                                   ir_version=IR_VERSION, producer_name="gluon_tricks",
                                   producer_version=__version__)
    onnx.helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model, full_check=True)
    return model


def import_onnx():
    """The package `onnx`, with MXNet's translator extended."""
    try:
        import onnx
        from onnx import checker, numpy_helper  # noqa: F401
    except ImportError as error:
        raise UserError(f"--format onnx: the package onnx cannot be imported ({error}); {REMEDY}") from error
    register_translations(onnx)
    return onnx


def translate(onnx, symbol, parameters, image_shape):
    """MXNet's translation of a symbol as an `onnx.GraphProto`, its batch size left open."""
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph

    try:
        with checked_as(onnx, OPSET):
            return MXNetGraph().create_onnx_graph_proto(
                symbol, parameters, [(1, *image_shape)], [onnx.TensorProto.FLOAT], opset_version=OPSET,
                dynamic=True, dynamic_input_shapes=[("batch", *image_shape)])
    except (AttributeError, NotImplementedError, AssertionError) as error:   # raised by MXNet's translations
        raise UserError(f"--format onnx: MXNet 1.9.1 cannot translate this net "
                        f"({', '.join(map(str, error.args))}); --format symbol can export it") from error


@contextmanager
def checked_as(onnx, opset):
    """Let onnx check graphs, which carry no opset, by the rules of this one instead of its newest."""
    context = onnx.checker.DEFAULT_CONTEXT
    before = dict(context.opset_imports)
    context.opset_imports = {"": opset}
    try:
        yield
    finally:
        context.opset_imports = before


def fix_gammas(symbol, parameters):
    """Put ones in place of the gammas that BatchNorms with `fix_gamma` ignore."""
    nodes = json.loads(symbol.tojson())["nodes"]
    for node in nodes:
        if node["op"] == "BatchNorm" and node["attrs"].get("fix_gamma", "True") == "True":
            name = nodes[node["inputs"][1][0]]["name"]
            parameters[name] = mx.nd.ones_like(parameters[name])


def name_output(onnx, graph, name, classes):
    """Give the graph's only output a name, and the shape (batch, classes) that MXNet's translation leaves
    open."""
    old = graph.output[0].name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [name if one == old else one for one in names]
    graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT,
                                                                ("batch", classes)))


# --- Translations of our own --------------------------------------------------------------------------------

def register_translations(onnx):
    """Register our translations with MXNet's translator; may be repeated."""
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph

    make_node, from_array = onnx.helper.make_node, onnx.numpy_helper.from_array

    @MXNetGraph.register("null", OPSET)
    def input_or_weight(node, **kwargs):
        name = node["name"]
        if kwargs["is_input"]:
            shape, kind = kwargs["in_shape"], np.dtype(np.float32)
        else:
            array = np.ascontiguousarray(kwargs["weights"][name])
            kwargs["initializer"].append(from_array(array, name))
            shape, kind = array.shape, array.dtype
        element = onnx.helper.np_dtype_to_tensor_dtype(kind)
        return [onnx.helper.make_tensor_value_info(name, element, shape)], (kind,)

    @MXNetGraph.register("GroupNorm", OPSET)
    def group_norm(node, **kwargs):
        """Gamma and beta have one entry per group, as in MXNet's operator."""
        name, attributes = node["name"], node["attrs"]
        data, gamma, beta = (
            kwargs["outputs_lookup"][source][output].name for source, output, *_ in node["inputs"])
        groups = int(attributes["num_groups"])
        kwargs["initializer"].append(from_array(np.array([0, groups, -1], np.int64), f"{name}_grouped"))
        return [make_node("Shape", [data], [f"{name}_shape"]),
                # (N, G, C / G x H x W)
                make_node("Reshape", [data, f"{name}_grouped"], [f"{name}_groups"]),
                make_node("InstanceNormalization", [f"{name}_groups", gamma, beta], [f"{name}_normal"],
                          epsilon=float(attributes.get("eps", 1e-5))),
                # (N, C, H, W)
                make_node("Reshape", [f"{name}_normal", f"{name}_shape"], [name], name=name)]
