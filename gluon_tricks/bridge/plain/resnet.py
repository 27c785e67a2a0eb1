"""ResNet v1 as in Figure 1 of the paper (arXiv 1812.01187) and as in GluonCV.

In blocks of three convolutions the first, 1x1, takes the stride; 1x1 convolutions of the body have biases.
"""

from torch import nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
PLANES = (64, 128, 256, 512)


def conv(out_channels, in_channels, size=3, stride=1, bias=False):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=bias)


def basic(planes, in_channels, stride):
    return [conv(planes, in_channels, 3, stride), nn.BatchNorm2d(planes), nn.ReLU(),
            conv(planes, planes), nn.BatchNorm2d(planes)]


def bottleneck(planes, in_channels, stride):
    return [conv(planes, in_channels, 1, stride, bias=True), nn.BatchNorm2d(planes), nn.ReLU(),
            conv(planes, planes), nn.BatchNorm2d(planes), nn.ReLU(),
            conv(4 * planes, planes, 1, bias=True), nn.BatchNorm2d(4 * planes)]


class Residual(nn.Module):
    """ReLU of body plus shortcut."""

    def __init__(self, body, out_channels, in_channels, stride):
        super().__init__()
        self.body, self.downsample = nn.Sequential(*body), nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(conv(out_channels, in_channels, 1, stride),
                                            nn.BatchNorm2d(out_channels))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.body(x) + self.downsample(x))


class ResNetV1(nn.Module):
    def __init__(self, depth, classes=1000, thumbnail=False):
        super().__init__()
        if thumbnail:
            parts = [conv(64, 3)]
        else:
            parts = [conv(64, 3, 7, 2), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)]
        body, expansion, channels = (bottleneck, 4, 64) if depth >= 50 else (basic, 1, 64)
        for number, (planes, blocks) in enumerate(zip(PLANES, BLOCKS[depth])):
            stage = []
            for block in range(blocks):
                stride = 2 if number and not block else 1
                stage.append(Residual(body(planes, channels, stride), expansion * planes, channels, stride))
                channels = expansion * planes
            parts.append(nn.Sequential(*stage))
        self.features = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(channels, classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
