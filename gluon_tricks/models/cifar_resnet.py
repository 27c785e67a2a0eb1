"""ResNets for 3x32x32 images: He et al. 2015 (arXiv 1512.03385, §4.2) and v2, 2016 (arXiv 1603.05027).

Depth 6n + 2: a 3x3 convolution, three stages of n blocks of two convolutions, a linear classifier. As in
GluonCV, no ReLU follows the first BatchNorm of v1, and the shortcut convolution of v2 sees the block's raw
input.
"""

from mxnet.gluon import HybridBlock, nn

from gluon_tricks.models.blocks import (
    Classifier,
    GlobalMean,
    PostActivated,
    conv1x1,
    conv3x3,
    image_norm,
    stages,
)

CHANNELS = (16, 16, 32, 64)  # after the first convolution, after each stage


class BasicBlockV1(PostActivated):
    """Two 3x3 convolutions, each normalised after it; ReLU after the sum.

    In the shapes below D = `out_channels`, S = `stride`.
    """

    def __init__(self, out_channels, in_channels, stride, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        self.body = nn.HybridSequential(prefix="")
        self.body.add(
            conv3x3(out_channels, in_channels, stride),  # (N, D, H/S, W/S)
            nn.BatchNorm(in_channels=out_channels),
            nn.Activation("relu"),
            conv3x3(out_channels, out_channels),         # (N, D, H/S, W/S)
            nn.BatchNorm(in_channels=out_channels),
        )
        self._add_shortcut(out_channels, in_channels, stride)


class BasicBlockV2(HybridBlock):
    """Two 3x3 convolutions, each with BatchNorm and ReLU before it; a plain sum at the end.

    In the shapes below D = `out_channels`, S = `stride`.
    """

    def __init__(self, out_channels, in_channels, stride, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        self.bn1 = nn.BatchNorm(in_channels=in_channels)
        self.conv1 = conv3x3(out_channels, in_channels, stride)
        self.bn2 = nn.BatchNorm(in_channels=out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.downsample = conv1x1(out_channels, in_channels, stride) if in_channels != out_channels else None
        self.relu = nn.Activation("relu")

    def hybrid_forward(self, F, x):
        shortcut = x if self.downsample is None else self.downsample(x)  # (N, D, H/S, W/S) from the raw input
        out = self.conv1(self.relu(self.bn1(x)))                         # (N, D, H/S, W/S)
        out = self.conv2(self.relu(self.bn2(out)))                       # (N, D, H/S, W/S)
        return out + shortcut


class CIFARResNetV1(Classifier):
    """ResNet v1: (N, 3, 32, 32) -> (N, classes).

    Parameters
    ----------
    blocks_per_stage : int
        n of depth 6n + 2.
    classes, in_channels : int
    """

    def __init__(self, blocks_per_stage, classes=10, in_channels=3, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(
                conv3x3(CHANNELS[0], in_channels),                  # (N, 16, 32, 32)
                nn.BatchNorm(in_channels=CHANNELS[0]),
                *stages(BasicBlockV1, blocks_per_stage, CHANNELS),  # (N, 64, 8, 8)
                GlobalMean(),                                       # (N, 64, 1, 1)
            )
            self.output = nn.Dense(classes, in_units=CHANNELS[-1])  # (N, classes)


class CIFARResNetV2(Classifier):
    """ResNet v2: (N, 3, 32, 32) -> (N, classes).

    Parameters
    ----------
    blocks_per_stage : int
        n of depth 6n + 2.
    classes, in_channels : int
    """

    def __init__(self, blocks_per_stage, classes=10, in_channels=3, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(
                image_norm(in_channels),                            # (N, 3, 32, 32)
                conv3x3(CHANNELS[0], in_channels),                  # (N, 16, 32, 32)
                *stages(BasicBlockV2, blocks_per_stage, CHANNELS),  # (N, 64, 8, 8)
                nn.BatchNorm(in_channels=CHANNELS[-1]),
                nn.Activation("relu"),
                GlobalMean(),                                       # (N, 64, 1, 1)
                nn.Flatten(),                                       # (N, 64)
            )
            self.output = nn.Dense(classes, in_units=CHANNELS[-1])  # (N, classes)
