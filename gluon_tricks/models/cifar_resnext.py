"""ResNeXt for 3x32x32 images: Xie et al. 2016 (arXiv 1611.05431, §5.3).

Depth 9n + 2, cardinality c, bottleneck width d ("16x64d" is c = 16, d = 64): three stages of n bottleneck
blocks, the 3x3 convolution of which is split into c groups of d, 2d and 4d channels.
"""

from functools import partial

from mxnet.gluon import nn

from gluon_tricks.models.blocks import Classifier, GlobalMean, PostActivated, conv1x1, conv3x3, stages

CHANNELS = (64, 256, 512, 1024)  # after the first convolution, after each stage


class GroupedBottleneck(PostActivated):
    """conv 1x1, grouped conv 3x3 with the stride, conv 1x1, each normalised after it; ReLU after the sum.

    In the shapes below D = `out_channels`, S = `stride`, G = cardinality x channels per group.
    """

    def __init__(self, out_channels, in_channels, stride, cardinality, bottleneck_width, prefix=None,
                 params=None):
        super().__init__(prefix=prefix, params=params)
        grouped = cardinality * (bottleneck_width * out_channels // CHANNELS[1])  # c groups of d, 2d, 4d
        self.body = nn.HybridSequential(prefix="")
        self.body.add(
            conv1x1(grouped, in_channels),                          # (N, G, H, W)
            nn.BatchNorm(in_channels=grouped),
            nn.Activation("relu"),
            conv3x3(grouped, grouped, stride, groups=cardinality),  # (N, G, H/S, W/S)
            nn.BatchNorm(in_channels=grouped),
            nn.Activation("relu"),
            conv1x1(out_channels, grouped),                         # (N, D, H/S, W/S)
            nn.BatchNorm(in_channels=out_channels),
        )
        self._add_shortcut(out_channels, in_channels, stride)


class CIFARResNeXt(Classifier):
    """ResNeXt: (N, 3, 32, 32) -> (N, classes).

    Parameters
    ----------
    blocks_per_stage : int
        n of depth 9n + 2.
    cardinality : int
        c, the number of groups in each 3x3 convolution.
    bottleneck_width : int
        d, the channels of one group in the first stage.
    classes, in_channels : int
    """

    def __init__(self, blocks_per_stage, cardinality, bottleneck_width, classes=10, in_channels=3,
                 prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        block = partial(GroupedBottleneck, cardinality=cardinality, bottleneck_width=bottleneck_width)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(
                conv3x3(CHANNELS[0], in_channels),                  # (N, 64, 32, 32)
                nn.BatchNorm(in_channels=CHANNELS[0]),
                nn.Activation("relu"),
                *stages(block, blocks_per_stage, CHANNELS),         # (N, 1024, 8, 8)
                GlobalMean(),                                       # (N, 1024, 1, 1)
            )
            self.output = nn.Dense(classes, in_units=CHANNELS[-1])  # (N, classes)
