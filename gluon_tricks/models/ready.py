"""Make an initialised net ready for training or evaluation: precision, shapes, compilation."""

import mxnet as mx
from mxnet import nd

from gluon_tricks.compat import request_amx
from gluon_tricks.models import loading
from gluon_tricks.models.cpu_graph import speed_up
from gluon_tricks.models.float16_graph import emulated
from gluon_tricks.models.sizes import wrong_size
from gluon_tricks.parameters import settle_weights


def start_precision(dtype, amx=True):
    """Prepare the process for a type; call it before the model is made.

    bfloat16 patches MXNet's operators, and requests AMX if `amx`. Parameters, their gradients and BatchNorm's
    statistics stay in float32.
    """
    if dtype == "bfloat16":
        from mxnet.contrib import amp
        amp.init("bfloat16")
        if amx:
            request_amx()


def compute_dtype(dtype):
    """Type of images and activations for --dtype; bfloat16 nets take float32 and cast inside."""
    return "float16" if dtype == "float16" else "float32"


def load_params(net, flag, path, engine):
    """Load a parameter file that the user named with `flag`.

    Raises
    ------
    UserError
        If the file does not fit the net or cannot be read.
    """
    loading.load_params(net, flag, path, engine.ctx)


def make_ready(net, size, dtype, mode, engine, channels=3, what="the net"):
    """Run an initialised net once, so that every shape is known, and compile it if `mode` is "hybrid".

    Gives all processes the parameters of rank 0. On CPUs the graph is compiled with faster operators; in
    float16 it emulates a GPU's (`float16_graph`) and is compiled before its first call.

    Raises
    ------
    UserError
        If the net takes no images of this size; `what` names it, as `--model alexnet`.
    """
    on_cpus = all(ctx.device_type == "cpu" for ctx in engine.ctx)
    if on_cpus and dtype == "float16":
        assert mode == "hybrid", "only a compiled graph can be rewritten"
        speed_up(net, before=emulated)
        hybridize(net, mode)
    try:
        for ctx in engine.ctx:
            net(nd.zeros((1, channels, size, size), ctx=ctx, dtype=compute_dtype(dtype)))
        mx.nd.waitall()
    except (ValueError, mx.MXNetError) as error:
        raise wrong_size(what, size, error) from error
    engine.broadcast_parameters(net)
    settle_weights(net)
    if on_cpus:
        speed_up(net)
    hybridize(net, mode)


def hybridize(net, mode):
    """Compile the net, again if it was compiled before, if `mode` is "hybrid"."""
    if mode == "hybrid":
        net.hybridize(static_alloc=True, static_shape=True)
