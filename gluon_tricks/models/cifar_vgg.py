"""VGG for small images: VGG-16's convolutions (Simonyan & Zisserman 2014, arXiv 1409.1556), one linear layer.

Five stages of 2, 2, 3, 3 and 3 convolutions 3x3, each with a bias, BatchNorm and ReLU, each stage closed by a
2x2 max pooling. The collection of CIFAR-10 experiments calls it "VGG-like, depth 15".
"""

from mxnet.gluon import nn

from gluon_tricks.models.blocks import Classifier


class CIFARVGG(Classifier):
    """VGG: (N, in_channels, H, W) -> (N, classes); H and W up to 32, so that five halvings leave one pixel.

    Parameters
    ----------
    layers, channels : sequences of int
        Number of convolutions in each stage, and their channels.
    """

    def __init__(self, layers, channels, classes=10, in_channels=3, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            for count, width in zip(layers, channels):
                for _ in range(count):
                    self.features.add(
                        nn.Conv2D(width, 3, padding=1, in_channels=in_channels),  # (N, width, H, W)
                        nn.BatchNorm(in_channels=width),
                        nn.Activation("relu"))
                    in_channels = width
                self.features.add(nn.MaxPool2D(2, 2, ceil_mode=True))             # (N, width, H/2, W/2)
            self.features.add(nn.Flatten())  # (N, 512) of 32x32 and of 28x28
            self.output = nn.Dense(classes, in_units=channels[-1])                # (N, classes)
