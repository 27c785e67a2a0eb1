"""PyramidNets for small images: Han et al. 2016 (arXiv 1610.02915)."""

from torch import nn
from torch.nn import functional

EXPANSION = {"basic": 1, "bottleneck": 4}


def conv(out_channels, in_channels, size=3, stride=1):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)


def activation(channels):
    return nn.BatchNorm2d(channels), nn.ReLU()


class PyramidBlock(nn.Module):
    """A unit whose shortcut is the input, shrunk and filled up with zeros."""

    def __init__(self, kind, out_channels, in_channels, stride):
        super().__init__()
        inner = out_channels // EXPANSION[kind]
        if kind == "basic":
            body = [conv(inner, in_channels, 3, stride), *activation(inner), conv(inner, inner)]
        else:
            body = [conv(inner, in_channels, 1), *activation(inner), conv(inner, inner, 3, stride),
                    *activation(inner), conv(out_channels, inner, 1)]
        self.body = nn.Sequential(nn.BatchNorm2d(in_channels), *body, nn.BatchNorm2d(out_channels))
        self.shrink = nn.AvgPool2d(2) if stride > 1 else nn.Identity()
        self.new_channels = out_channels - in_channels

    def forward(self, x):
        return self.body(x) + functional.pad(self.shrink(x), (0, 0, 0, 0, 0, self.new_channels))


class CIFARPyramidNet(nn.Module):
    def __init__(self, depth, alpha, kind="basic", classes=10, in_channels=3):
        super().__init__()
        blocks = (depth - 2) // (6 if kind == "basic" else 9)
        widths = [16] + [EXPANSION[kind] * round(16 + i * alpha / (3 * blocks))
                         for i in range(1, 3 * blocks + 1)]
        parts = [conv(16, in_channels), nn.BatchNorm2d(16)]
        for i, (before, after) in enumerate(zip(widths, widths[1:])):
            halves = i % blocks == 0 and i > 0           # the first of a stage
            parts.append(PyramidBlock(kind, after, before, 2 if halves else 1))
        self.features = nn.Sequential(*parts, *activation(widths[-1]), nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(widths[-1], classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
