"""DenseNets for small images: Huang et al. 2016 (arXiv 1608.06993, §3).

Every layer sees the outputs of all layers of its block and adds k channels to them. Three blocks; between
them a 1x1 convolution and a 2x2 mean. DenseNet-BC has a bottleneck of 4k channels in each layer (B), halves
the channels between blocks (C) and starts with 2k channels instead of 16. Depth 3n + 4, or 6n + 4 of
bottlenecks.
"""

from mxnet.gluon import HybridBlock, nn

from gluon_tricks.errors import UserError
from gluon_tricks.models.blocks import Classifier, GlobalMean, concat_channels, conv1x1, conv3x3
from gluon_tricks.models.cifar_preact import activation


class DenseLayer(HybridBlock):
    """(N, C, H, W) -> (N, C + k, H, W): the input and k new channels after it."""

    def __init__(self, growth, in_channels, bottleneck, drop_rate, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        dropout = [nn.Dropout(drop_rate)] if drop_rate > 0 else []
        self.new = nn.HybridSequential(prefix="")
        if bottleneck:
            # (N, 4k, H, W)
            self.new.add(*activation(in_channels), conv1x1(4 * growth, in_channels), *dropout)
            in_channels = 4 * growth
        self.new.add(*activation(in_channels), conv3x3(growth, in_channels))  # (N, k, H, W)
        if drop_rate > 0:
            self.new.add(nn.Dropout(drop_rate))

    def hybrid_forward(self, F, x):
        return concat_channels(F, x, self.new(x))


class CIFARDenseNet(Classifier):
    """DenseNet or DenseNet-BC: (N, in_channels, H, W) -> (N, classes).

    Parameters
    ----------
    depth : int
        3n + 4, or 6n + 4 with `bottleneck`.
    growth : int
        k.
    bottleneck : bool
        BC: bottlenecks, and `compression` 0.5.
    drop_rate : float in [0, 1)
        After every convolution but the first.

    Raises
    ------
    UserError
        If drop_rate is outside [0, 1).
    """

    def __init__(self, depth, growth, bottleneck=False, classes=10, in_channels=3, drop_rate=0.0, prefix=None,
                 params=None):
        if not 0.0 <= drop_rate < 1.0:
            raise UserError(f"drop_rate must be in [0, 1), got {drop_rate}")
        super().__init__(prefix=prefix, params=params)
        layers, rest = divmod(depth - 4, 6 if bottleneck else 3)
        assert not rest, f"no DenseNet of depth {depth}"
        channels = 2 * growth if bottleneck else 16
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(conv3x3(channels, in_channels))
            for block in range(3):
                stage = nn.HybridSequential(prefix=f"block{block + 1}_")
                with stage.name_scope():
                    for _ in range(layers):
                        stage.add(DenseLayer(growth, channels, bottleneck, drop_rate, prefix=""))
                        channels += growth
                self.features.add(stage, *activation(channels))
                if block < 2:
                    after = channels // 2 if bottleneck else channels
                    self.features.add(conv1x1(after, channels))
                    if drop_rate > 0:
                        self.features.add(nn.Dropout(drop_rate))
                    self.features.add(nn.AvgPool2D(2, 2))
                    channels = after
            self.features.add(GlobalMean())
            self.output = nn.Dense(classes, in_units=channels)
