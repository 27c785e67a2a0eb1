"""Nets whose every parameter shows, and what ONNX Runtime computes of them."""

from pathlib import Path

from gluon_tricks.saved import torch_proof


def spread(net, seed=0, shape=None):
    """`torch_proof.spread` of a net without room for gradients."""
    net.collect_params().setattr("grad_req", "null")
    return torch_proof.spread(net, seed, shape)


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
