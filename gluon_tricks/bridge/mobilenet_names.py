"""MobileNets, which timm builds from stages of blocks: `blocks.2.0.conv_dw`.

Here the units are counted through, after the three layers of the stem.
"""

from gluon_tricks.bridge.tables import Table

STEM = (r"^features\.0\.", "conv_stem."), (r"^features\.1\.", "bn1.")
CLASSIFIER = (r"^output\.(0\.)?", "classifier."),
FIRST = 3                    # child of `features` after the stem


def places(units_per_stage):
    """`stage.unit` of each unit, counted through."""
    return [f"{stage}.{unit}" for stage, units in enumerate(units_per_stage) for unit in range(units)]


def unit_rules(place, layers):
    """Rules for the layers of a unit: pairs of (ours, theirs)."""
    return tuple((rf"^{ours}\.", f"blocks.{place}.{theirs}.") for ours, theirs in layers)


def v1():
    """Six layers of `features` for each unit: depthwise convolution, BatchNorm, ReLU, then pointwise."""
    for number, place in enumerate(places((1, 2, 2, 6, 2))):
        yield from unit_rules(place, [(rf"features\.{FIRST + 6 * number + layer}", name) for layer, name in (
            (0, "conv_dw"), (1, "bn1"), (3, "conv_pw"), (4, "bn2"))])


PLAIN_UNIT = (("0", "conv_dw"), ("1", "bn1"), ("3", "conv_pw"), ("4", "bn2"))
INVERTED_UNIT = (("0", "conv_pw"), ("1", "bn1"), ("3", "conv_dw"), ("4", "bn2"), ("6", "conv_pwl"),
                 ("7", "bn3"))


def v2():
    for number, place in enumerate(places((1, 2, 3, 4, 3, 3, 1))):
        layers = INVERTED_UNIT if number else PLAIN_UNIT
        yield from unit_rules(place, [(rf"features\.{FIRST + number}\.out\.{layer}", name)
                                      for layer, name in layers])


PLAIN_V3 = ((r"conv1\.conv", "conv_dw"), (r"conv1\.bn", "bn1"), (r"conv2\.conv", "conv_pw"),
            (r"conv2\.bn", "bn2"))
EXPANDED_V3 = ((r"expand\.conv", "conv_pw"), (r"expand\.bn", "bn1"), (r"conv1\.conv", "conv_dw"),
               (r"conv1\.bn", "bn2"), (r"se\.conv1", "se.conv_reduce"), (r"se\.conv2", "se.conv_expand"),
               (r"conv2\.conv", "conv_pwl"), (r"conv2\.bn", "bn3"))


def v3_large():
    for number, place in enumerate(places((1, 2, 3, 4, 2, 3))):
        layers = EXPANDED_V3 if number else PLAIN_V3
        yield from unit_rules(place, [(rf"features\.{FIRST + number}\.{layer}", name)
                                      for layer, name in layers])


DENSE = {"output.0.weight": 0}
V1 = Table("MobileNet", (*v1(), *STEM, *CLASSIFIER))
V2 = Table("MobileNetV2", (*v2(), (r"^features\.20\.", "conv_head."), (r"^features\.21\.", "bn2."), *STEM,
                           *CLASSIFIER), DENSE, {"classifier.bias": "output.0.weight"})
V3_LARGE = Table("MobileNetV3, large", (
    *v3_large(), (r"^features\.18\.", "blocks.6.0.conv."), (r"^features\.19\.", "blocks.6.0.bn1."),
    (r"^features\.22\.", "conv_head."), *STEM, *CLASSIFIER), DENSE, {"conv_head.bias": "features.22.weight"})
TABLES = V1, V2, V3_LARGE
