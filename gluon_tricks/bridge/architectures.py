"""The nets that timm has: its name of each, the arguments that make it ours, and the table of its names.

`python -m gluon_tricks bridge --check` proves every line: equal weights give equal outputs and gradients.
"""

from typing import NamedTuple

from gluon_tricks.bridge import densenet_names, inception_names, mobilenet_names, resnet_names, vgg_names
from gluon_tricks.bridge.tables import AS_HERE, Table

ALL_TABLES = (AS_HERE, *resnet_names.TABLES, *mobilenet_names.TABLES, *inception_names.TABLES,
              *densenet_names.TABLES, *vgg_names.TABLES)


class Architecture(NamedTuple):
    """A net in timm.

    Attributes
    ----------
    name : str
        For `timm.create_model`.
    table : Table
    args : dict
        Its keywords. They go into config.json, from which timm takes them.
    """
    name: str
    table: Table = AS_HERE
    args: dict = {}          # never modified


DEPTHS, DEEP = (18, 34, 50, 101, 152), (50, 101, 152)
E_STEM = {"stem_width": 64}                               # v1e: v1d with v1s's stem
E_NEXT = {"stem_type": "deep", "stem_width": 64, "avg_down": True}

ARCHITECTURES = {
    # The first 1x1 convolution takes the stride in ResNet-50 v1 and deeper ones: timm has no such net
    **{f"resnet{depth}_v1": Architecture(f"resnet{depth}", resnet_names.COUNTED) for depth in (18, 34)},
    **{f"resnet{depth}_v1b": Architecture(f"resnet{depth}") for depth in DEPTHS},
    **{f"resnet{depth}_v1{letter}": Architecture(f"resnet{depth}{letter}")
       for letter in "cds" for depth in DEEP},
    **{f"resnet{depth}_v1e": Architecture(f"resnet{depth}d", args=E_STEM) for depth in DEEP},
    "resnet50_v1b_gn": Architecture("resnet50_gn"),
    "resnet101_v1b_gn": Architecture("resnet101", args={"norm_layer": "groupnorm"}),
    # GluonCV's
    "resnext50_32x4d": Architecture("resnext50_32x4d", resnet_names.COUNTED),
    "resnext101_32x4d": Architecture("resnext101_32x4d", resnet_names.COUNTED),
    "resnext101_64x4d": Architecture("resnext101_64x4d", resnet_names.COUNTED),
    "resnext101e_64x4d": Architecture("resnext101_64x4d", resnet_names.DEEP_STEM_AVERAGED, E_NEXT),
    "se_resnext101e_64x4d": Architecture("seresnext101_64x4d", resnet_names.DEEP_STEM_AVERAGED, E_NEXT),
    "se_resnext50_32x4d": Architecture("seresnext50_32x4d", resnet_names.COUNTED),
    "se_resnext101_32x4d": Architecture("seresnext101_32x4d", resnet_names.COUNTED),
    "se_resnext101_64x4d": Architecture("seresnext101_64x4d", resnet_names.COUNTED),
    "senet_154": Architecture("legacy_senet154", resnet_names.LEGACY_SENET),
    **{f"resnest{depth}": Architecture(f"resnest{depth}{end}", resnet_names.RESNEST) for depth, end in (
        (14, "d"), (26, "d"), (50, "d"), (101, "e"), (200, "e"), (269, "e"))},
    "mobilenet1.0": Architecture("mobilenetv1_100", mobilenet_names.V1, {"act_layer": "relu"}),
    "mobilenetv2_1.0": Architecture("mobilenetv2_100", mobilenet_names.V2),
    "mobilenetv3_large": Architecture("mobilenetv3_large_100", mobilenet_names.V3_LARGE),
    "inceptionv3": Architecture("inception_v3", inception_names.INCEPTION_V3),
    **{f"densenet{depth}": Architecture(f"densenet{depth}", densenet_names.DENSENET)
       for depth in (121, 161, 169, 201)},
    **{name: Architecture(name, tables[0]) for name, tables in vgg_names.BY_NAME.items()},
}
