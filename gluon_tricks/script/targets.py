"""Targets, loss and metric from the flags: label smoothing, distillation, mixup (§5.2-5.4), follow-ups."""

import argparse

from mxnet import gluon, nd

from gluon_tricks.models.ready import compute_dtype
from gluon_tricks.randomness import MIXUP, generator
from gluon_tricks.recipes.flags import recipe_defaults
from gluon_tricks.training.loop import accuracy, rmse
from gluon_tricks.tricks.cutout import dual_loss, side_by_side
from gluon_tricks.tricks.distillation import DistillationLoss
from gluon_tricks.tricks.label_smoothing import smooth_one_hot
from gluon_tricks.tricks.mixing import mix


def training_targets(args, classes, dtype, make_teacher):
    """The functions with which `train_epoch` prepares a batch and computes loss and metric.

    Parameters
    ----------
    args : Namespace
        Of train_cifar.py or train_imagenet.py; flags that it lacks have their default.
    classes : int
    dtype : str
        Numeric type of the net.
    make_teacher : callable, () -> HybridBlock
        Called only if the teacher's weight in the loss is not 0.

    Returns
    -------
    targets : callable, (data, label, epoch, batch) -> (data, target, counted)
    loss : callable, (output, target) -> NDArray, shape (n,)
        In float32 for every type of the net.
    metric : `accuracy`, or `rmse` if images are mixed
    """
    flags = argparse.Namespace(**{**recipe_defaults(cifar=True), **vars(args)})
    distils = flags.teacher is not None and (flags.hard_weight < 1 or flags.soft_weight is not None)
    teacher = make_teacher() if distils else None
    dense = flags.mixup or flags.label_smoothing or distils
    eta = flags.label_smoothing_eps if flags.label_smoothing else 0.0
    distillation = None
    if distils:
        distillation = DistillationLoss(flags.temperature, flags.hard_weight, flags.soft_weight)
    cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=not dense)

    def targets(data, label, epoch, batch):
        target = smooth_one_hot(label, classes, eta, flags.label_smoothing_rule) if dense else label
        if flags.mixup and flags.mixup_off_first <= epoch < flags.num_epochs - flags.mixup_off_epoch:
            rng = generator(flags.seed, MIXUP, epoch, batch)
            data, target = mix(flags.mix, data, target, flags.mixup_alpha, rng, flags.mixup_partners,
                               flags.cutmix_label)
        if flags.dual_cutout:
            data = side_by_side(data)
            target, label = nd.concat(target, target, dim=0), nd.concat(label, label, dim=0)
        data = data.astype(compute_dtype(dtype), copy=False)
        counted = target if flags.mixup else label
        if distils:                        # the teacher sees the mixed image, in predict mode
            target = target, teacher(data).astype("float32")
        return data, target, counted

    def loss(output, target):
        output = output.astype("float32", copy=False)
        return distillation(output, *target) if distils else cross_entropy(output, target)

    if flags.dual_cutout:
        loss = dual_loss(loss, flags.dual_cutout_alpha)
    return targets, loss, rmse if flags.mixup else accuracy
