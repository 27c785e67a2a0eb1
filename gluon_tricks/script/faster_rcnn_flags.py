"""The net's numbers as flags of train_faster_rcnn.py; completion and checks of its flags."""

import math

from gluon_tricks.errors import UserError
from gluon_tricks.script.flags import completed
from gluon_tricks.script.transfer_flags import check_limits, with_devices
from gluon_tricks.transfer.shape import FPN, VOC, Shape

DATA_DIR = "~/.mxnet/datasets/voc"
DEFAULTS = {"epochs": 20, "lr": 0.001, "lr_warmup": -1, "wd": 5e-4}        # of flags whose default is ''


def numbers(text_given):
    return tuple(float(word) if "." in word else int(word) for word in text_given.split(","))


def text(value):
    return ",".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)


KINDS = {**dict.fromkeys(Shape._fields, int), "roi_mode": str,
         **dict.fromkeys(("nms_thresh", "clip", "rpn_nms_thresh", "rcnn_pos_iou_thresh", "rcnn_pos_ratio"),
                         float),
         **{name: numbers for name in Shape._fields if isinstance(getattr(VOC, name), tuple)}}


def add_shape_flags(group):
    """Add a flag for each number of the net; the default is that of the net without or with FPN."""
    for name, kind in KINDS.items():
        plain, pyramid = (text(getattr(shape, name)) for shape in (VOC, FPN))
        default = plain if plain == pyramid else f"{plain}, {pyramid}"
        flags = [f"--{name.replace('_', '-')}"]
        if "dense" in name:                # GluonCV's spelling
            flags.append("--num_box_head_dense_filters")
        group.add_argument(*flags, type=kind, dest=name, help=f"[{default}]")


def settled(args):
    """The flags with numbers, devices and the net's `Shape`. Raises UserError for unusable values."""
    if args.dataset != "voc":
        raise UserError(f"--dataset {args.dataset}: only voc is supported, a folder in VOC's layout "
                        f"(--data-dir)")
    if args.amp:
        raise UserError("--amp: detection in float16 is not supported; leave it out")
    use_fpn = args.use_fpn or args.command == "custom-model"
    given = {name: getattr(args, name) for name in Shape._fields if getattr(args, name) is not None}
    shape = (FPN if use_fpn else VOC)._replace(**given)
    args = completed(args, use_fpn=use_fpn, **{name: number(args, name) for name in DEFAULTS},
                     lr_decay_epochs=epochs_of(args), gpu_ids=gpu_ids(args), shape=shape)
    check_limits(args)
    for name in Shape._fields:
        delattr(args, name)
    check_shape(shape, use_fpn)
    return with_devices(args, len(args.gpu_ids), "horovod" if args.horovod else args.kv_store)


def number(args, name):
    """The number of a flag that is text in GluonCV's script, or its default."""
    given, default = getattr(args, name), DEFAULTS[name]
    try:
        return type(default)(given) if given != "" else default
    except ValueError:
        kind = "whole number" if isinstance(default, int) else "number"
        raise UserError(f"--{name.replace('_', '-')} {given}: give a {kind}") from None


def epochs_of(args):
    """--lr-decay-epoch as an ascending list of float."""
    try:
        epochs = sorted(float(word) for word in (args.lr_decay_epoch or "14,20").split(",") if word.strip())
        step_epochs(epochs)
    except (ValueError, OverflowError):
        raise UserError(f"--lr-decay-epoch {args.lr_decay_epoch}: give numbers separated by commas") from None
    return epochs


def step_epochs(decay_epochs):
    """Epochs at the start of which the rate steps: list of int."""
    return [math.ceil(epoch) for epoch in decay_epochs]


def gpu_ids(args):
    """--gpus as a list of int."""
    try:
        ids = [int(word) for word in args.gpus.split(",") if word.strip()]
    except ValueError:
        raise UserError(f"--gpus {args.gpus}: give numbers separated by commas") from None
    if min(ids, default=0) < 0:
        raise UserError(f"--gpus {args.gpus}: the numbers of GPUs start at 0")
    if len(set(ids)) < len(ids):
        raise UserError(f"--gpus {args.gpus}: give the number of each GPU once")
    return ids


def check_shape(shape, use_fpn):
    """Raise UserError for numbers of the net that do not fit together."""
    if shape.roi_mode not in ("align", "pool"):
        raise UserError(f"--roi-mode {shape.roi_mode}: must be align or pool")
    objects = round(shape.rcnn_num_samples * shape.rcnn_pos_ratio)
    if shape.rcnn_num_samples > shape.rpn_train_post_nms:
        raise UserError(f"--rcnn-num-samples {shape.rcnn_num_samples}: must be at most --rpn-train-post-nms "
                        f"{shape.rpn_train_post_nms}")
    if not 0 < objects < shape.rcnn_num_samples:
        raise UserError(f"--rcnn-pos-ratio {shape.rcnn_pos_ratio:g} with --rcnn-num-samples "
                        f"{shape.rcnn_num_samples}: must leave room for an object and for background")
    levels = 5 if use_fpn else 1
    if len(shape.strides) != levels:
        raise UserError(f"--strides {text(shape.strides)}: this net has {levels} feature "
                        f"map{'s' * (levels > 1)}; give as many")
    if not use_fpn and shape.strides[0] not in (4, 8, 16):
        raise UserError(f"--strides {text(shape.strides)}: must be 4, 8 or 16, the stride of stage 1, 2 or 3")
    if use_fpn and len(shape.anchor_scales) != levels:
        raise UserError(f"--anchor-scales {text(shape.anchor_scales)}: give one for each of the {levels} "
                        f"feature maps")
    for name in ("roi_size", "anchor_alloc_size"):
        if len(getattr(shape, name)) != 2:
            raise UserError(f"--{name.replace('_', '-')} {text(getattr(shape, name))}: give height and width "
                            f"with a comma")
