"""PyramidNets for small images: Han et al. 2016 (arXiv 1610.02915).

Channels grow a little with every block instead of doubling between stages: after block i of n in all they are
16 + i alpha / n, rounded. Residual units are BatchNorm, conv, BatchNorm, ReLU, conv, BatchNorm (basic): no
first ReLU, one BatchNorm more at the end. Shortcuts have no parameters: a 2x2 mean where the image is halved,
zeros for new channels.
"""

from mxnet.gluon import HybridBlock, nn

from gluon_tricks.models.blocks import Classifier, GlobalMean, concat_channels, conv1x1, conv3x3
from gluon_tricks.models.cifar_preact import EXPANSION, activation


class PyramidBlock(HybridBlock):
    """A unit whose shortcut is the input, shrunk and filled up with zeros.

    In the shapes below C = `in_channels`, D = `out_channels`, S = `stride`.
    """

    def __init__(self, kind, out_channels, in_channels, stride, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        inner = out_channels // EXPANSION[kind]
        self.body = nn.HybridSequential(prefix="")
        self.body.add(nn.BatchNorm(in_channels=in_channels))
        if kind == "basic":
            self.body.add(conv3x3(inner, in_channels, stride), *activation(inner), conv3x3(inner, inner))
        else:
            self.body.add(conv1x1(inner, in_channels), *activation(inner), conv3x3(inner, inner, stride),
                          *activation(inner), conv1x1(out_channels, inner))
        self.body.add(nn.BatchNorm(in_channels=out_channels))
        self.shrink = nn.AvgPool2D(2, 2) if stride > 1 else None
        self.new_channels = out_channels - in_channels

    def hybrid_forward(self, F, x):
        shortcut = x if self.shrink is None else self.shrink(x)                         # (N, C, H/S, W/S)
        out = self.body(x)                                                              # (N, D, H/S, W/S)
        if self.new_channels:        # MXNet pads rows and columns only
            zeros = F.zeros_like(F.slice_axis(out, axis=1, begin=0, end=self.new_channels))
            shortcut = concat_channels(F, shortcut, zeros)                              # (N, D, H/S, W/S)
        return out + shortcut


class CIFARPyramidNet(Classifier):
    """PyramidNet: (N, in_channels, H, W) -> (N, classes).

    Parameters
    ----------
    depth : int
        6n + 2 ("basic") or 9n + 2 ("bottleneck").
    alpha : int
        Channels (of the 3x3 convolutions) that all blocks together add to the first 16.
    kind : "basic" or "bottleneck"
    """

    def __init__(self, depth, alpha, kind="basic", classes=10, in_channels=3, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        blocks, rest = divmod(depth - 2, 6 if kind == "basic" else 9)
        assert not rest, f"no {kind} net of depth {depth}"
        widths = [16] + [EXPANSION[kind] * round(16 + i * alpha / (3 * blocks))
                         for i in range(1, 3 * blocks + 1)]
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(conv3x3(16, in_channels), nn.BatchNorm(in_channels=16))  # (N, 16, H, W)
            for i, (before, after) in enumerate(zip(widths, widths[1:])):
                halves = i % blocks == 0 and i > 0  # the first of a stage
                self.features.add(PyramidBlock(kind, after, before, 2 if halves else 1,
                                               prefix=f"block{i + 1}_"))
            self.features.add(*activation(widths[-1]), GlobalMean())  # (N, 16 + alpha, 1, 1)
            self.output = nn.Dense(classes, in_units=widths[-1])
