"""Class names in label order, and the labels that ILSVRC2012's validation archive lacks."""

import lzma
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parent

CIFAR10_CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())

CIFAR100_CLASSES = tuple("""
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
    lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal
    shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
    telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split())

MNIST_CLASSES = tuple("0123456789")
FASHION_MNIST_CLASSES = tuple("T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag "
                              "Ankle_boot".split())
KMNIST_CLASSES = tuple("o ki su tsu na ha ma ya re wo".split())


def imagenet_synsets():
    """`(wnid, name)` of the 1000 classes of ILSVRC2012 in label order, which is the order of the wnids.

    Names are not unique (two cranes, two maillots); wnids are.
    """
    return [tuple(line.split())
            for line in (DATA / "imagenet_synsets.txt").read_text(encoding="ascii").splitlines()]


def imagenet_val_labels():
    """The label of ILSVRC2012_val_00000001.JPEG, ...02.JPEG and so on; int64, shape (50000,)."""
    with lzma.open(DATA / "imagenet_val_labels.txt.xz") as text:
        return np.array(text.read().split(), np.int64)
