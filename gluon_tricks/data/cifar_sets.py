"""The CIFAR and MNIST data sets and the options of their augmentation; does not import MXNet."""

from typing import NamedTuple

from gluon_tricks.data.augment import CIFAR_MEAN, CIFAR_STD
from gluon_tricks.errors import UserError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BACKENDS = ("ours", "mxnet")


class DataSet(NamedTuple):
    """Facts of a data set before it is opened; means and deviations per channel, on the 0..1 scale."""
    training_images: int
    classes: int
    channels: int = 3
    side: int = 32
    mean: tuple = CIFAR_MEAN
    std: tuple = CIFAR_STD
    flip: bool = True        # whether a mirrored image keeps its label


def _grey(mean, std, flip):
    return DataSet(60_000, 10, 1, 28, (mean,), (std,), flip)


DATASETS = {
    "cifar10": DataSet(50_000, 10), "cifar100": DataSet(50_000, 100), "cifar10-excerpt": DataSet(2_000, 10),
    "mnist": _grey(0.1307, 0.3081, False), "fashion-mnist": _grey(0.2860, 0.3530, True),
    "kmnist": _grey(0.1904, 0.3475, False),
}


def preparation(dataset):
    """The command that prepares a data set: script of data_prep/, then its flags."""
    return (f"data_prep/{'cifar' if dataset.startswith('cifar') else 'mnist'}.py", "--dataset", dataset)


class Augmentation(NamedTuple):
    """What is done to training images, apart from normalisation.

    Attributes
    ----------
    colors : bool
        The follow-up's colours, and ImageNet's mean and deviation in training and validation.
    crop, flip : bool
    dual : bool
        Two views of each image with masks of their own, one after the other in the channels.
    masks : tuple of (name, setting)
        What is painted over the images; names of `data.masks.MASKS`.
    """
    colors: bool = False
    crop: bool = True
    flip: bool = True
    dual: bool = False
    masks: tuple = ()

    def normalisation(self, dataset):
        """(mean, std), one each per channel, on the 0..1 scale.

        Raises
        ------
        UserError
            If the images are grey and `colors` is set.
        """
        if self.colors and DATASETS[dataset].channels == 1:
            raise UserError(f"--augment follow-up: changes colours, and images of {dataset} are grey; leave "
                            f"it out")
        return (IMAGENET_MEAN, IMAGENET_STD) if self.colors else DATASETS[dataset][4:6]
