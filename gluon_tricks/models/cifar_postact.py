"""The paper's ResNets for small images (He et al. 2015, arXiv 1512.03385, §4.2), basic and bottleneck.

They differ from GluonCV's `cifar_resnet*_v1` in the ReLU after the first BatchNorm, which GluonCV omits, and
in the bottleneck blocks. Depth 6n + 2 (basic) or 9n + 2 (bottleneck); shortcuts are projected where the
channels change.
"""

from mxnet.gluon import HybridBlock, nn

from gluon_tricks.models.blocks import Classifier, GlobalMean, conv1x1, conv3x3, projection, stages
from gluon_tricks.models.cifar_resnet import BasicBlockV1


class Bottleneck(HybridBlock):
    """conv 1x1, 3x3 with the stride, 1x1 to four times the channels, with BatchNorm; ReLU after the sum."""

    def __init__(self, out_channels, in_channels, stride, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        inner = out_channels // 4
        self.body = nn.HybridSequential(prefix="")
        self.body.add(
            conv1x1(inner, in_channels),     # (N, D/4, H, W)
            nn.BatchNorm(in_channels=inner),
            nn.Activation("relu"),
            conv3x3(inner, inner, stride),   # (N, D/4, H/S, W/S)
            nn.BatchNorm(in_channels=inner),
            nn.Activation("relu"),
            conv1x1(out_channels, inner),    # (N, D, H/S, W/S)
            nn.BatchNorm(in_channels=out_channels),
        )
        self.downsample = None
        if in_channels != out_channels:
            self.downsample = projection(out_channels, in_channels, stride)

    def hybrid_forward(self, F, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.body(x) + shortcut)


class CIFARPostact(Classifier):
    """ResNet: (N, in_channels, H, W) -> (N, classes). `depth` is 6n + 2, or 9n + 2 of bottlenecks."""

    def __init__(self, depth, kind="basic", classes=10, in_channels=3, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        blocks, rest = divmod(depth - 2, 6 if kind == "basic" else 9)
        assert not rest, f"no {kind} net of depth {depth}"
        expansion, block = (1, BasicBlockV1) if kind == "basic" else (4, Bottleneck)
        channels = [16, *(c * expansion for c in (16, 32, 64))]
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(
                conv3x3(16, in_channels),           # (N, 16, H, W)
                nn.BatchNorm(in_channels=16),
                nn.Activation("relu"),
                *stages(block, blocks, channels),   # (N, 64 or 256, H/4, W/4)
                GlobalMean(),
            )
            self.output = nn.Dense(classes, in_units=channels[-1])
