"""Proof that a net and its exported folder are the same net: outputs, gradients, and the way back.

Both sides get equal parameters, drawn so that each one shows, and equal images. Compared are the outputs in
float32; then, in float64, the outputs in training mode, where BatchNorm uses the batch, all gradients of a
weighted sum of these, and the new running means. (In float32 a sum that is 0 but for rounding can fall on
either side of a ReLU, and the gradients behind it then differ.) Then PyTorch saves its net in each of its
formats, and the parameters read from these files must be the first ones, bit for bit. Dropout is off. Running
variances differ by definition: PyTorch's is the unbiased one of the batch, n / (n - 1) times MXNet's.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import mxnet as mx
import numpy as np
from mxnet import autograd, nd
from mxnet.gluon import nn

from gluon_tricks.models.from_flags import make_net
from gluon_tricks.models.loading import own_arrays, read_weights
from gluon_tricks.parameters import named_parameters
from gluon_tricks.saved.described import saved_net
from gluon_tricks.saved.torch_folder import destination_of, torch_files, weights_of

CLASSES, IMAGES = 10, 2
BACK = ("back.safetensors", "back.pth", "old.pth")
# Sides of the images where the net does not take small ones
SIZES = {"inceptionv3": 299, **{f"densenet{depth}": 224 for depth in (121, 161, 169, 201)},
         **{f"resnest{depth}": 224 for depth in (14, 26, 50, 101, 200, 269)},
         **{f"vgg{depth}{end}": 224 for depth in (11, 13, 16, 19) for end in ("", "_bn")}}
# Gradients are compared with the largest of their array. Those of biases before a BatchNorm are 0 but for
# rounding: an array's largest counts as at least this share of the net's largest
LEAST = 1e-6


class Proof(NamedTuple):
    """The largest differences, as shares of the largest values.

    Attributes
    ----------
    there : str
        The net's name in timm, or net.py.
    parameters : int
        Trained values.
    logits, training, gradients, means : float
    equal_back : bool
        Whether all parameters came back bit for bit.
    """
    there: str
    parameters: int
    logits: float
    training: float
    gradients: float
    means: float
    equal_back: bool

    def passes(self, tolerance):
        return max(self.logits, self.training, self.gradients, self.means) <= tolerance and self.equal_back


def prove(model, process, seed=0):
    """The `Proof` for a net of `architectures` or of `bridge/plain`.

    Parameters
    ----------
    model : str
    process : TorchProcess
    """
    size = SIZES.get(model, 32 if model.startswith("cifar_") else 64)
    switches = {"shake": "E-E-I"} if "shake_shake" in model else {}      # draws nothing
    facts = saved_net(None, {"model": model, "model_kwargs": switches, "classes": CLASSES,
                             "input_size": size}).facts
    with mx.name.NameManager():
        net = spread(make_net(model, CLASSES, facts.switches), seed, (1, 3, size, size))
    net.apply(without_dropout)
    rng = np.random.default_rng(seed)
    given = {"images": rng.normal(size=(IMAGES, 3, size, size)).astype("f4"),
             "weights": rng.normal(size=(IMAGES, CLASSES)).astype("f4")}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in torch_files(net, facts, lambda record: {"versions": {}, "commit": ""}).items():
            Path(folder, name).write_bytes(content)
        found = process.compute(folder, back=folder, **given)
        before = weights_of(net)
        equal_back = all(same_bits(own_arrays(read_weights("", Path(folder, name)), net), before)
                         for name in BACK)
    destination = destination_of(facts)
    there = destination.architecture.name if not destination.source else "net.py"
    return Proof(there, process.told[-1]["parameters"],
                 *differences(net, given, found, destination.architecture.table), equal_back)


def without_dropout(block):
    """Switch off a dropout layer, or GluonCV's layer that drops parts of images."""
    if isinstance(block, nn.Dropout):
        block._rate = 0
    if type(block).__name__ == "DropBlock":
        block.drop_prob = 0


def same_bits(arrays, others):
    """Whether two sets of arrays by name are equal in every bit."""
    return arrays.keys() == others.keys() and all(
        value.dtype == others[name].dtype and value.tobytes() == others[name].tobytes()
        for name, value in arrays.items())


def differences(net, given, found, table):
    """Largest differences of outputs, outputs in training, gradients and new running means."""
    images, weights = nd.array(given["images"]), nd.array(given["weights"])
    logits = net(images).asnumpy()
    net.cast("float64")
    images, weights = images.astype("float64"), weights.astype("float64")
    images.attach_grad()                     # so that the backward pass reaches a BatchNorm of the images
    with autograd.record():
        training = net(images)
        loss = (weights * training).sum()
    loss.backward()
    gradients, means = [], []
    for name, param in named_parameters(net).items():
        if param.grad_req != "null":
            ours = param.grad().asnumpy()
            gradients.append((ours, found[f"gradient {table.name(name)}"].reshape(ours.shape)))
        elif name.endswith("running_mean"):
            means.append((param.data().asnumpy(), found[f"statistic {table.name(name)}"]))
    largest = max(np.abs(ours).max() for ours, _ in gradients)
    return (difference(logits, found["logits"]), difference(training.asnumpy(), found["training"]),
            max(difference(*pair, LEAST * largest) for pair in gradients),
            max((difference(*pair) for pair in means), default=0.0))


def difference(ours, theirs, least=0.0):
    """The largest difference as a share of the largest of `ours`, or of `least` if that is larger."""
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), least))


def spread(net, seed=0, shape=None):
    """Initialise a net, every parameter off its starting value, so that one left out or mixed up shows.

    `shape` is that of images, for nets whose parameters have none before the first ones.
    """
    mx.random.seed(seed)
    net.initialize(mx.init.Xavier())
    if shape:
        net(nd.zeros(shape))
    rng = np.random.default_rng(seed)
    for key, parameter in named_parameters(net).items():
        if key.endswith(("gamma", "running_var")):
            parameter.set_data(nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
        elif key.endswith(("beta", "bias", "running_mean")):
            parameter.set_data(nd.array(rng.normal(0, 0.2, parameter.shape)))
    return net
