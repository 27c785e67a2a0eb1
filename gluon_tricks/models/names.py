"""The nets of this kit: name -> class and its arguments. Importing this file does not import MXNet."""

from functools import partial
from importlib import import_module
from typing import NamedTuple


class Entry(NamedTuple):
    """A class of this folder and the arguments that make it the net of that name."""

    file: str
    name: str
    args: tuple = ()
    kwargs: dict = {}      # never modified

    def builder(self):
        """Import the class: callable (classes=, ...) -> HybridBlock, with these arguments bound."""
        net_class = getattr(import_module(f"gluon_tricks.models.{self.file}"), self.name)
        return partial(net_class, *self.args, **self.kwargs)


DEPTHS, BOTTLENECK_DEPTHS = (18, 34, 50, 101, 152), (50, 101, 152)

RESNETS = {
    **{f"resnet{depth}_v1": Entry("resnet", "ResNetV1", (depth,)) for depth in DEPTHS},
    **{f"resnet{depth}_v1b": Entry("resnet", "ResNetV1b", (depth, "v1b")) for depth in DEPTHS},
    **{f"resnet{depth}_{variant}": Entry("resnet", "ResNetV1b", (depth, variant))
       for variant in ("v1c", "v1d", "v1s", "v1e") for depth in BOTTLENECK_DEPTHS},
    **{f"resnet{depth}_v1b_gn": Entry("resnet", "ResNetV1bGroupNorm", (depth, "v1b")) for depth in (50, 101)},
}

GLUONCV_NETS = {  # the nets that GluonCV has under the same name
    **RESNETS,
    "cifar_resnet20_v1": Entry("cifar_resnet", "CIFARResNetV1", (3,)),    # 20 = 6 x 3 + 2
    "cifar_resnet56_v1": Entry("cifar_resnet", "CIFARResNetV1", (9,)),    # 56 = 6 x 9 + 2
    "cifar_resnet110_v1": Entry("cifar_resnet", "CIFARResNetV1", (18,)),  # 110 = 6 x 18 + 2
    "cifar_resnet20_v2": Entry("cifar_resnet", "CIFARResNetV2", (3,)),
    "cifar_resnet56_v2": Entry("cifar_resnet", "CIFARResNetV2", (9,)),
    "cifar_resnet110_v2": Entry("cifar_resnet", "CIFARResNetV2", (18,)),
    "cifar_wideresnet16_10": Entry("cifar_wideresnet", "CIFARWideResNet", (2, 10)),  # 16 = 6 x 2 + 4
    "cifar_wideresnet28_10": Entry("cifar_wideresnet", "CIFARWideResNet", (4, 10)),  # 28 = 6 x 4 + 4
    "cifar_wideresnet40_8": Entry("cifar_wideresnet", "CIFARWideResNet", (6, 8)),    # 40 = 6 x 6 + 4
    "cifar_resnext29_16x64d": Entry("cifar_resnext", "CIFARResNeXt", (3, 16, 64)),   # 29 = 9 x 3 + 2
    "cifar_resnext29_32x4d": Entry("cifar_resnext", "CIFARResNeXt", (3, 32, 4)),
}

COLLECTION_NETS = {  # the nets of the CIFAR collections
    "cifar_resnext29_4x64d": Entry("cifar_resnext", "CIFARResNeXt", (3, 4, 64)),
    "cifar_resnext29_8x64d": Entry("cifar_resnext", "CIFARResNeXt", (3, 8, 64)),
    "cifar_vgg15_bn": Entry("cifar_vgg", "CIFARVGG", ((2, 2, 3, 3, 3), (64, 128, 256, 512, 512))),
    "cifar_resnet20_basic": Entry("cifar_postact", "CIFARPostact", (20,)),
    "cifar_resnet110_basic": Entry("cifar_postact", "CIFARPostact", (110,)),
    "cifar_resnet164_bottleneck": Entry("cifar_postact", "CIFARPostact", (164, "bottleneck")),
    **{f"cifar_preact{depth}": Entry("cifar_preact", "CIFARPreact", (depth,)) for depth in (20, 50, 56, 110)},
    "cifar_preact20_w4": Entry("cifar_preact", "CIFARPreact", (20,), {"width": 4}),
    "cifar_preact50_w4": Entry("cifar_preact", "CIFARPreact", (50,), {"width": 4}),
    "cifar_preact164_bottleneck": Entry("cifar_preact", "CIFARPreact", (164, "bottleneck")),
    "cifar_preact1001_bottleneck": Entry("cifar_preact", "CIFARPreact", (1001, "bottleneck")),
    "cifar_se_preact20": Entry("cifar_preact", "CIFARPreact", (20,), {"se_reduction": 16}),
    "cifar_se_preact110": Entry("cifar_preact", "CIFARPreact", (110,), {"se_reduction": 16}),
    "cifar_densenet40_k12": Entry("cifar_densenet", "CIFARDenseNet", (40, 12)),
    "cifar_densenet100_k12": Entry("cifar_densenet", "CIFARDenseNet", (100, 12)),
    "cifar_densenet100_k24": Entry("cifar_densenet", "CIFARDenseNet", (100, 24)),
    "cifar_densenet_bc100_k12": Entry("cifar_densenet", "CIFARDenseNet", (100, 12, True)),
    "cifar_densenet_bc250_k24": Entry("cifar_densenet", "CIFARDenseNet", (250, 24, True)),
    "cifar_densenet_bc190_k40": Entry("cifar_densenet", "CIFARDenseNet", (190, 40, True)),
    "cifar_pyramidnet110_a48": Entry("cifar_pyramidnet", "CIFARPyramidNet", (110, 48)),
    "cifar_pyramidnet110_a84": Entry("cifar_pyramidnet", "CIFARPyramidNet", (110, 84)),
    "cifar_pyramidnet110_a270": Entry("cifar_pyramidnet", "CIFARPyramidNet", (110, 270)),
    "cifar_pyramidnet164_a270_bottleneck": Entry("cifar_pyramidnet", "CIFARPyramidNet",
                                                 (164, 270, "bottleneck")),
    "cifar_pyramidnet272_a200_bottleneck": Entry("cifar_pyramidnet", "CIFARPyramidNet",
                                                 (272, 200, "bottleneck")),
    **{f"cifar_shake_shake26_2x{width}d": Entry("cifar_shake_shake", "CIFARShakeShake", (26, width))
       for width in (32, 64, 96, 128)},
}

MODELS = {**GLUONCV_NETS, **COLLECTION_NETS}
