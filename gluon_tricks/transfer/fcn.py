"""GluonCV's FCN (stride 8) on a dilated base of this kit, its loss, and its scores.

    base, stages 3 and 4 dilated -> head (3x3, BatchNorm, ReLU, dropout, 1x1) -> bilinear to the crop's size
                        stage 3  -> the same, for the auxiliary loss

GluonCV's own FCN has heads for 2048 and 1024 channels only, so ResNet-18 and ResNet-34 do not fit. Here the
heads take the base's channels.
"""

import functools

import mxnet as mx
import numpy as np
from mxnet import autograd, nd

from gluon_tricks.parameters import settle_weights
from gluon_tricks.transfer.backbone import width_of


@functools.cache
def _fcn_class():
    """The net's class. Made on first use, because the import of GluonCV takes seconds."""
    from gluoncv.model_zoo.fcn import _FCNHead
    from mxnet.gluon import HybridBlock

    class FCN(HybridBlock):
        """`(N, 3, H, W) -> ((N, classes, H, W), auxiliary output of the same shape)`; the second only with
        `aux`.

        Children are named as in `gluoncv.model_zoo.FCN`. Heads learn at ten times the rate.
        """

        def __init__(self, base, classes, aux):
            super().__init__()
            with self.name_scope():
                for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
                    setattr(self, name, getattr(base, name))
                self.head = _FCNHead(width_of(base.layer4), classes)
                self.auxlayer = _FCNHead(width_of(base.layer3), classes) if aux else None
            for head in filter(None, (self.head, self.auxlayer)):
                head.collect_params().setattr("lr_mult", 10)

        def hybrid_forward(self, F, x):
            # (N, D2, H/8, W/8)
            c2 = self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x))))))
            c3 = self.layer3(c2)  # (N, D3, H/8, W/8)
            answers = [self.head(self.layer4(c3))]
            if self.auxlayer is not None:
                answers.append(self.auxlayer(c3))
            return tuple(F.contrib.BilinearResize2D(answer, x, mode="like") for answer in answers)

    return FCN


def fcn(base, classes, aux=False):
    """An FCN on an initialised base; its heads are not initialised.

    Parameters
    ----------
    base : ResNetV1b
        Dilated.
    classes : int
    aux : bool
        Add an auxiliary head on stage 3.
    """
    return _fcn_class()(base, classes, aux)


def prepare(net, engine, size):
    """Initialise the heads, move all parameters to the devices, and run the net once to infer all shapes."""
    for param in net.collect_params().values():
        if param._data is None:
            param.initialize()
    net.collect_params().reset_ctx(engine.ctx)
    for ctx in engine.ctx:
        net(nd.zeros((1, 3, size, size), ctx=ctx))[0].wait_to_read()
    engine.broadcast_parameters(net)
    settle_weights(net)


class Losses:
    """Cross entropy over the pixels that have a class, plus that of the auxiliary head times its weight.

    As in GluonCV, the mean is over all pixels of an image; pixels without a class count as 0.
    """

    def __init__(self, net, aux_weight=0.5):
        from gluoncv.loss import MixSoftmaxCrossEntropyLoss

        self.net = net
        self.criterion = MixSoftmaxCrossEntropyLoss(net.auxlayer is not None, aux_weight=aux_weight)

    def __call__(self, images, masks):
        """Compute the loss; call this inside `autograd.record`.

        Parameters
        ----------
        images : NDArray, shape (N, 3, H, W)
        masks : NDArray, shape (N, H, W)
            Class indices, -1 for no class.

        Returns
        -------
        loss : NDArray, shape (N,)
        figures : dict, name -> (sum, count), scalar NDArrays
        """
        loss = self.criterion(*self.net(images), masks)                                         # (N,)
        with autograd.pause():
            figures = {"training_loss": (loss.mean(), nd.ones((1,), ctx=images.context))}
        return loss, figures


class Confusion:
    """Counts of pixels by true and predicted class; pixels without a class are not counted."""

    def __init__(self, classes):
        self.counts = np.zeros((classes, classes), np.int64)

    def add(self, answer, truth):
        """Count the pixels of two int arrays of the same shape; `truth` is -1 for no class."""
        known = truth >= 0
        n = len(self.counts)
        self.counts += np.bincount(n * truth[known].astype(np.int64) + answer[known].astype(np.int64),
                                   minlength=n * n).reshape(n, n)

    def scores(self):
        """Pixel accuracy and mean IoU.

        As in GluonCV, a class that does not occur counts with an IoU of 0; `miou_present` omits it.
        """
        right, truth, answers = np.diag(self.counts), self.counts.sum(axis=1), self.counts.sum(axis=0)
        union = truth + answers - right
        iou = right / np.maximum(union, 1)
        present = union > 0
        return {"pix_acc": float(right.sum() / max(1, self.counts.sum())), "miou": float(iou.mean()),
                "miou_present": float(iou[present].mean()) if present.any() else 0.0}


def answers(net, image):
    """Class indices of an image, int32, shape (H, W); `image` is an NDArray of shape (1, 3, H, W)."""
    return mx.nd.argmax(net(image)[0], axis=1)[0].asnumpy().astype(np.int32)
