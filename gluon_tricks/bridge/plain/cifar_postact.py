"""The paper's ResNets for small images (He et al. 2015, arXiv 1512.03385, §4.2), basic and bottleneck."""

from torch import nn


def conv(out_channels, in_channels, size=3, stride=1):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)


def basic(out_channels, in_channels, stride):
    return [conv(out_channels, in_channels, 3, stride), nn.BatchNorm2d(out_channels), nn.ReLU(),
            conv(out_channels, out_channels), nn.BatchNorm2d(out_channels)]


def bottleneck(out_channels, in_channels, stride):
    inner = out_channels // 4
    return [conv(inner, in_channels, 1), nn.BatchNorm2d(inner), nn.ReLU(),
            conv(inner, inner, 3, stride), nn.BatchNorm2d(inner), nn.ReLU(),
            conv(out_channels, inner, 1), nn.BatchNorm2d(out_channels)]


class Residual(nn.Module):
    """ReLU of body plus shortcut."""

    def __init__(self, body, out_channels, in_channels, stride):
        super().__init__()
        self.body = nn.Sequential(*body(out_channels, in_channels, stride))
        self.downsample = nn.Identity()
        if in_channels != out_channels:
            self.downsample = nn.Sequential(conv(out_channels, in_channels, 1, stride),
                                            nn.BatchNorm2d(out_channels))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.body(x) + self.downsample(x))


class CIFARPostact(nn.Module):
    def __init__(self, depth, kind="basic", classes=10, in_channels=3):
        super().__init__()
        body, expansion, layers = (basic, 1, 6) if kind == "basic" else (bottleneck, 4, 9)
        blocks, before = (depth - 2) // layers, 16
        parts = [conv(16, in_channels), nn.BatchNorm2d(16), nn.ReLU()]
        for number, planes in enumerate((16, 32, 64)):
            after = planes * expansion
            first = Residual(body, after, before, 2 if number else 1)
            parts.append(nn.Sequential(first, *(Residual(body, after, after, 1) for _ in range(blocks - 1))))
            before = after
        self.features = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(before, classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
