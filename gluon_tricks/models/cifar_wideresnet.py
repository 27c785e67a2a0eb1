"""Wide ResNets for 3x32x32 images: Zagoruyko & Komodakis 2016 (arXiv 1605.07146).

Depth 6n + 4, width k: the pre-activated ResNet with k times the channels and, on request, dropout inside the
blocks. Unlike in the narrow v2, the shortcut convolution sees the pre-activated input. As in GluonCV, a
BatchNorm without ReLU follows the first convolution.
"""

from functools import partial

from mxnet.gluon import HybridBlock, nn

from gluon_tricks.errors import UserError
from gluon_tricks.models.blocks import Classifier, GlobalMean, conv1x1, conv3x3, image_norm, stages


class WideBlock(HybridBlock):
    """BatchNorm, ReLU, conv 3x3, BatchNorm, ReLU, dropout if any, conv 3x3; a plain sum at the end.

    In the shapes below C = `in_channels`, D = `out_channels`, S = `stride`.
    """

    def __init__(self, out_channels, in_channels, stride, drop_rate, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        self.bn1 = nn.BatchNorm(in_channels=in_channels)
        self.conv1 = conv3x3(out_channels, in_channels, stride)
        self.bn2 = nn.BatchNorm(in_channels=out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.downsample = conv1x1(out_channels, in_channels, stride) if in_channels != out_channels else None
        self.relu = nn.Activation("relu")
        self.dropout = nn.Dropout(drop_rate) if drop_rate > 0 else None

    def hybrid_forward(self, F, x):
        activated = self.relu(self.bn1(x))                                       # (N, C, H, W)
        shortcut = x if self.downsample is None else self.downsample(activated)  # (N, D, H/S, W/S)
        out = self.relu(self.bn2(self.conv1(activated)))                         # (N, D, H/S, W/S)
        if self.dropout is not None:
            out = self.dropout(out)
        return self.conv2(out) + shortcut                                        # (N, D, H/S, W/S)


class CIFARWideResNet(Classifier):
    """Wide ResNet: (N, 3, 32, 32) -> (N, classes).

    Parameters
    ----------
    blocks_per_stage : int
        n of depth 6n + 4.
    width : int
        k, the factor on the channels of the three stages.
    classes, in_channels : int
    drop_rate : float in [0, 1)
        Share of activations dropped before each block's second convolution.

    Raises
    ------
    UserError
        If drop_rate is outside [0, 1).
    """

    def __init__(self, blocks_per_stage, width, classes=10, drop_rate=0.0, in_channels=3, prefix=None,
                 params=None):
        if not 0.0 <= drop_rate < 1.0:
            raise UserError(f"drop_rate must be in [0, 1), got {drop_rate}")
        super().__init__(prefix=prefix, params=params)
        channels = (16, 16 * width, 32 * width, 64 * width)  # after the first convolution, after each stage
        block = partial(WideBlock, drop_rate=drop_rate)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(
                image_norm(in_channels),                            # (N, 3, 32, 32)
                conv3x3(channels[0], in_channels),                  # (N, 16, 32, 32)
                nn.BatchNorm(in_channels=channels[0]),
                *stages(block, blocks_per_stage, channels),         # (N, 64k, 8, 8)
                nn.BatchNorm(in_channels=channels[-1]),
                nn.Activation("relu"),
                GlobalMean(),                                       # (N, 64k, 1, 1)
                nn.Flatten(),                                       # (N, 64k)
            )
            self.output = nn.Dense(classes, in_units=channels[-1])  # (N, classes)
