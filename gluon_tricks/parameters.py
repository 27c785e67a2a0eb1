"""Parameters of a Gluon net and Trainer: names, state, and two habits of MXNet on CPUs that change results."""

import ctypes

import mxnet as mx
from mxnet.gluon import nn


def named_parameters(net):
    """Structural name -> Parameter: the names of `.params` files."""
    return net._collect_params_with_prefix()


def connect(trainer):
    """Let the Trainer do now what it would do at its first step: copy every parameter of the first device to the others.

    Done after loading, that would overwrite the other devices' own running statistics.
    """
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    if trainer._params_to_init:
        trainer._init_params()


def flat(state):
    """The arrays of an optimizer's state, however nested."""
    if isinstance(state, (list, tuple)):
        for part in state:
            yield from flat(part)
    elif state is not None:
        yield state


def settle_weights(net):
    """Bring every parameter back to its plain memory layout; call it after any forward outside `autograd.record`.

    In such a forward a convolution reorders its weights in place for oneDNN, and in the next recorded forward it asks the
    engine to reorder them back. That request races with the optimizer's update: on reordered weights NAG works in
    temporary copies and takes weight decay from the weights before the update, on plain ones it works in place and takes
    it from those after. So the last bits of a run depended on timing: 36 updates of cifar_resnet20_v1 after one evaluation
    seldom came out the same twice. With the layout settled first they always do.
    """
    mx.nd.waitall()
    for param in net.collect_params().values():
        for array in param.list_data():
            address = ctypes.c_void_p()      # asking for it is what makes MXNet reorder in place, and wait
            mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))


def normalises_images(net):
    """Whether the net's first layer is a BatchNorm, as in the `*_v2` and wide ResNets.

    Running statistics are updated in backward on a CPU, and backward stops above the first layer, for the images have no
    gradient (apache/mxnet#18673). The statistics would stay 0 and 1, and evaluation normalise otherwise than training.
    `data.attach_grad()` before the forward brings the backward there; on GPUs, where the published logs were made, the
    forward updates them.
    """
    children = list(getattr(net, "features", net)._children.values())
    return bool(children) and isinstance(children[0], nn.BatchNorm)
