"""DenseNets: the names of timm and torchvision, `features.denseblock1.denselayer1.norm1`."""

from gluon_tricks.bridge.tables import Table

LAYER = ((0, "norm1"), (2, "conv1"), (3, "norm2"), (5, "conv2"))


def blocks():
    for number in range(4):
        block, transition = 4 + 2 * number, 5 + 2 * number
        for place, name in LAYER:
            yield (rf"^features\.{block}\.(\d+)\.1\.{place}\.",
                   rf"features.denseblock{number + 1}.denselayer\g<1>.{name}.")
        for place, name in ((0, "norm"), (2, "conv")):
            yield rf"^features\.{transition}\.{place}\.", f"features.transition{number + 1}.{name}."


def plus_one(match):
    return f"denselayer{int(match[1]) + 1}."          # layers are counted from 1 there


TABLES = DENSENET, = Table("DenseNet", (
    *blocks(), (r"denselayer(\d+)\.", plus_one), (r"^features\.0\.", "features.conv0."),
    (r"^features\.1\.", "features.norm0."), (r"^features\.11\.", "features.norm5."),
    (r"^output\.", "classifier."))),
