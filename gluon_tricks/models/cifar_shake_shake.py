"""Shake-shake nets: Gastaldi 2017 (arXiv 1705.07485).

Each block has two residual branches, mixed by random weights that differ between forward and backward:

    forward    x + a r_1(x) + (1 - a) r_2(x)            a: Shake, uniform in [0, 1], or Even, 1/2
    backward   d r_1 = b d out, d r_2 = (1 - b) d out   b: Shake, drawn again; Even, 1/2; or Keep, equal to a
    level      one a and one b for each Image, or for the whole Batch

"S-S-I" names the three options. In prediction a is 1/2. The draws come from MXNet's generator, which the
training loop seeds before each update, so a resumed run draws the same numbers.
"""

from contextlib import contextmanager

from mxnet.gluon import HybridBlock, nn

from gluon_tricks.errors import UserError
from gluon_tricks.models.blocks import Classifier, GlobalMean, concat_channels, conv1x1, conv3x3
from gluon_tricks.models.cifar_preact import activation

MODES = tuple(f"{forward}-{backward}-{level}" for forward in "SE" for backward in "SEK" for level in "IB")


class Shake(HybridBlock):
    """Two branches of shape (N, C, H, W) mixed to one, with another weight in backward than in forward.

    In

        out = r_2 + b (r_1 - r_2) + stop((a - b) (r_1 - r_2))

    only the forward sees the last term, because its gradient is stopped: the value has the weight a, the
    gradients have b and 1 - b. Made of operators, it is compiled with the net. Under `predicting` it is the
    mean of the branches.
    """

    def __init__(self, mode="S-S-I", prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        if mode not in MODES:
            raise UserError(f"shake must be one of {', '.join(MODES)}, got {mode!r}")
        self.forward_mode, self.backward_mode, self.level = mode.split("-")
        self.is_predicting = False

    def hybrid_forward(self, F, first, second):
        if self.is_predicting:
            return (first + second) / 2
        images = F.BlockGrad(F.mean(first, axis=(1, 2, 3), keepdims=True))                 # (N, 1, 1, 1)
        even = F.zeros_like(images) + 0.5
        # Dropout gives 0 or 2 in training and 1 in prediction: this is how a compiled net detects training
        training = F.abs(F.Dropout(F.ones_like(images), p=0.5) - 1)
        a = self.weights(F, images, even, training) if self.forward_mode == "S" else even
        b = {"S": lambda: self.weights(F, images, even, training), "E": lambda: even,
             "K": lambda: a}[self.backward_mode]()
        a, b, difference = F.BlockGrad(a), F.BlockGrad(b), first - second
        return second + F.broadcast_mul(difference, b) + F.BlockGrad(F.broadcast_mul(difference, a - b))

    def weights(self, F, images, even, training):
        """Uniform draws in training, 1/2 in prediction: (N, 1, 1, 1)."""
        draws = F.random.uniform_like(images, low=0.0, high=1.0)
        if self.level == "B":
            draws = F.broadcast_like(F.slice_axis(draws, axis=0, begin=0, end=1), images)
        return even + training * (draws - 0.5)


@contextmanager
def predicting(net):
    """Context in which a net is traced for prediction: branches are averaged by one sum, nothing is drawn.

    For graphs that never train. Nets that are already compiled keep their graph.
    """
    shakes = []
    net.apply(lambda block: shakes.append(block) if isinstance(block, Shake) else None)
    for shake in shakes:
        shake.is_predicting = True
    try:
        yield
    finally:
        for shake in shakes:
            shake.is_predicting = False


class ShakeBlock(HybridBlock):
    """Two branches (ReLU, conv 3x3, BatchNorm, twice), mixed by `Shake` and added to the shortcut."""

    def __init__(self, out_channels, in_channels, stride, mode, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        self.first, self.second = (branch(out_channels, in_channels, stride) for _ in range(2))
        self.shake = Shake(mode)
        self.shortcut = ShiftedShortcut(out_channels, in_channels,
                                        stride) if in_channels != out_channels else None

    def hybrid_forward(self, F, x):
        shortcut = x if self.shortcut is None else self.shortcut(x)      # (N, D, H/S, W/S)
        active = F.relu(x)
        return shortcut + self.shake(self.first(active), self.second(active))


def branch(out_channels, in_channels, stride):
    """A residual branch without its first ReLU: (N, C, H, W) -> (N, D, H/S, W/S)."""
    layers = nn.HybridSequential(prefix="")
    layers.add(conv3x3(out_channels, in_channels, stride), *activation(out_channels),
               conv3x3(out_channels, out_channels), nn.BatchNorm(in_channels=out_channels))
    return layers


class ShiftedShortcut(HybridBlock):
    """Half of the channels from the image, half from the image moved by one pixel to the right and down.

    If the block halves the image, the two halves of the channels thus see different pixels.
    """

    def __init__(self, out_channels, in_channels, stride, prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        self.straight = conv1x1(out_channels // 2, in_channels, stride)
        self.shifted = conv1x1(out_channels // 2, in_channels, stride)
        self.bn = nn.BatchNorm(in_channels=out_channels)

    def hybrid_forward(self, F, x):
        x = F.relu(x)
        # (N, C, H + 1, W + 1)
        moved = F.pad(x, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0, 1, 0, 1, 0))
        moved = F.slice_like(moved, x, axes=(2, 3))  # (N, C, H, W)
        return self.bn(concat_channels(F, self.straight(x), self.shifted(moved)))  # (N, D, H/S, W/S)


class CIFARShakeShake(Classifier):
    """Shake-shake net of depth 6n + 2: (N, in_channels, H, W) -> (N, classes).

    Parameters
    ----------
    width : int
        Channels of each branch in the first stage: 32 in "26 2x32d".
    shake : one of MODES
    """

    def __init__(self, depth, width, classes=10, in_channels=3, shake="S-S-I", prefix=None, params=None):
        super().__init__(prefix=prefix, params=params)
        blocks, rest = divmod(depth - 2, 6)
        assert not rest, f"no shake-shake net of depth {depth}"
        channels = [16, width, 2 * width, 4 * width]
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(conv3x3(16, in_channels), nn.BatchNorm(in_channels=16))  # (N, 16, H, W)
            for i, (before, after) in enumerate(zip(channels, channels[1:])):
                stage = nn.HybridSequential(prefix=f"stage{i + 1}_")
                with stage.name_scope():
                    for j in range(blocks):
                        stage.add(ShakeBlock(after, before if j == 0 else after, 2 if i and j == 0 else 1,
                                             shake))
                self.features.add(stage)  # ... (N, 4w, H/4, W/4)
            self.features.add(nn.Activation("relu"), GlobalMean())
            self.output = nn.Dense(classes, in_units=channels[-1])
