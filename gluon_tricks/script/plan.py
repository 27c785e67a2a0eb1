"""The plan of a run (--dry-run): sizes, batch, learning rates, weight decay, zero gammas, images, targets.

Each function reads the objects that training uses (net, schedule, targets). It needs neither data nor
devices: shapes are inferred, nothing is trained. A plan is rows of `(word, sentence)`. The scripts'
`--dry-run` prints them, and so does `python -m gluon_tricks replay NAME --dry-run`.
"""

import math
import re
from collections import Counter

import numpy as np
from mxnet import nd

from gluon_tricks.data.augment import PAD
from gluon_tricks.data.auto_augment import POLICY
from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.data.efficientnet_crop import MARGIN, MIN_AREA
from gluon_tricks.data.imagenet_augment import (
    AREA,
    GLUONCV,
    JITTER,
    PAPER,
    PCA_STD,
    RATIO,
    TRIES,
    ImagenetTestTransform,
)
from gluon_tricks.data.masks import MASKS
from gluon_tricks.models.sizes import count_parameters, giga, sizes_of
from gluon_tricks.tricks.linear_scaling import REFERENCE_BATCH_SIZE, REFERENCE_LR, linear_scaled_lr
from gluon_tricks.tricks.zero_gamma import gammas_from_zero


def show(rows):
    """Print a plan; returns the exit code 0."""
    for word, sentence in rows:
        print(f"{word:<13} {sentence}")
    return 0


# --- the net ------------------------------------------------------------------------------------------------

def net_rows(net, name, classes, size, channels=3):
    """Yield the sizes of a net and infer its shapes. `size` is the side of its images in pixels."""
    multiply_adds = sum(layer.multiply_adds for layer in sizes_of(net, name, size, channels))
    trainable, with_statistics = count_parameters(net)
    yield "model", (f"{name}: {classes} classes, images of {channels}x{size}x{size}, "
                    f"{giga(multiply_adds)} multiply-adds")
    yield "parameters", (f"{trainable:,} trained in {len(_trained(net))} arrays; "
                         f"{with_statistics:,} with statistics")


def learning_rows(net):
    """Yield how many values of a net are trained and how many are frozen; shapes must be known."""
    trained = _trained(net)
    values = sum(math.prod(param.shape) for param in trained)
    total = sum(math.prod(param.shape) for param in net.collect_params().values())
    yield "parameters", f"{values:,} trained in {len(trained)} arrays; {total:,} with frozen ones"


def precision_rows(net, dtype, loss_scale="none", is_emulated=False):
    """Yield the numeric types. For float16 the net is cast, as in training."""
    if dtype != "float16":
        yield "precision", dtype
        return
    net.cast(dtype)
    types = Counter(np.dtype(param.dtype).name for param in _trained(net))
    yield "precision", (f"float16{', emulated' if is_emulated else ''}: "
                        f"{' and '.join(f'{types[name]} arrays in {name}' for name in sorted(types))}; "
                        f"master weights and loss in float32, loss scale {loss_scale}")


def decay_rows(net, wd):
    """Yield which arrays have weight decay, by the ends of their names; shapes must be known."""
    word = "decay"
    for sentence, reached in ((f"{wd:g} on", True), ("none on", False)):
        arrays = [param for param in _trained(net) if bool(wd and param.wd_mult) == reached]
        if arrays:
            values = sum(math.prod(param.shape) for param in arrays)
            ends = Counter(f"*_{param.name.rpartition('_')[2]}" for param in arrays)
            yield word, f"{sentence} {len(arrays)} arrays, {values:,} values{_counted(ends)}"
            word = ""


def gamma_rows(net, asked=False):
    """Yield which gammas start at 0, and whether `--last-gamma`, if given, has no effect."""
    zero, gammas = gammas_from_zero(net)
    if not gammas:
        yield "zero gamma", "the model has no gammas"
        return
    places = Counter(_place(name) for name in zero)
    yield "zero gamma", (f"{len(zero)} of {gammas} gammas start at 0" + _counted(places)
                         + ("; --last-gamma has no effect on this model" if asked and not zero else ""))


def _place(name):
    """`layer*.*.bn3.gamma` for `layer1.0.bn3.gamma`."""
    block, layer, end = name.rsplit(".", 2)
    return f"{re.sub(r'[0-9]+', '*', block)}.{layer}.{end}"


def _trained(net):
    return [param for param in net.collect_params().values() if param.grad_req != "null"]


def _counted(counts):
    return f": {', '.join(f'{name} {count}' for name, count in sorted(counts.items()))}" if counts else ""


# --- batch and rate -----------------------------------------------------------------------------------------

def batch_rows(batch_size, devices, images, num_epochs, accumulate=1, processes=1):
    """Yield the batch arithmetic. `images` is the number per epoch, `accumulate` the passes per update."""
    batch = batch_size * devices * accumulate * processes
    updates, left = divmod(images, batch)
    yield "batch", (f"{batch} = {batch_size} per device x {devices} device{'s' * (devices > 1)}"
                    + (f" x {accumulate} accumulated" if accumulate > 1 else "")
                    + f" x {processes} process{'es' * (processes > 1)}")
    yield "updates", (f"{updates:,} per epoch of {images:,} images, {left:,} over; "
                      f"{updates * num_epochs:,} in {num_epochs} epochs")


def optimizer_rows(optimizer):
    """Yield the optimizer and its numbers."""
    momentum = getattr(optimizer, "momentum", None)
    clip = f", gradient elements clipped at {optimizer.clip_gradient:g}" if optimizer.clip_gradient else ""
    momentum = "" if momentum is None else f", momentum {momentum:g}"
    yield "optimizer", type(optimizer).__name__ + momentum + clip


def rate_rows(schedule, what, peak_lr, batch, updates_per_epoch, num_epochs, warmup_epochs=0, step_epochs=()):
    """Yield the peak rate, the linear rule, and the rate at each corner of a schedule.

    Parameters
    ----------
    schedule : callable, num_update -> learning rate
    what : str
        Name of the schedule, to print.
    step_epochs : sequence of int
        Epochs at which it steps; empty for smooth decays.
    """
    yield "rate", (f"{what}, peak {peak_lr:g}; the linear rule {REFERENCE_LR:g} x "
                   f"{batch}/{REFERENCE_BATCH_SIZE} gives {linear_scaled_lr(batch):g}")
    warmup = (warmup_epochs * updates_per_epoch, f"after {warmup_epochs} epochs of warm-up")
    yield from corner_rows(schedule, updates_per_epoch, num_epochs, step_epochs, warmup)


def corner_rows(schedule, updates_per_epoch, num_epochs, step_epochs=(), warmup=(0, "")):
    """Yield the rate at the first and last update, at each step, and after `warmup[0]` updates of warm-up."""
    corners = {0: "first"}
    if warmup[0]:
        corners[warmup[0]] = warmup[1]
    for epoch in sorted(step_epochs):
        if 0 < epoch < num_epochs:
            corners[epoch * updates_per_epoch] = f"step at epoch {epoch}"
    corners.setdefault(num_epochs * updates_per_epoch - 1, "last")
    for num_update, corner in corners.items():
        yield "", f"{schedule(num_update):<12.6g} after {num_update:,} updates: {corner}"


# --- images and targets -------------------------------------------------------------------------------------

def imagenet_image_rows(path, law, colors, size, crop_ratio, mean, std, auto_aug=False):
    """Yield the steps of the training transform (this kit's, MXNet's iterator or DALI) and of validation.

    Parameters
    ----------
    path : "ours", "mxnet", "dali" or "folders"
        See `recipes/data_paths.py`.
    law : "rec", "folder", "paper", "efficientnet" or None
        None: GluonCV's law for record files or folders.
    colors : "gluoncv" or "paper"
    size, crop_ratio, mean, std, auto_aug
        As in `image_loaders`.
    """
    law = law or ("folder" if path == "folders" else "rec")
    ratio = {"rec": "uniform, sides swapped with probability 1/2", "folder": "log-uniform",
             "paper": "uniform", "efficientnet": "uniform, then the height"}[law]
    fallback = {"paper": "the centre of the resized image",
                "efficientnet": "the centre, as in validation"}.get(law, "the centre, not resized")
    area = MIN_AREA if law == "efficientnet" else AREA[0]
    crop = f"{area:.0%} to {AREA[1]:.0%} of the area, width to height {RATIO[0]:.2f} to {RATIO[1]:.2f}"
    if auto_aug:
        yield "AutoAugment", f"one of {len(POLICY)} sub-policies of two operations, on the whole image"
    if path == "dali":
        yield "images", (f"crop {crop}, resize to {size}x{size}, mirror with probability 1/2; "
                         f"no colours, no noise")
    else:
        yield "images", f"crop {crop}, {ratio}"
        yield "", f"(if {TRIES} tries find none that fits, {fallback}); resize to {size}x{size}"
        yield "", (f"{', '.join(PAPER if colors == 'paper' else GLUONCV)} x {1 - JITTER:g} to "
                   f"{1 + JITTER:g}, in random order")
        yield "", f"PCA noise, three draws of N(0, {PCA_STD:g}); mirror with probability 1/2"
    yield "", f"normalise: mean {_numbers(mean)}, deviation {_numbers(std)} of 0..255"
    if law == "efficientnet":
        yield "validation", (f"centre of {size}/{size + MARGIN} of the shorter side, to {size}x{size}, "
                             f"bicubic; normalise")
    else:
        resize = ImagenetTestTransform(size, crop_ratio).resize
        yield "validation", f"shorter side to {resize}, centre {size}x{size}, normalise"


def cifar_image_rows(augmentation, dataset):
    """Yield the steps of `CifarTrainTransform` and of validation, for an `Augmentation`."""
    side = DATASETS[dataset].side
    steps = [f"pad {PAD} zeros on each side, a random {side}x{side} of it"] if augmentation.crop else []
    steps += ["mirror with probability 1/2"] if augmentation.flip else []
    yield "images", ", ".join(steps) or "unchanged"
    if augmentation.colors:
        yield "", (f"before that: {', '.join(PAPER)} x {1 - JITTER:g} to {1 + JITTER:g}, PCA noise, three "
                   f"draws of N(0, {PCA_STD:g})")
    mean, std = augmentation.normalisation(dataset)
    yield "", f"normalise: mean {_numbers(mean)}, deviation {_numbers(std)} of 0..1"
    for name, setting in augmentation.masks:
        views = "; two views of each image" if augmentation.dual and MASKS[name].in_each_view else ""
        yield "", MASKS[name].sentence(setting) + views
    yield "validation", "normalise"


def _numbers(values):
    return ", ".join(f"{value:g}" for value in values)


def mixup_rows(alpha, off_epochs, partners="reversed", kind="mixup", off_first=0):
    """Yield the mixing weight's distribution, the order of the partners, and the epochs without mixing."""
    sentence = f"one weight of Beta({alpha:g}, {alpha:g}) per update, partners in {partners} order"
    if off_first:
        sentence += f", off in the first {off_first} epochs"
    if off_epochs:
        sentence += f", off in the last {off_epochs} epochs"
    yield kind, sentence


def teacher_rows(teacher, temperature, hard_weight, soft_weight=None):
    """Yield the teacher and the weights of the two terms in `DistillationLoss`."""
    soft = 1 - hard_weight if soft_weight is None else soft_weight
    if soft_weight is None and hard_weight >= 1:
        yield "teacher", f"{teacher} is not used: with --hard-weight {hard_weight:g} its weight is 0"
    else:
        yield "teacher", (f"{teacher}, temperature {temperature:g}; weights: labels {hard_weight:g}, "
                          f"teacher {soft:g}")


def target_rows(targets, classes, channels=3):
    """Yield the target of an image of class 0 in the first update; with mixup its partner is of class 1.

    Parameters
    ----------
    targets : callable
        As `train_epoch` takes it.
    classes : int
    """
    _, target, _ = targets(nd.zeros((2, channels, 16, 16)), nd.array([0, 1]), 0, 0)
    if target.ndim == 1:
        yield "targets", f"1 on the image's class, 0 on the other {classes - 1:,}"
        return
    own, partner, *others = (float(value) for value in target[0].asnumpy())
    rest = f"{others[0] if others else 0:g} on each of the other"
    if not others or partner == others[0]:
        yield "targets", f"{own:g} on the image's class, {partner:g} on each of the other {classes - 1:,}"
    else:
        yield "targets", (f"{own:g} on the image's class, {partner:g} on its partner's, {rest} "
                          f"{classes - 2:,}, as mixed in the first update")
