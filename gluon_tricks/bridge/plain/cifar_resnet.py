"""ResNets for 3x32x32 images: He et al. 2015 (arXiv 1512.03385, §4.2) and v2, 2016 (arXiv 1603.05027).

As in GluonCV, no ReLU follows the first BatchNorm of v1, and the shortcut convolution of v2 sees the block's
raw input.
"""

from torch import nn

CHANNELS = (16, 16, 32, 64)  # after the first convolution, after each stage


def conv(out_channels, in_channels, size=3, stride=1):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)


def stages(block, blocks, channels):
    """Residual stages; all but the first start by halving height and width."""
    for number, (before, after) in enumerate(zip(channels, channels[1:])):
        first = block(after, before, 2 if number else 1)
        yield nn.Sequential(first, *(block(after, after, 1) for _ in range(blocks - 1)))


class BasicBlockV1(nn.Module):
    def __init__(self, out_channels, in_channels, stride):
        super().__init__()
        self.body = nn.Sequential(
            conv(out_channels, in_channels, 3, stride), nn.BatchNorm2d(out_channels), nn.ReLU(),
            conv(out_channels, out_channels), nn.BatchNorm2d(out_channels))
        self.downsample = nn.Identity()
        if in_channels != out_channels:
            self.downsample = nn.Sequential(conv(out_channels, in_channels, 1, stride),
                                            nn.BatchNorm2d(out_channels))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.body(x) + self.downsample(x))


class BasicBlockV2(nn.Module):
    def __init__(self, out_channels, in_channels, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv(out_channels, in_channels, 3, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels)
        self.downsample = nn.Identity()
        if in_channels != out_channels:
            self.downsample = conv(out_channels, in_channels, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x):
        out = self.conv1(self.relu(self.bn1(x)))
        return self.conv2(self.relu(self.bn2(out))) + self.downsample(x)


class CIFARResNetV1(nn.Module):
    def __init__(self, blocks_per_stage, classes=10, in_channels=3):
        super().__init__()
        self.features = nn.Sequential(
            conv(CHANNELS[0], in_channels), nn.BatchNorm2d(CHANNELS[0]),
            *stages(BasicBlockV1, blocks_per_stage, CHANNELS), nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(CHANNELS[-1], classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))


class CIFARResNetV2(nn.Module):
    def __init__(self, blocks_per_stage, classes=10, in_channels=3):
        super().__init__()
        image_norm = nn.BatchNorm2d(in_channels).requires_grad_(False)   # without weight and bias of its own
        self.features = nn.Sequential(
            image_norm, conv(CHANNELS[0], in_channels), *stages(BasicBlockV2, blocks_per_stage, CHANNELS),
            nn.BatchNorm2d(CHANNELS[-1]), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(CHANNELS[-1], classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
