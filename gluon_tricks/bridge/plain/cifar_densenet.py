"""DenseNets for small images: Huang et al. 2016 (arXiv 1608.06993, §3)."""

import torch
from torch import nn


def conv(out_channels, in_channels, size=3):
    return nn.Conv2d(in_channels, out_channels, size, padding=size // 2, bias=False)


def activation(channels):
    return nn.BatchNorm2d(channels), nn.ReLU()


class DenseLayer(nn.Module):
    """The input and `growth` new channels after it."""

    def __init__(self, growth, in_channels, bottleneck, drop_rate):
        super().__init__()
        dropout, new = [nn.Dropout(drop_rate)] if drop_rate > 0 else [], []
        if bottleneck:
            new += [*activation(in_channels), conv(4 * growth, in_channels, 1), *dropout]
            in_channels = 4 * growth
        self.new = nn.Sequential(*new, *activation(in_channels), conv(growth, in_channels), *dropout)

    def forward(self, x):
        return torch.cat([x, self.new(x)], dim=1)


class CIFARDenseNet(nn.Module):
    def __init__(self, depth, growth, bottleneck=False, classes=10, in_channels=3, drop_rate=0.0):
        super().__init__()
        layers, channels = (depth - 4) // (6 if bottleneck else 3), 2 * growth if bottleneck else 16
        parts = [conv(channels, in_channels)]
        for block in range(3):
            stage = []
            for _ in range(layers):
                stage.append(DenseLayer(growth, channels, bottleneck, drop_rate))
                channels += growth
            parts += [nn.Sequential(*stage), *activation(channels)]
            if block < 2:
                after = channels // 2 if bottleneck else channels
                parts += [conv(after, channels, 1), *([nn.Dropout(drop_rate)] if drop_rate > 0 else []),
                          nn.AvgPool2d(2)]
                channels = after
        self.features = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(channels, classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
