"""Parameters and optimizer states of a Gluon net, and two behaviours of MXNet on CPUs that change results."""

import ctypes

import mxnet as mx
from mxnet.gluon import nn
from mxnet.gluon.nn.basic_layers import _BatchNorm


def named_parameters(net):
    """Structural name -> Parameter: the names of `.params` files."""
    return net._collect_params_with_prefix()


def is_statistic(param):
    """Whether a parameter has no gradient by its nature, as BatchNorm's running statistics."""
    return not param._differentiable


def is_frozen(param):
    """Whether a parameter that has a gradient by its nature is excluded from training."""
    return param._differentiable and param.grad_req == "null"


def batch_norms(net):
    """The BatchNorm layers of a net."""
    found = []
    net.apply(lambda block: found.append(block) if isinstance(block, _BatchNorm) else None)
    return found


def fixed_names(net):
    """Structural names of the parameters that training leaves as they are: frozen ones, and statistics of
    BatchNorm layers that use them in training too.
    """
    fixed = {id(param) for layer in batch_norms(net) if layer._kwargs["use_global_stats"]
             for param in (layer.running_mean, layer.running_var)}
    return {name for name, param in named_parameters(net).items() if is_frozen(param) or id(param) in fixed}


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


def needs_image_gradients(net):
    """Whether the backward pass must reach the images, though nothing there is trained.

    On a CPU, running statistics are updated in the backward pass. That pass stops above the lowest trained
    array, because the images have no gradient (apache/mxnet#18673). Below it, statistics would stay as they
    are, and evaluation would normalise differently from training: in the first layer of the `*_v2` and wide
    ResNets, a BatchNorm of the images, and in BatchNorm layers whose gamma and beta are frozen.
    `data.attach_grad()` before the forward extends the backward pass to all layers. On GPUs, where the
    published logs were made, the forward pass updates the statistics.
    """
    children = list(getattr(net, "features", net)._children.values())
    if children and isinstance(children[0], nn.BatchNorm):
        return True
    return any(is_frozen(param) for layer in batch_norms(net) if not layer._kwargs["use_global_stats"]
               for param in (layer.gamma, layer.beta))
