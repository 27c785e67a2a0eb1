"""Pre-activated ResNets for small images, with PyramidNet's options, more width, or SE.

He et al. 2016 (arXiv 1603.05027), Han et al. 2016 (arXiv 1610.02915, §3.2), Hu et al. 2017 (arXiv
1709.01507). Unlike GluonCV's v2 there is no BatchNorm before the first convolution. Three options:

    first_relu        ReLU between a block's first BatchNorm and its first convolution       True
    last_bn           BatchNorm after the block's last convolution, before the sum           False
    preact_stages     stages in which the shortcut of the first block starts at the        all True
                      activated input, not the raw one; first_relu has no effect there

Depth 6n + 2 of basic blocks, 9n + 2 of bottlenecks, which have four times the channels of the 3x3 in the
middle.
"""

from functools import partial

from mxnet.gluon import HybridBlock, nn

from gluon_tricks.models.blocks import Classifier, GlobalMean, conv1x1, conv3x3

EXPANSION = {"basic": 1, "bottleneck": 4}


class SqueezeExcitation(HybridBlock):
    """Channels weighted by a small net's output for their means: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels, reduction=16, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.squeeze = nn.Dense(channels // reduction, activation="relu", in_units=channels)
            self.excite = nn.Dense(channels, activation="sigmoid", in_units=channels // reduction)

    def hybrid_forward(self, F, x):
        weights = self.excite(self.squeeze(F.mean(x, axis=(2, 3))))                        # (N, C)
        return F.broadcast_mul(x, F.expand_dims(F.expand_dims(weights, axis=2), axis=3))   # (N, C, H, W)


class PreactBlock(HybridBlock):
    """Convolutions with BatchNorm and ReLU before each.

    basic: two 3x3; bottleneck: 1x1, 3x3, 1x1 with a quarter of the channels inside. The first (basic) or the
    3x3 (bottleneck) takes the stride.

    Parameters
    ----------
    activated_shortcut : bool
        The shortcut starts after the first BatchNorm and ReLU.
    first_relu, last_bn : bool
        See above.
    se_reduction : int
        Factor by which squeeze and excitation of the residual reduces the channels; 0: none.
    """

    # So many parameters because CIFARPreact has an option for each
    def __init__(self, kind, out_channels, in_channels, stride, activated_shortcut=False, first_relu=True,
                 last_bn=False, se_reduction=0, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        inner = out_channels // EXPANSION[kind]
        self.bn1 = nn.BatchNorm(in_channels=in_channels)
        self.first_relu = first_relu or activated_shortcut
        self.activated_shortcut = activated_shortcut
        self.rest = nn.HybridSequential(prefix="")
        if kind == "basic":
            self.rest.add(conv3x3(inner, in_channels, stride),         # (N, D, H/S, W/S)
                          *activation(inner), conv3x3(inner, inner))
        else:
            self.rest.add(conv1x1(inner, in_channels),                 # (N, D/4, H, W)
                          *activation(inner), conv3x3(inner, inner, stride),
                          *activation(inner), conv1x1(out_channels, inner))
        if last_bn:
            self.rest.add(nn.BatchNorm(in_channels=out_channels))
        if se_reduction:
            self.rest.add(SqueezeExcitation(out_channels, se_reduction))
        self.downsample = conv1x1(out_channels, in_channels, stride) if in_channels != out_channels else None

    def hybrid_forward(self, F, x):
        start = self.bn1(x)                                            # (N, C, H, W)
        start = F.relu(start) if self.first_relu else start
        shortcut = start if self.activated_shortcut else x
        if self.downsample is not None:
            shortcut = self.downsample(shortcut)                       # (N, D, H/S, W/S)
        return self.rest(start) + shortcut                             # (N, D, H/S, W/S)


def activation(channels):
    """BatchNorm and ReLU."""
    return nn.BatchNorm(in_channels=channels), nn.Activation("relu")


class CIFARPreact(Classifier):
    """Pre-activated ResNet: (N, in_channels, H, W) -> (N, classes).

    Parameters
    ----------
    depth : int
        6n + 2 ("basic") or 9n + 2 ("bottleneck").
    kind : "basic" or "bottleneck"
    width : int
        Factor on all channels.
    classes, in_channels : int
    first_relu, last_bn, preact_stages
        See the top of this file.
    se_reduction : int
    """

    # So many parameters because --model-kwargs sets any of them; prefix and params are Gluon's
    def __init__(self, depth, kind="basic", width=1, se_reduction=0, classes=10, in_channels=3,
                 first_relu=True, last_bn=False, preact_stages=(True, True, True), prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        blocks, rest = divmod(depth - 2, 6 if kind == "basic" else 9)
        assert not rest, f"no {kind} net of depth {depth}"
        expansion = EXPANSION[kind]
        channels = [16 * width, *(c * width * expansion for c in (16, 32, 64))]
        block = partial(PreactBlock, kind, first_relu=first_relu, last_bn=last_bn, se_reduction=se_reduction,
                        prefix="")
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(conv3x3(channels[0], in_channels))            # (N, 16 w, H, W)
            for i, (before, after) in enumerate(zip(channels, channels[1:])):
                stage = nn.HybridSequential(prefix=f"stage{i + 1}_")
                with stage.name_scope():
                    stage.add(block(after, before, 1 if i == 0 else 2,
                                    activated_shortcut=bool(preact_stages[i])),
                              *(block(after, after, 1) for _ in range(blocks - 1)))
                self.features.add(stage)  # (N, 16 w, H, W) ... (N, 64 w, H/4, W/4)
            self.features.add(*activation(channels[-1]), GlobalMean())      # (N, 64 w, 1, 1)
            self.output = nn.Dense(classes, in_units=channels[-1])          # (N, classes)
