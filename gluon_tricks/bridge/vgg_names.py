"""VGGs: convolutions have the same names; of the dense layers timm makes convolutions, torchvision not."""

from gluon_tricks.bridge.tables import Table

CONVOLUTIONS = {11: 8, 13: 10, 16: 13, 19: 16}
POOLINGS, KERNEL = 5, 7      # the first dense layer sees 7x7 places


def dense_layers(depth, norm):
    """The places of the two dense layers in `features`; between them are a ReLU and, here, nothing else."""
    first = CONVOLUTIONS[depth] * (3 if norm else 2) + POOLINGS
    return first, first + 2


def tables(depth, norm):
    """`(timm's table, torchvision's)` of a net."""
    first, second = dense_layers(depth, norm)
    family = f"VGG-{depth}{', BatchNorm' if norm else ''}"
    kernels = {f"features.{first}.weight": KERNEL, f"features.{second}.weight": 1}
    rules = [(rf"^features\.{first}\.", names[0]) for names in (("pre_logits.fc1.",), ("classifier.0.",))]
    others = [(rf"^features\.{second}\.", name) for name in ("pre_logits.fc2.", "classifier.3.")]
    outputs = [(r"^output\.", name) for name in ("head.fc.", "classifier.6.")]
    timm, torchvision = zip(rules, others, outputs)
    return Table(family, timm, kernels), Table(f"{family}, torchvision", torchvision)


BY_NAME = {f"vgg{depth}{'_bn' if norm else ''}": tables(depth, norm)
           for depth in CONVOLUTIONS for norm in (False, True)}
TABLES = tuple(table for pair in BY_NAME.values() for table in pair)
