"""Initialisation of weights (§2.1).

    paper     uniform in [-a, a], a = sqrt(6 / (d_in + d_out)), d the numbers of input and output channels
    GluonCV   train_imagenet.py: MSRAPrelu(), normal, variance 1.882 / mean(fan_in, fan_out); a fan is
              channels times kernel area. train_horovod.py: normal, variance 2 / fan_in. CIFAR scripts:
              Xavier(), the paper's formula with the kernel area in it.

Biases start at 0, gammas at 1, betas at 0 in all of them.
"""

import math

import mxnet as mx


@mx.init.register
class ChannelXavier(mx.init.Initializer):
    """The paper's formula as written: no kernel area in the fans."""

    def _init_weight(self, name, array):
        half_width = math.sqrt(6 / (array.shape[0] + array.shape[1]))
        mx.random.uniform(-half_width, half_width, out=array)


def imagenet_initializer(name):
    """The initializer for `--init`: "gluoncv", "horovod" or "paper"."""
    if name == "horovod":
        return mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2)
    return ChannelXavier() if name == "paper" else mx.init.MSRAPrelu()
