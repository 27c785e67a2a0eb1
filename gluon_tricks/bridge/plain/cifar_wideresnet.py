"""Wide ResNets for 3x32x32 images: Zagoruyko & Komodakis 2016 (arXiv 1605.07146).

As in GluonCV, a BatchNorm without ReLU follows the first convolution.
"""

from torch import nn


def conv(out_channels, in_channels, size=3, stride=1):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)


class WideBlock(nn.Module):
    """The shortcut convolution sees the activated input."""

    def __init__(self, out_channels, in_channels, stride, drop_rate):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv(out_channels, in_channels, 3, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels)
        self.downsample = conv(out_channels, in_channels, 1, stride) if in_channels != out_channels else None
        self.relu, self.dropout = nn.ReLU(), nn.Dropout(drop_rate)

    def forward(self, x):
        activated = self.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(activated)
        out = self.relu(self.bn2(self.conv1(activated)))
        return self.conv2(self.dropout(out)) + shortcut


class CIFARWideResNet(nn.Module):
    def __init__(self, blocks_per_stage, width, classes=10, drop_rate=0.0, in_channels=3):
        super().__init__()
        channels = (16, 16 * width, 32 * width, 64 * width)
        image_norm = nn.BatchNorm2d(in_channels).requires_grad_(False)   # without weight and bias of its own
        parts = [image_norm, conv(channels[0], in_channels), nn.BatchNorm2d(channels[0])]
        for number, (before, after) in enumerate(zip(channels, channels[1:])):
            sizes = [(after, before, 2 if number else 1)] + [(after, after, 1)] * (blocks_per_stage - 1)
            parts.append(nn.Sequential(*(WideBlock(*size, drop_rate) for size in sizes)))
        self.features = nn.Sequential(*parts, nn.BatchNorm2d(channels[-1]), nn.ReLU(),
                                      nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(channels[-1], classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
