"""The nets of `bench net` in PyTorch, layer for layer those of `gluon_tricks.models`; needs torch, not
MXNet."""

import re
from functools import partial

from torch import nn


def make_net(name, classes):
    """cifar_resnet{20,56,110}_v1, resnet{18,34,50,101,152}_v1{,b,c,d} or mobilenet1.0; None for another
    name."""
    if found := re.fullmatch(r"cifar_resnet(20|56|110)_v1", name):
        return cifar_resnet((int(found[1]) - 2) // 6, classes)
    if found := re.fullmatch(r"resnet(\d+)_v1([bcd]?)", name):
        blocks = {"18": (2, 2, 2, 2), "34": (3, 4, 6, 3), "50": (3, 4, 6, 3), "101": (3, 4, 23, 3),
                  "152": (3, 8, 36, 3)}
        if found[1] in blocks:
            return resnet(blocks[found[1]], int(found[1]) >= 50, found[2], classes)
    return mobilenet(classes) if name == "mobilenet1.0" else None


def conv(out_channels, in_channels, size=3, stride=1, groups=1, bias=False):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, groups=groups, bias=bias)


class Residual(nn.Module):
    """ReLU of path A plus shortcut."""

    def __init__(self, path_a, shortcut):
        super().__init__()
        self.path_a, self.shortcut = nn.Sequential(*path_a), shortcut
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.path_a(x) + (x if self.shortcut is None else self.shortcut(x)))


def basic(planes, in_channels, stride):
    return [conv(planes, in_channels, stride=stride), nn.BatchNorm2d(planes), nn.ReLU(inplace=True),
            conv(planes, planes), nn.BatchNorm2d(planes)]


def bottleneck(variant, planes, in_channels, stride):
    # v1 strides in the first 1x1, later ones in the 3x3
    first, middle = (1, stride) if variant else (stride, 1)
    return [conv(planes, in_channels, 1, first, bias=not variant), nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True), conv(planes, planes, 3, middle), nn.BatchNorm2d(planes),
            nn.ReLU(inplace=True), conv(4 * planes, planes, 1, bias=not variant), nn.BatchNorm2d(4 * planes)]


def projection(variant, out_channels, in_channels, stride):
    if stride == 1 and out_channels == in_channels:
        return None
    layers = [conv(out_channels, in_channels, 1, 1 if variant == "d" else stride),
              nn.BatchNorm2d(out_channels)]
    pool = [nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)] if variant == "d" else []
    return nn.Sequential(*pool, *layers)


def cifar_resnet(blocks, classes):
    layers, channels = [conv(16, 3), nn.BatchNorm2d(16)], 16
    for planes in (16, 32, 64):
        for number in range(blocks):
            stride = 2 if number == 0 and planes > 16 else 1
            layers.append(Residual(basic(planes, channels, stride), projection("", planes, channels, stride)))
            channels = planes
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def resnet(blocks_per_stage, bottlenecked, variant, classes):
    if variant in ("c", "d"):
        stem = [conv(32, 3, stride=2), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
                conv(32, 32), nn.BatchNorm2d(32), nn.ReLU(inplace=True), conv(64, 32)]
    else:
        stem = [conv(64, 3, size=7, stride=2)]
    layers, channels = [*stem, nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)], 64
    path_a, expansion = (partial(bottleneck, variant), 4) if bottlenecked else (basic, 1)
    for planes, blocks in zip((64, 128, 256, 512), blocks_per_stage):
        for number in range(blocks):
            stride = 2 if number == 0 and planes > 64 else 1
            shortcut = projection(variant, expansion * planes, channels, stride)
            layers.append(Residual(path_a(planes, channels, stride), shortcut))
            channels = expansion * planes
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def mobilenet(classes):
    layers, channels = [conv(32, 3, stride=2), nn.BatchNorm2d(32), nn.ReLU(inplace=True)], 32
    for planes, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5,
                           (1024, 2), (1024, 1)]:
        layers += [conv(channels, channels, stride=stride, groups=channels), nn.BatchNorm2d(channels),
                   nn.ReLU(inplace=True), conv(planes, channels, 1), nn.BatchNorm2d(planes),
                   nn.ReLU(inplace=True)]
        channels = planes
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
