"""Blocks that several nets share. Layout is NCHW; convolutions have no bias unless requested."""

import numpy as np
from mxnet.gluon import HybridBlock, nn

from gluon_tricks.errors import UserError


class Classifier(HybridBlock):
    """A net of two children: `features`, then the linear classifier `output`."""

    def hybrid_forward(self, F, x):
        x = self.features(x)   # (N, C, 1, 1) or (N, C)
        return self.output(x)  # (N, classes)


class GlobalMean(HybridBlock):
    """Mean over height and width: `nn.GlobalAvgPool2D` with a far faster backward on a CPU.

    The backward of oneDNN's pooling returns its gradient in the channels-last blocked layout `acdB16b`. The
    BatchNorm before it has its data in `aBcd16b`, finds no vectorised kernel for that pair, and falls back to
    `bnorm_ref`. With a plain mean both are in `aBcd16b`. Forward and backward of conv 3x3, BatchNorm, pool on
    (32, 64, 8, 8), one thread with AVX512: 26 ms with `GlobalAvgPool2D`, 2.7 ms with this block.
    """

    def hybrid_forward(self, F, x):
        return F.mean(x, axis=(2, 3), keepdims=True)  # (N, C, H, W) -> (N, C, 1, 1)


class GroupNorm(HybridBlock):
    """Group normalization (Wu & He 2018, arXiv 1803.08494), with the parameters of `gluoncv.nn.GroupNorm`.

    Gamma and beta are (C,): one each per channel. MXNet's own `nn.GroupNorm` has one per group, so its files
    fit neither GluonCV's nor the paper's nets. Here its operator normalizes, and the channels are scaled
    after it. GluonCV's layer reads the shape of its input and therefore fails when hybridized; this one does
    not.

    Parameters
    ----------
    num_groups : int
        G, a divisor of the number of channels.
    in_channels : int
        C. It is required, not inferred from the data.
    epsilon : float
    gamma_initializer : str or Initializer

    Raises
    ------
    UserError
        If in_channels is 0 or no multiple of num_groups.
    """

    def __init__(self, num_groups=32, in_channels=0, epsilon=1e-5, gamma_initializer="ones", prefix=None,
                 params=None):
        if in_channels == 0:
            raise UserError("GroupNorm needs in_channels, and this net infers them from the data; "
                            "choose one of the resnet*_v1* or leave group normalization out")
        if in_channels % num_groups:
            raise UserError(f"GroupNorm cannot split {in_channels} channels into {num_groups} groups")
        super().__init__(prefix=prefix, params=params)
        self._num_groups, self._epsilon, self._half = num_groups, epsilon, False
        self.gamma = self.params.get("gamma", shape=(in_channels,), init=gamma_initializer)
        self.beta = self.params.get("beta", shape=(in_channels,), init="zeros")

    def cast(self, dtype):
        """As BatchNorm, keep parameters and arithmetic in float32 when the net is cast to float16."""
        self._half = np.dtype(dtype).name == "float16"
        super().cast("float32" if self._half else dtype)

    def hybrid_forward(self, F, x, gamma, beta):
        data = F.cast(x, "float32") if self._half else x
        ones = F.ones_like(F.slice_axis(gamma, axis=0, begin=0, end=self._num_groups))           # (G,)
        normal = F.GroupNorm(data, ones, F.zeros_like(ones), num_groups=self._num_groups, eps=self._epsilon)
        out = F.broadcast_add(F.broadcast_mul(normal, gamma.reshape((1, -1, 1, 1))),
                              beta.reshape((1, -1, 1, 1)))
        return F.cast(out, "float16") if self._half else out  # (N, C, H, W)

    def __repr__(self):
        channels = self.gamma.shape[0]
        return f"GroupNorm(num_groups={self._num_groups}, eps={self._epsilon}, in_channels={channels})"


def concat_channels(F, *maps):
    """Concatenate feature maps of shape (N, C_i, H, W) along the channels: (N, sum of C_i, H, W).

    A fifth axis avoids oneDNN's concatenation. In training it fails ("could not construct a sub-memory") if a
    map's channels are no multiple of 16 and stored in blocks of 16. Arrays with five axes MXNet concatenates
    itself.
    """
    return F.squeeze(F.concat(*(F.expand_dims(each, axis=4) for each in maps), dim=1), axis=4)


def image_norm(in_channels=3):
    """BatchNorm of the images themselves, without gamma and beta: (N, in_channels, H, W), in and out.

    On a CPU, MXNet updates running statistics in backward, and backward does not reach the first layer,
    because nothing below it is trained (apache/mxnet#18673). The statistics would stay 0 and 1, and
    evaluation would see images shifted and scaled differently from training. `data.attach_grad()` before the
    recorded forward brings the backward here, at no measurable cost. cuDNN does not need this: it updates in
    forward.
    """
    return nn.BatchNorm(scale=False, center=False, in_channels=in_channels)


def conv1x1(out_channels, in_channels, stride=1, use_bias=False):
    """1x1 convolution: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
    return nn.Conv2D(out_channels, 1, strides=stride, use_bias=use_bias, in_channels=in_channels)


def conv3x3(out_channels, in_channels, stride=1, groups=1, dilation=1):
    """3x3 convolution, padded: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
    return nn.Conv2D(out_channels, 3, strides=stride, padding=dilation, dilation=dilation, groups=groups,
                     use_bias=False, in_channels=in_channels)


def projection(out_channels, in_channels, stride):
    """Shortcut of a post-activated block: (N, in_channels, H, W) -> (N, out_channels, H/stride, W/stride)."""
    shortcut = nn.HybridSequential(prefix="")
    shortcut.add(conv1x1(out_channels, in_channels, stride), nn.BatchNorm(in_channels=out_channels))
    return shortcut


class PostActivated(HybridBlock):
    """Base of blocks that add `body` to the shortcut and apply ReLU to the sum."""

    def _add_shortcut(self, out_channels, in_channels, stride):
        """Make the shortcut and the last ReLU; call it after `body` is made."""
        self.downsample = None
        if in_channels != out_channels:
            self.downsample = projection(out_channels, in_channels, stride)
        self.relu = nn.Activation("relu")

    def hybrid_forward(self, F, x):
        shortcut = x if self.downsample is None else self.downsample(x)  # (N, D, H/S, W/S)
        return self.relu(self.body(x) + shortcut)                        # (N, D, H/S, W/S)


def stages(block, blocks_per_stage, channels):
    """Residual stages; all but the first start by halving height and width.

    Call it inside the net's `name_scope()`.

    Parameters
    ----------
    block : callable (out_channels, in_channels, stride, prefix) -> HybridBlock
    blocks_per_stage : int
    channels : sequence of int
        Channels of the input of the first stage, then of the output of each stage.

    Returns
    -------
    list of nn.HybridSequential
        Gluon prefixes `stage1_`, `stage2_`, ...
    """
    return [_stage(f"stage{index}_", block, blocks_per_stage, out_channels, in_channels,
                   stride=1 if index == 1 else 2)
            for index, (in_channels, out_channels) in enumerate(zip(channels, channels[1:]), start=1)]


def _stage(prefix, block, blocks, out_channels, in_channels, stride):
    stage = nn.HybridSequential(prefix=prefix)
    with stage.name_scope():
        stage.add(block(out_channels, in_channels, stride, prefix=""))
        for _ in range(blocks - 1):
            stage.add(block(out_channels, out_channels, 1, prefix=""))
    return stage
