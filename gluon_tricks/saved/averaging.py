"""Test-time averaging: the mean of a net's probabilities over several views of an image.

    p_c = 1/V  sum_v  softmax(f(x_v))_c          the answer is the class with the highest p

    flip      V = 2    the image as validation prepares it, and its mirror image
    10crop    V = 10   four corners and the centre of the resized image's central square, and their mirror
                       images: section 4.1 of AlexNet (Krizhevsky et al. 2012), the "standard 10-crop testing"
                       of ResNet (He et al. 2015)

The square's side is that to which validation resizes the shorter side: 256 pixels for crops of 224 (AlexNet's
numbers). The probabilities are averaged, as in AlexNet, not the outputs before the softmax.
"""

from mxnet import nd

from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.data.imagenet_augment import resized_to
from gluon_tricks.errors import UserError

FLIP, TEN_CROPS = "flip", "10crop"
VIEWS = {FLIP: 2, TEN_CROPS: 10}


class AveragedNet:
    """A net that answers with the mean probabilities of an image's views.

    Parameters
    ----------
    net : callable, NDArray (N, C, H, W) -> outputs (N, classes)
    """

    def __init__(self, net):
        self.net = net

    def __call__(self, data):
        """The logarithm of the mean probabilities, float64, shape (N, classes).

        Ranks and softmax of the result are those of the mean. The logarithm keeps classes apart whose
        probability is too small for float32.

        Parameters
        ----------
        data : NDArray, shape (N, C, H, W), or (N, crops, C, H, W)
        """
        crops = [data] if data.ndim == 4 else [data[:, number] for number in range(data.shape[1])]
        # one view after the other: the memory is that of a plain batch
        logs = nd.stack(*(nd.log_softmax(self.net(view).astype("float64")) for crop in crops
                          for view in (crop, nd.flip(crop, axis=3))))
        highest = logs.max(axis=0)
        return highest + (logs - highest.expand_dims(0)).exp().mean(axis=0).log()


def averaged(net, tta):
    """The net with the averaging of --tta; the net itself if `tta` is None."""
    return AveragedNet(net) if tta else net


def check_views(tta, facts):
    """Refuse a --tta whose views a net's images do not have.

    Parameters
    ----------
    tta : "flip", "10crop" or None
    facts : NetFacts

    Raises
    ------
    UserError
    """
    if tta is None:
        return
    if tta not in VIEWS:
        raise UserError(f"--tta {tta}: is neither {' nor '.join(VIEWS)}")
    if facts.dataset in DATASETS and not DATASETS[facts.dataset].flip:
        raise UserError(f"--tta {tta}: a mirrored image of {facts.dataset} shows something else; leave "
                        "the flag out")
    if tta != TEN_CROPS:
        return
    if facts.crop != "center":
        raise UserError(f"--tta {tta}: the net was validated with the crop of the law {facts.crop}, which "
                        f"has no corners; use --tta {FLIP}")
    side = resized_to(facts.input_size, facts.crop_ratio)
    if side <= facts.input_size:
        raise UserError(f"--tta {tta}: with --crop-ratio {facts.crop_ratio:g} images of {side} pixels are "
                        f"shown whole, so they have no corners; use --tta {FLIP}")
