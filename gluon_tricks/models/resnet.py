"""ResNet-18 to ResNet-152, and the paper's three tweaks of them (§4, Figures 1 and 2).

    v1   ResNet     Figure 1    a downsampling block halves the size in path A's first convolution, a 1x1
    v1b  ResNet-B   Figure 2a   ... in its 3x3 convolution, which ignores none of the input
    v1c  ResNet-C   Figure 2b   and three 3x3 convolutions replace the 7x7 of the input stem
    v1d  ResNet-D   Figure 2c   and path B averages 2x2 before its 1x1 convolution, which then uses all of it

v1s and v1e, which the paper does not have, are v1c and v1d with a stem of twice the width.

Parameters are named as in GluonCV, in `.params` files and in Gluon, where the prefix is fixed from v1b on
(`resnetv1d_`): two such nets in one process have the same Gluon names. That matters only if both are children
of one block; `prefix` then separates them. As in GluonCV, the 1x1 convolutions in path A of v1 have biases,
which the BatchNorms after them undo; only the first convolution of the deep stem has stride 2, as in Figure
2b, while the text of §4.2 gives the second one too; and ResNet-18 and ResNet-34 compute the same in v1 and
v1b.
"""

from functools import partial
from typing import Callable, NamedTuple

from mxnet.gluon import HybridBlock, nn

from gluon_tricks.errors import UserError
from gluon_tricks.models.blocks import Classifier, GlobalMean, GroupNorm, conv1x1, conv3x3


class Tweaks(NamedTuple):
    """What a variant changes in the ResNet of Figure 1."""

    stride_3x3: bool = False  # ResNet-B: the 3x3 convolution of path A takes the stride, not the first 1x1
    deep_stem: bool = False   # ResNet-C: three 3x3 convolutions, not one 7x7
    avg_down: bool = False    # ResNet-D: path B averages, then convolves with stride 1
    # channels of the first two convolutions of the deep stem; the third has twice as many
    stem_width: int = 32
    bias_1x1: bool = False    # biases in the 1x1 convolutions of path A


VARIANTS = {
    "v1": Tweaks(bias_1x1=True),
    "v1b": Tweaks(stride_3x3=True),
    "v1c": Tweaks(stride_3x3=True, deep_stem=True),
    "v1d": Tweaks(stride_3x3=True, deep_stem=True, avg_down=True),
    "v1s": Tweaks(stride_3x3=True, deep_stem=True, stem_width=64),
    "v1e": Tweaks(stride_3x3=True, deep_stem=True, avg_down=True, stem_width=64),
}


# --- Parts of the figures -----------------------------------------------------------------------------------
# In the shapes below S is the stride, P the number of channels of the 3x3 convolutions, D that of the block's
# output.

class BlockShape(NamedTuple):
    """One residual block: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""

    in_channels: int
    planes: int
    out_channels: int
    stride: int
    dilations: tuple  # of the first 3x3 convolution and, in basic blocks, of the second


def basic(shape, tweaks, norm, last_gamma):
    """Path A of ResNet-18 and ResNet-34: a list of layers. D = P."""
    planes = shape.planes
    return [
        conv3x3(planes, shape.in_channels, shape.stride, dilation=shape.dilations[0]),  # (N, P, H/S, W/S)
        norm(in_channels=planes),
        nn.Activation("relu"),
        conv3x3(planes, planes, dilation=shape.dilations[1]),                        # (N, P, H/S, W/S)
        norm(in_channels=planes, gamma_initializer=_first_gamma(last_gamma)),
    ]


def bottleneck(shape, tweaks, norm, last_gamma):
    """Path A of ResNet-50 and deeper: a list of layers. D = 4P."""
    planes, bias = shape.planes, tweaks.bias_1x1
    stride_1x1, stride_3x3 = (1, shape.stride) if tweaks.stride_3x3 else (shape.stride, 1)  # Figure 2a
    return [
        conv1x1(planes, shape.in_channels, stride_1x1, use_bias=bias),  # (N, P, H, W); v1: (N, P, H/S, W/S)
        norm(in_channels=planes),
        nn.Activation("relu"),
        conv3x3(planes, planes, stride_3x3, dilation=shape.dilations[0]),            # (N, P, H/S, W/S)
        norm(in_channels=planes),
        nn.Activation("relu"),
        conv1x1(shape.out_channels, planes, use_bias=bias),                          # (N, 4P, H/S, W/S)
        norm(in_channels=shape.out_channels, gamma_initializer=_first_gamma(last_gamma)),
    ]


def path_b(shape, tweaks, norm, prefix):
    """The shortcut where sizes change, else None: (N, in_channels, H, W) -> (N, D, H/S, W/S)."""
    if shape.stride == 1 and shape.in_channels == shape.out_channels:
        return None
    shortcut = nn.HybridSequential(prefix=prefix)
    with shortcut.name_scope():
        if tweaks.avg_down:                                                          # Figure 2c
            shortcut.add(nn.AvgPool2D(shape.stride, shape.stride, ceil_mode=True, count_include_pad=False),
                         conv1x1(shape.out_channels, shape.in_channels))
        else:
            shortcut.add(conv1x1(shape.out_channels, shape.in_channels, shape.stride))
        shortcut.add(norm(in_channels=shape.out_channels))
    return shortcut


def stem(tweaks, norm):
    """The input stem, four layers: (N, 3, H, W) -> (N, 64, H/4, W/4); 128 channels for stem_width 64."""
    if tweaks.deep_stem:                                                             # Figure 2b
        width = tweaks.stem_width
        conv1 = nn.HybridSequential(prefix="")
        conv1.add(
            conv3x3(width, 3, stride=2),                                             # (N, 32, H/2, W/2)
            norm(in_channels=width),
            nn.Activation("relu"),
            conv3x3(width, width),                                                   # (N, 32, H/2, W/2)
            norm(in_channels=width),
            nn.Activation("relu"),
            conv3x3(2 * width, width),                                               # (N, 64, H/2, W/2)
        )
    else:
        conv1 = nn.Conv2D(64, 7, strides=2, padding=3, use_bias=False, in_channels=3)
    return conv1, norm(in_channels=_stem_channels(tweaks)), nn.Activation("relu"), nn.MaxPool2D(3, 2,
                                                                                                padding=1)


def _stem_channels(tweaks):
    return 2 * tweaks.stem_width if tweaks.deep_stem else 64


def _first_gamma(last_gamma):
    """Initializer of a block's last gamma; 0 makes the block start as its shortcut (zero gamma, §3.1)."""
    return "zeros" if last_gamma else "ones"


# --- Depths -------------------------------------------------------------------------------------------------

class Depth(NamedTuple):
    """Meaning of the number in a ResNet's name."""

    path_a: Callable         # basic or bottleneck
    expansion: int           # D / P
    blocks_per_stage: tuple


DEPTHS = {
    18: Depth(basic, 1, (2, 2, 2, 2)),
    34: Depth(basic, 1, (3, 4, 6, 3)),
    50: Depth(bottleneck, 4, (3, 4, 6, 3)),
    101: Depth(bottleneck, 4, (3, 4, 23, 3)),
    152: Depth(bottleneck, 4, (3, 8, 36, 3)),
}

PLANES = (64, 128, 256, 512)  # P of each stage

# (stride of its first block, dilation) of each stage
STRIDES = ((1, 1), (2, 1), (2, 1), (2, 1))  # with the stem's 4, 32 in all
DILATED = ((1, 1), (2, 1), (1, 2), (1, 4))  # 8 in all: dilated kernels replace the strides


def block_shapes(depth, in_channels, dilated=False):
    """The residual blocks of each of the four stages.

    Returns
    -------
    list of list of BlockShape
    """
    stages = []
    for planes, blocks, (stride, dilation) in zip(PLANES, depth.blocks_per_stage,
                                                  DILATED if dilated else STRIDES):
        out_channels = depth.expansion * planes
        first = BlockShape(in_channels, planes, out_channels, stride, (max(dilation // 2, 1), dilation))
        other = BlockShape(out_channels, planes, out_channels, 1, (dilation, dilation))
        stages.append([first] + [other] * (blocks - 1))
        in_channels = out_channels
    return stages


# --- Nets: v1 counts its layers, later variants name them ---------------------------------------------------

class ResidualV1(HybridBlock):
    """ReLU of path A plus path B. In files: `body.0`, `body.1`, ... and `downsample.0`, ..."""

    def __init__(self, path_a, shape, tweaks, norm, last_gamma):
        super().__init__(prefix="")
        self.body = nn.HybridSequential(prefix="")
        self.body.add(*path_a(shape, tweaks, norm, last_gamma))
        self.downsample = path_b(shape, tweaks, norm, prefix="")
        self.relu = nn.Activation("relu")

    def hybrid_forward(self, F, x):
        shortcut = x if self.downsample is None else self.downsample(x)  # (N, D, H/S, W/S)
        return self.relu(self.body(x) + shortcut)                        # (N, D, H/S, W/S)


class ResidualV1b(HybridBlock):
    """ReLU of path A plus path B. In files: `conv1`, `bn1`, `conv2`, ... and `downsample.0`, ..."""

    LAYERS = ("conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "conv3", "bn3")

    def __init__(self, path_a, downsample):
        super().__init__(prefix="")
        self._path_a = self.LAYERS[:len(path_a)]
        for name, layer in zip(self._path_a, path_a):
            setattr(self, name, layer)
        self.downsample = downsample
        self.relu = nn.Activation("relu")

    def hybrid_forward(self, F, x):
        shortcut = x if self.downsample is None else self.downsample(x)  # (N, D, H/S, W/S)
        for name in self._path_a:
            x = getattr(self, name)(x)
        return self.relu(x + shortcut)                                   # (N, D, H/S, W/S)


class ResNetV1(Classifier):
    """ResNet as in Figure 1: (N, 3, H, W) -> (N, classes).

    Parameters
    ----------
    depth : int
        18, 34, 50, 101 or 152.
    classes : int
    last_gamma : bool
        Zero gamma (§3.1): start each residual block as its shortcut.
    thumbnail : bool
        A 3x3 convolution with stride 1 for the whole stem, for images of a few dozen pixels.
    norm_layer : callable (in_channels=, [gamma_initializer=]) -> HybridBlock
        Normalization: `nn.BatchNorm`, `GroupNorm`, a `partial` of them, ...
    """

    def __init__(self, depth, classes=1000, last_gamma=False, thumbnail=False, norm_layer=nn.BatchNorm,
                 prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        tweaks, depth = VARIANTS["v1"], DEPTHS[depth]
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            if thumbnail:
                self.features.add(conv3x3(64, 3))                        # (N, 64, H, W)
            else:
                self.features.add(*stem(tweaks, norm_layer))             # (N, 64, H/4, W/4)
            for index, shapes in enumerate(block_shapes(depth, in_channels=64), start=1):
                stage = nn.HybridSequential(prefix=f"stage{index}_")
                with stage.name_scope():
                    for shape in shapes:
                        stage.add(ResidualV1(depth.path_a, shape, tweaks, norm_layer, last_gamma))
                self.features.add(stage)                                 # (N, D, H/32, W/32) after the fourth
            self.features.add(GlobalMean())                              # (N, D, 1, 1)
            self.output = nn.Dense(classes, in_units=shape.out_channels)  # (N, classes)


class ResNetV1b(HybridBlock):
    """ResNet-B, -C, -D and the wider v1s and v1e: (N, 3, H, W) -> (N, classes).

    Parameters
    ----------
    depth : int
        18, 34, 50, 101 or 152.
    variant : str
        A key of `VARIANTS`, but not 'v1'.
    classes : int
    last_gamma : bool
        Zero gamma (§3.1): start each residual block as its shortcut. GluonCV ignores it in resnet18_v1b and
        resnet34_v1b, so their published runs did not have it even if their commands do.
        `fix_last_gamma=False` in `get_model` ignores it here too.
    dilated : bool
        For segmentation: the last two stages keep height and width, H/8 and W/8, and dilate their
        convolutions.
    final_drop : float in [0, 1)
        Share of features dropped before the classifier.
    use_global_stats : bool
        BatchNorm uses its running statistics in training too.
    norm_layer : callable (in_channels=, [gamma_initializer=]) -> HybridBlock
        Normalization: `nn.BatchNorm`, `GroupNorm`, a `partial` of them, ...
    prefix : str
        Of the Gluon names; None takes GluonCV's, `resnetv1d_` for v1d.

    Raises
    ------
    UserError
        If final_drop is outside [0, 1), or `use_global_stats` is set with GroupNorm, which has no statistics.
    """

    # So many parameters because GluonCV's class takes them
    def __init__(self, depth, variant, classes=1000, last_gamma=False, dilated=False, final_drop=0.0,
                 use_global_stats=False, norm_layer=nn.BatchNorm, prefix=None, params=None):
        if not 0.0 <= final_drop < 1.0:
            raise UserError(f"final_drop must be in [0, 1), got {final_drop}")
        if use_global_stats:
            if norm_layer is GroupNorm:
                raise UserError("use_global_stats is for BatchNorm: GroupNorm keeps no statistics; leave it "
                                "out")
            norm_layer = partial(norm_layer, use_global_stats=True)
        super().__init__(prefix=f"resnet{variant}_" if prefix is None else prefix, params=params)
        tweaks, depth = VARIANTS[variant], DEPTHS[depth]
        with self.name_scope():
            self.conv1, self.bn1, self.relu, self.maxpool = stem(tweaks, norm_layer)
            for index, shapes in enumerate(block_shapes(depth, _stem_channels(tweaks), dilated), start=1):
                shortcuts = [path_b(shape, tweaks, norm_layer, prefix=f"down{index}_") for shape in shapes]
                stage = nn.HybridSequential(prefix=f"layers{index}_")
                with stage.name_scope():
                    for shape, shortcut in zip(shapes, shortcuts):
                        stage.add(ResidualV1b(depth.path_a(shape, tweaks, norm_layer, last_gamma), shortcut))
                setattr(self, f"layer{index}", stage)
            self.avgpool = GlobalMean()
            self.flat = nn.Flatten()
            self.drop = nn.Dropout(final_drop) if final_drop > 0 else None
            self.fc = nn.Dense(classes, in_units=shape.out_channels)

    def hybrid_forward(self, F, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))       # (N, 64, H/4, W/4)
        # (N, D, H/32, W/32); dilated: (N, D, H/8, W/8)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.flat(self.avgpool(x))                             # (N, D)
        if self.drop is not None:
            x = self.drop(x)
        return self.fc(x)                                          # (N, classes)


ResNetV1bGroupNorm = partial(ResNetV1b, norm_layer=GroupNorm)
