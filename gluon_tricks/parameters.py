"""Parameters and optimizer states of a Gluon net, and two behaviours of MXNet on CPUs that change results."""

import ctypes

import mxnet as mx
from mxnet.gluon import nn


def named_parameters(net):
    """Structural name -> Parameter: the names of `.params` files."""
    return net._collect_params_with_prefix()


def connect(trainer):
    """Copy every parameter of the first device to the others now, not at the Trainer's first step.

    At the first step, after a checkpoint was loaded, the copy would overwrite the running statistics of the
    other devices.
    """
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    if trainer._params_to_init:
        trainer._init_params()


def flat(state):
    """The arrays of an optimizer's state, which may be nested."""
    if isinstance(state, (list, tuple)):
        for part in state:
            yield from flat(part)
    elif state is not None:
        yield state


def settle_weights(net):
    """Return parameters to their plain memory layout; call this after a forward outside `autograd.record`.

    In such a forward a convolution reorders its weights in place for oneDNN. The next recorded forward asks
    the engine to reorder them back, and that request races with the optimizer's update. On reordered weights
    NAG works in temporary copies and takes weight decay from the weights before the update; on plain weights
    it works in place and takes decay from the weights after it. So without this call the last bits of a run
    depend on timing: 36 updates of cifar_resnet20_v1 after one evaluation rarely gave the same bits twice.
    With it they always do.
    """
    mx.nd.waitall()
    for param in net.collect_params().values():
        for array in param.list_data():
            address = ctypes.c_void_p()      # this request makes MXNet reorder in place, and wait
            mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))


def normalises_images(net):
    """Whether the net's first layer is a BatchNorm, as in the `*_v2` and wide ResNets.

    On a CPU, running statistics are updated in the backward pass. That pass does not reach the first layer,
    because the images have no gradient (apache/mxnet#18673). The statistics would stay 0 and 1, and
    evaluation would normalise differently from training. `data.attach_grad()` before the forward extends the
    backward pass to this layer. On GPUs, where the published logs were made, the forward pass updates the
    statistics.
    """
    children = list(getattr(net, "features", net)._children.values())
    return bool(children) and isinstance(children[0], nn.BatchNorm)
