"""ResNeXt for 3x32x32 images: Xie et al. 2016 (arXiv 1611.05431, §5.3)."""

from torch import nn

CHANNELS = (64, 256, 512, 1024)  # after the first convolution, after each stage


def conv(out_channels, in_channels, size=3, stride=1, groups=1):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, groups=groups, bias=False)


class GroupedBottleneck(nn.Module):
    """ReLU of body plus shortcut; the 3x3 convolution has `cardinality` groups."""

    def __init__(self, out_channels, in_channels, stride, cardinality, bottleneck_width):
        super().__init__()
        grouped = cardinality * (bottleneck_width * out_channels // CHANNELS[1])
        self.body = nn.Sequential(
            conv(grouped, in_channels, 1), nn.BatchNorm2d(grouped), nn.ReLU(),
            conv(grouped, grouped, 3, stride, cardinality), nn.BatchNorm2d(grouped), nn.ReLU(),
            conv(out_channels, grouped, 1), nn.BatchNorm2d(out_channels))
        self.downsample = nn.Identity()
        if in_channels != out_channels:
            self.downsample = nn.Sequential(conv(out_channels, in_channels, 1, stride),
                                            nn.BatchNorm2d(out_channels))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.body(x) + self.downsample(x))


class CIFARResNeXt(nn.Module):
    def __init__(self, blocks_per_stage, cardinality, bottleneck_width, classes=10, in_channels=3):
        super().__init__()
        parts = [conv(CHANNELS[0], in_channels), nn.BatchNorm2d(CHANNELS[0]), nn.ReLU()]
        for number, (before, after) in enumerate(zip(CHANNELS, CHANNELS[1:])):
            sizes = [(after, before, 2 if number else 1)] + [(after, after, 1)] * (blocks_per_stage - 1)
            parts.append(nn.Sequential(*(GroupedBottleneck(*size, cardinality, bottleneck_width)
                                         for size in sizes)))
        self.features = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(CHANNELS[-1], classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
