"""Nets whose every parameter shows, and what ONNX Runtime computes of them."""

from pathlib import Path

<<<<<<< HEAD
import mxnet as mx
import numpy as np
from mxnet import nd


def spread(net, seed=0, shape=None):
    """Initialise a net, every parameter off its starting value, so that one left out or mixed up shows. It has
    no room for gradients.

    `shape` is that of images, for nets whose parameters have none before the first ones.
    """
    mx.random.seed(seed)
    net.collect_params().setattr("grad_req", "null")
    net.initialize(mx.init.Xavier())
    if shape:
        net(nd.zeros(shape))
    rng = np.random.default_rng(seed)
    for key, parameter in net._collect_params_with_prefix().items():
        if key.endswith(("gamma", "running_var")):
            parameter.set_data(nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
        elif key.endswith(("beta", "bias", "running_mean")):
            parameter.set_data(nd.array(rng.normal(0, 0.2, parameter.shape)))
    return net
=======
from gluon_tricks.saved.torch_proof import spread  # noqa: F401  of nets whose every parameter shows
>>>>>>> b587f7e (export --format torch takes an empty folder; tests share the drawing of parameters)


def run_onnx(model, images):
    """[output] of each graph output, by ONNX Runtime; `model` is a file, its bytes, or a ModelProto."""
    return session_of(model).run(None, {"data": images})


def session_of(model):
    """ONNX Runtime's session for a file, its bytes, or a ModelProto."""
    import onnxruntime

    if isinstance(model, Path):
        model = model.read_bytes()
    content = model if isinstance(model, bytes) else model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
