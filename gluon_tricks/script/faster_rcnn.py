"""The parts of train_faster_rcnn.py, built from its flags: data, net, schedule, validation, paths, plan."""

import argparse
from pathlib import Path

import mxnet as mx

from gluon_tricks.data.voc import CLASSES, IMAGES, VocDetection
from gluon_tricks.engines.launcher import devices_per_process, launched_processes
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.randomness import net_seed
from gluon_tricks.script import plan
from gluon_tricks.script.faster_rcnn_flags import DATA_DIR, step_epochs
from gluon_tricks.script.opening import tensorboard_dir
from gluon_tricks.script.transfer import (
    check_batch,
    first_weights,
    paths_with_log,
    start_params,
    transfer_facts,
    transfer_net,
)
from gluon_tricks.script.transfer_flags import splits_of
from gluon_tricks.transfer.backbone import base_network, start_base
from gluon_tricks.transfer.detection import Synthetic, detections, mean_average_precision, shared
from gluon_tricks.transfer.draw import draw_boxes
from gluon_tricks.transfer.faster_rcnn import faster_rcnn, prepare
from gluon_tricks.transfer.schedule import detection_schedule


def open_data(args):
    """Training and validation set: images with their boxes."""
    if args.synthetic:
        return Synthetic(8, args.seed), Synthetic(4, args.seed + 1)
    train = training_set(args)
    return train, VocDetection(args.data_dir, splits_of("--val-splits", args.val_splits), train.classes,
                               args.zero_based)


def training_set(args):
    """The training set in --data-dir.

    Raises
    ------
    UserError
        If no image has a box, or one has more than the net's targets have room for.
    """
    train = VocDetection(args.data_dir, splits_of("--train-splits", args.train_splits),
                         zero_based=args.zero_based)
    counts = sorted(train.box_counts)
    room, most = args.shape.max_num_gt, sum(counts[-2:]) if args.mixup else counts[-1]
    if not most:
        raise UserError(f"--train-splits {args.train_splits}: none of {len(train)} images has a box")
    if most > room:
        mixed = "two mixed images have" if args.mixup else "an image has"
        raise UserError(f"--max-num-gt {room}: {mixed} {most} boxes; give --max-num-gt {most}")
    return train


def build_net(args, classes, engine, resumed):
    """`(net, line)`: the detector with its first weights, and the log line on their source."""
    mx.random.seed(net_seed(args.seed, -1))
    frozen = args.norm_layer is None
    base = base_network("--network", args.network, frozen_norm=frozen)
    source = first_weights(args, base, args.network, resumed)
    net = faster_rcnn(base, classes, args.shape, args.batch_size // len(engine.ctx), frozen, args.use_fpn)
    prepare(net, engine)
    start_params(args, net, engine)
    return net, source


def trained_names(args, net):
    """With --verbose, yield the log line with the names of the trained parameters."""
    if args.verbose:
        yield "trained: " + ", ".join(name for name, param in net._collect_params_with_prefix().items()
                                      if param.grad_req != "null")


def compile_net(args, net):
    """Compile the net again: training and prediction have different graphs."""
    if not args.disable_hybridization:
        net.hybridize(static_alloc=args.static_alloc)


def learning_rate(args, updates_per_epoch):
    """The schedule: num_update -> rate. It steps at epochs and warms up in the first epoch only."""
    return detection_schedule(args.lr, args.lr_decay, args.lr_decay_epochs, updates_per_epoch, args.lr_warmup,
                              args.lr_warmup_factor)


def sgd(args):
    """MXNet's SGD, as in GluonCV's script."""
    return mx.optimizer.SGD(learning_rate=args.lr, momentum=args.momentum, wd=args.wd,
                            clip_gradient=args.clip_gradient or None)


def mixed_epochs(args):
    """Number of epochs whose images are mixed; they come first."""
    return max(0, args.epochs - args.no_mixup_epochs) if args.mixup else 0


def validation(args, net, val_set, engine, run):
    """mAP by both rules, each image counted once: dict. Also writes a picture of detections."""
    compile_net(args, net)
    found = shared(detections(net, val_set, engine, run.keep_going), len(val_set), engine)
    (names, eleven_points), (_, area) = mean_average_precision(found, val_set, args.iou_thresh)
    if engine.is_writer:
        title = (f"{run.facts['title']}, epoch {run.progress.epoch}: mAP at IoU {args.iou_thresh:g} "
                 f"{100 * eleven_points[-1]:.1f} % (11 points), {100 * area[-1]:.1f} % (area)")
        run.draw(draw_boxes, run.paths.metrics.with_name(f"predictions-{run.progress.epoch:04d}.png"),
                 val_set, found, val_set.classes, title)
    return {"map_voc07": eleven_points[-1], "map_area": area[-1],
            "classes": dict(zip(names[:-1], eleven_points))}


def run_paths(args):
    """`RunPaths` with GluonCV's names for log and parameters."""
    pyramid = "_fpn" if args.use_fpn else ""
    norm = "_syncbn" if args.norm_layer else ""
    name = f"faster_rcnn{pyramid}{norm}_{args.network}_{args.dataset}"
    prefix = Path(f"{args.save_prefix}{name}").expanduser()
    return paths_with_log("--save-prefix", prefix.with_name(prefix.name + "_train.log"), prefix.parent,
                          best=f"{prefix.name}_best.params",
                          periodic=f"{prefix.name}_{{epoch:04d}}_{{val:.4f}}.params",
                          resume=f"{prefix.name}.resume.npz", tensorboard=tensorboard_dir(args))


def shown(args):
    """The flags for the log's first line, with each number of the net as a flag."""
    derived = ("shape", "gpu_ids", "lr_decay_epochs")
    flags = {name: value for name, value in vars(args).items() if name not in derived}
    return argparse.Namespace(**flags, **args.shape._asdict())


def facts(args, train_set, engine):
    """The facts for run.json and the resume file: dict."""
    switches = {"network": args.network, "use_fpn": args.use_fpn, "norm_layer": args.norm_layer,
                **args.shape._asdict()}
    net = transfer_net("detection", "faster_rcnn", switches, train_set, args.dataset, args.shape.image_short)
    return transfer_facts(shown(args), net, train_set, engine, network=args.network, mixup=args.mixup,
                          title=f"Faster R-CNN, {args.network}", train_metric="loss", score="map_voc07")


def plan_of(args):
    """Yield the rows that --dry-run prints; needs no GPU and no download, and for VOC no data."""
    images, classes = planned_data(args)
    check_batch(args.batch_size, images, launched_processes(args.kvstore))
    processes, devices = launched_processes(args.kvstore), devices_per_process(args.num_gpus, args.num_cpus)
    frozen = args.norm_layer is None
    updates, shape = images // (args.batch_size * processes), args.shape
    pyramid = " with a feature pyramid" if args.use_fpn else ""
    net = planned_net(args, classes)
    yield "model", f"Faster R-CNN{pyramid} on {args.network}, {len(classes)} classes"
    if isinstance(net, UserError):
        yield "", f"cannot be built: {net}"
    else:
        yield from plan.learning_rows(net)
    yield from plan.batch_rows(args.batch_size // devices, devices, images, args.epochs, processes=processes)
    yield from plan.optimizer_rows(sgd(args))
    yield "rate", f"{args.lr:g}, times {args.lr_decay:g} at each step"
    warmup = min(args.lr_warmup, updates) if args.lr_warmup > 0 else 0
    yield from plan.corner_rows(learning_rate(args, updates), updates, args.epochs,
                                step_epochs(args.lr_decay_epochs),
                                (warmup, f"after {warmup:,} updates of warm-up"))
    if not isinstance(net, UserError):
        yield from plan.decay_rows(net, args.wd)
    mixed = f"; mixed half and half in the first {mixed_epochs(args)} epochs" if mixed_epochs(args) else ""
    yield "images", (f"shorter side to {shape.image_short}, the longer at most {shape.image_max_size}; "
                     f"mirror with probability 1/2{mixed}")
    yield "validation", (f"each image of {args.val_splits} once; mAP at IoU {args.iou_thresh:g} by 11 "
                         f"points, and by area")
    yield "targets", (f"{shape.rcnn_num_samples} of {shape.rpn_train_post_nms} proposals of an image, at "
                      f"most {shape.rcnn_pos_ratio:.0%} of them objects (IoU {shape.rcnn_pos_iou_thresh:g} "
                      f"or more)"
                      + ("; BatchNorm, stem and stage 1 are frozen" if frozen else ""))


def planned_data(args):
    """`(images, classes)` of the training set: from VOC's published lists, or read from another folder."""
    if args.synthetic:
        return len(open_data(args)[0]), Synthetic.classes
    splits = splits_of("--train-splits", args.train_splits)
    if args.data_dir == DATA_DIR and set(splits) <= set(IMAGES):
        return sum(IMAGES[split] for split in splits), CLASSES
    train = training_set(args)
    return len(train), train.classes


def planned_net(args, classes):
    """The detector with all shapes known, or the UserError that it raises. A small image makes this fast."""
    frozen = args.norm_layer is None
    few = args.shape._replace(image_short=64, rpn_train_pre_nms=60, rpn_train_post_nms=8, rpn_test_pre_nms=60,
                              rpn_test_post_nms=8, rcnn_num_samples=8)
    try:
        base = base_network("--network", args.network, frozen_norm=frozen)
    except UserError as error:
        return error
    start_base(base, args.network, args.init)
    net = faster_rcnn(base, classes, few, 1, frozen, args.use_fpn)
    prepare(net, SingleProcess([mx.cpu()]))
    return net
