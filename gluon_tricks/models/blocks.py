"""What several nets are made of. Layout is NCHW throughout; convolutions carry no bias."""

from mxnet.gluon import HybridBlock, nn


class Classifier(HybridBlock):
    """A net of two children: `features`, then the linear classifier `output`."""

    def hybrid_forward(self, F, x):
        x = self.features(x)   # (N, C, 1, 1) or (N, C)
        return self.output(x)  # (N, classes)


class GlobalMean(HybridBlock):
    """Mean over height and width: the value of `nn.GlobalAvgPool2D` with a backward that is far faster on a CPU.

    The backward of oneDNN's pooling hands its gradient over in the channels-last blocked layout `acdB16b`. The
    BatchNorm before it, whose data lie in `aBcd16b`, finds no vectorised kernel for such a pair and falls back to
    `bnorm_ref`. Under a plain mean both lie in `aBcd16b`. Forward and backward of conv 3x3, BatchNorm, pool on
    (32, 64, 8, 8), one thread with AVX512: 26 ms with `GlobalAvgPool2D`, 2.7 ms with this block.
    """

    def hybrid_forward(self, F, x):
        return F.mean(x, axis=(2, 3), keepdims=True)  # (N, C, H, W) -> (N, C, 1, 1)


def image_norm():
    """BatchNorm of the images themselves, without gamma and beta: (N, 3, H, W) -> (N, 3, H, W).

    On a CPU, MXNet updates running statistics in backward, and none comes this far, for nothing below is trained
    (apache/mxnet#18673). They would stay 0 and 1, and the net be evaluated on images shifted and scaled otherwise
    than in training. Images with a gradient, `data.attach_grad()` before the recorded forward, bring the backward
    here, at no measurable cost. cuDNN needs no such help: it updates in forward.
    """
    return nn.BatchNorm(scale=False, center=False, in_channels=3)


def conv1x1(out_channels, in_channels, stride=1):
    """1x1 convolution: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
    return nn.Conv2D(out_channels, 1, strides=stride, use_bias=False, in_channels=in_channels)


def conv3x3(out_channels, in_channels, stride=1, groups=1):
    """3x3 convolution, padded: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
    return nn.Conv2D(out_channels, 3, strides=stride, padding=1, groups=groups, use_bias=False,
                     in_channels=in_channels)


def projection(out_channels, in_channels, stride):
    """The shortcut of a post-activated block: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
    shortcut = nn.HybridSequential(prefix="")
    shortcut.add(conv1x1(out_channels, in_channels, stride), nn.BatchNorm(in_channels=out_channels))
    return shortcut


def stages(block, blocks_per_stage, channels):
    """Residual stages; all but the first start by halving height and width.

    To be called inside the net's `name_scope()`.

    Parameters
    ----------
    block : callable (out_channels, in_channels, stride, prefix) -> HybridBlock
    blocks_per_stage : int
    channels : sequence of int
        What enters the first stage, then what leaves each stage.

    Returns
    -------
    list of nn.HybridSequential
        Gluon prefixes `stage1_`, `stage2_`, ...
    """
    return [_stage(f"stage{index}_", block, blocks_per_stage, out_channels, in_channels, stride=1 if index == 1 else 2)
            for index, (in_channels, out_channels) in enumerate(zip(channels, channels[1:]), start=1)]


def _stage(prefix, block, blocks, out_channels, in_channels, stride):
    stage = nn.HybridSequential(prefix=prefix)
    with stage.name_scope():
        stage.add(block(out_channels, in_channels, stride, prefix=""))
        for _ in range(blocks - 1):
            stage.add(block(out_channels, out_channels, 1, prefix=""))
    return stage
