"""Shake-shake nets: Gastaldi 2017 (arXiv 1705.07485).

Each block mixes two residual branches by random weights, which differ between forward (a) and backward (b):

    out = r_2 + b (r_1 - r_2) + stop((a - b) (r_1 - r_2))

"S-S-I" names forward (Shake: drawn, or Even: 1/2), backward (Shake, Even, or Keep: a) and level (a draw for
each Image or for the Batch). In prediction both weights are 1/2.
"""

import torch
from torch import nn
from torch.nn import functional


def conv(out_channels, in_channels, size=3, stride=1):
    return nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False)


def branch(out_channels, in_channels, stride):
    return nn.Sequential(conv(out_channels, in_channels, 3, stride), nn.BatchNorm2d(out_channels), nn.ReLU(),
                         conv(out_channels, out_channels), nn.BatchNorm2d(out_channels))


class Shake(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.forward_mode, self.backward_mode, self.level = mode.split("-")

    def forward(self, first, second):
        if not self.training:
            return (first + second) / 2
        a = self.weights(first) if self.forward_mode == "S" else 0.5
        b = {"S": lambda: self.weights(first), "E": lambda: 0.5, "K": lambda: a}[self.backward_mode]()
        difference = first - second
        return second + b * difference + ((a - b) * difference).detach()

    def weights(self, images):
        return torch.rand(len(images) if self.level == "I" else 1, 1, 1, 1, device=images.device)


class ShiftedShortcut(nn.Module):
    """Half of the channels from the image, half from the image moved by one pixel to the right and down."""

    def __init__(self, out_channels, in_channels, stride):
        super().__init__()
        self.straight = conv(out_channels // 2, in_channels, 1, stride)
        self.shifted = conv(out_channels // 2, in_channels, 1, stride)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        x = torch.relu(x)
        moved = functional.pad(x, (1, 0, 1, 0))[:, :, :x.shape[2], :x.shape[3]]
        return self.bn(torch.cat([self.straight(x), self.shifted(moved)], dim=1))


class ShakeBlock(nn.Module):
    def __init__(self, out_channels, in_channels, stride, mode):
        super().__init__()
        self.first, self.second = (branch(out_channels, in_channels, stride) for _ in range(2))
        self.shake, self.shortcut = Shake(mode), nn.Identity()
        if in_channels != out_channels:
            self.shortcut = ShiftedShortcut(out_channels, in_channels, stride)

    def forward(self, x):
        active = torch.relu(x)
        return self.shortcut(x) + self.shake(self.first(active), self.second(active))


class CIFARShakeShake(nn.Module):
    def __init__(self, depth, width, classes=10, in_channels=3, shake="S-S-I"):
        super().__init__()
        blocks, channels = (depth - 2) // 6, [16, width, 2 * width, 4 * width]
        parts = [conv(16, in_channels), nn.BatchNorm2d(16)]
        for i, (before, after) in enumerate(zip(channels, channels[1:])):
            sizes = [(after, before, 2 if i else 1)] + [(after, after, 1)] * (blocks - 1)
            parts.append(nn.Sequential(*(ShakeBlock(*size, shake) for size in sizes)))
        self.features = nn.Sequential(*parts, nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.output = nn.Linear(channels[-1], classes)

    def forward(self, x):
        return self.output(self.features(x).flatten(1))
