"""ResNets and their relatives, whose names in timm are torchvision's: `layer1.0.conv1`, `fc`.

Nets from v1b on have these names here too. Earlier ones count their layers.
"""

from gluon_tricks.bridge.tables import Table

BODY = tuple((rf"\.body\.{number}\.", f".{name}.") for number, name in (
    (0, "conv1"), (1, "bn1"), (3, "conv2"), (4, "bn2"), (6, "conv3"), (7, "bn3")))
REST = (*BODY, (r"\.se\.0\.", ".se.fc1."), (r"\.se\.2\.", ".se.fc2."), (r"^output\.", "fc."))


def stages(first):
    """The four stages, of which the first is child `first` of `features`."""
    return tuple((rf"^features\.{first + number}\.(?=\d)", f"layer{number + 1}.") for number in range(4))


COUNTED = Table("ResNet, counted layers", (
    *stages(4), (r"^features\.0\.", "conv1."), (r"^features\.1\.", "bn1."), *REST))
DEEP_STEM = Table("ResNet, counted layers, deep stem", (
    *stages(10), (r"^features\.([01346])\.", r"conv1.\1."), (r"^features\.7\.", "bn1."), *REST))
# Path B of the first stage has no pooling, for which timm keeps a place
DEEP_STEM_AVERAGED = Table("ResNet, counted layers, deep stem, averaging path B", (
    *DEEP_STEM.rules, (r"^layer1\.0\.downsample\.1\.", "layer1.0.downsample.2."),
    (r"^layer1\.0\.downsample\.0\.", "layer1.0.downsample.1.")))
# timm's port of the first code: its stem is layer0
LEGACY_SENET = Table("SENet-154", (
    *stages(10), *((rf"^features\.{number}\.", f"layer0.{name}.") for number, name in (
        (0, "conv1"), (1, "bn1"), (3, "conv2"), (4, "bn2"), (6, "conv3"), (7, "bn3"))),
    *BODY, (r"\.se\.0\.", ".se_module.fc1."), (r"\.se\.2\.", ".se_module.fc2."),
    (r"^output\.", "last_linear.")))
RESNEST = Table("ResNeSt", ((r"\.conv2\.bn\.", ".conv2.bn0."),))
TABLES = COUNTED, DEEP_STEM, DEEP_STEM_AVERAGED, LEGACY_SENET, RESNEST
