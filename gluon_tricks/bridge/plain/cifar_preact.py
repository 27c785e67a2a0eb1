"""Pre-activated ResNets for small images, with PyramidNet's options, more width, or SE.

He et al. 2016 (arXiv 1603.05027), Han et al. 2016 (arXiv 1610.02915, §3.2), Hu et al. 2017 (arXiv
1709.01507).
"""

import torch
from torch import nn

EXPANSION = {"basic": 1, "bottleneck": 4}


def conv(out_channels, in_channels, size=3, stride=1):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)


def activation(channels):
    return nn.BatchNorm2d(channels), nn.ReLU()


class SqueezeExcitation(nn.Module):
    """Channels weighted by a small net's output for their means."""

    def __init__(self, channels, reduction):
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, x):
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return x * weights[:, :, None, None]


class PreactBlock(nn.Module):
    """Convolutions with BatchNorm and ReLU before each."""

    def __init__(self, kind, out_channels, in_channels, stride, activated_shortcut, first_relu, last_bn,
                 se_reduction):
        super().__init__()
        inner = out_channels // EXPANSION[kind]
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.first_relu, self.activated_shortcut = first_relu or activated_shortcut, activated_shortcut
        if kind == "basic":
            rest = [conv(inner, in_channels, 3, stride), *activation(inner), conv(inner, inner)]
        else:
            rest = [conv(inner, in_channels, 1), *activation(inner), conv(inner, inner, 3, stride),
                    *activation(inner), conv(out_channels, inner, 1)]
        if last_bn:
            rest.append(nn.BatchNorm2d(out_channels))
        if se_reduction:
            rest.append(SqueezeExcitation(out_channels, se_reduction))
        self.rest, self.downsample = nn.Sequential(*rest), nn.Identity()
        if in_channels != out_channels:
            self.downsample = conv(out_channels, in_channels, 1, stride)

    def forward(self, x):
        start = self.bn1(x)
        start = torch.relu(start) if self.first_relu else start
        return self.rest(start) + self.downsample(start if self.activated_shortcut else x)


class CIFARPreact(nn.Module):

    # So many parameters because the net has an option for each
    def __init__(self, depth, kind="basic", width=1, se_reduction=0, classes=10, in_channels=3,
                 first_relu=True, last_bn=False, preact_stages=(True, True, True)):
        super().__init__()
        blocks, expansion = (depth - 2) // (6 if kind == "basic" else 9), EXPANSION[kind]
        channels = [16 * width, *(planes * width * expansion for planes in (16, 32, 64))]
        options = first_relu, last_bn, se_reduction
        parts = [conv(channels[0], in_channels)]
        for i, (before, after) in enumerate(zip(channels, channels[1:])):
            first = PreactBlock(kind, after, before, 2 if i else 1, bool(preact_stages[i]), *options)
            parts.append(nn.Sequential(first, *(PreactBlock(kind, after, after, 1, False, *options)
                                                for _ in range(blocks - 1))))
        self.features = nn.Sequential(*parts, *activation(channels[-1]), nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(channels[-1], classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
