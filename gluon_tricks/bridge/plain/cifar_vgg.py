"""VGG for small images: VGG-16's convolutions (Simonyan & Zisserman 2014, arXiv 1409.1556)."""

from torch import nn


class CIFARVGG(nn.Module):
    def __init__(self, layers, channels, classes=10, in_channels=3):
        super().__init__()
        parts = []
        for count, width in zip(layers, channels):
            for _ in range(count):
                parts += [nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                in_channels = width
            parts.append(nn.MaxPool2d(2, ceil_mode=True))
        self.features = nn.Sequential(*parts)
        self.output = nn.Linear(channels[-1], classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
