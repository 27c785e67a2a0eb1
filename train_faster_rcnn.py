"""Train Faster R-CNN as GluonCV's train_faster_rcnn.py does, on any ResNet of this kit.

    python train_faster_rcnn.py --network resnet18_v1b --synthetic --gpus '' --batch-size 2 --epochs 1 \\
        --no-pretrained-base --image-short 128 --rpn-train-post-nms 100 --rpn-test-post-nms 50 --rpn-channel 64 \\
        --rcnn-num-samples 16
    python train_faster_rcnn.py --network resnet50_v1b --gpus 0,1,2,3 --batch-size 4
    python train_faster_rcnn.py --backbone resnet50_v1d --backbone-params params/imagenet-resnet50_v1d-119.params \\
        --gpus 0,1,2,3,4,5,6,7 --batch-size 8 --lr 0.002 --lr-warmup 1000 --epochs 30 --lr-decay-epoch 20,26

The first needs no data. The second is the published run on VOC (data_prep/voc.py prepares it), the third answers Table 8's
question for a base of yours. `python -m gluon_tricks compare LOG` puts the log beside the published one.
"""

import argparse
import functools
import math
from pathlib import Path

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import mxnet as mx

from gluon_tricks.data.voc import CLASSES, IMAGES, VocDetection
from gluon_tricks.engines.launcher import KVSTORES, devices_per_process, launched_processes
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.log_lines.transfer import DetectionDialect
from gluon_tricks.machine import operator_threads
from gluon_tricks.randomness import net_seed
from gluon_tricks.script import plan
from gluon_tricks.script.engine_flags import add_engine_flags
from gluon_tricks.script.opening import header
from gluon_tricks.transfer.backbone import base_network, start_base
from gluon_tricks.transfer.detection import (
    Synthetic,
    detections,
    mean_average_precision,
    shared,
    training_loader,
)
from gluon_tricks.transfer.draw import draw_boxes
from gluon_tricks.transfer.faster_rcnn import FPN, VOC, Losses, Shape, faster_rcnn, prepare
from gluon_tricks.transfer.loop import train_epoch
from gluon_tricks.transfer.run import TransferRun
from gluon_tricks.transfer.schedule import detection_schedule
from gluon_tricks.transfer.script import (
    check_batch,
    check_devices,
    check_numbers,
    engine_of,
    finish,
    first_weights,
    opening,
    paths_beside_log,
    resume_flag,
    splits_of,
    start_params,
)


def main(argv=None):
    args = parse_args(argv)
    if args.dry_run:
        return plan.show(plan_of(args))
    engine = engine_of(args, "--gpus", args.gpu_ids)                        # who computes
    train_set, val_set = open_data(args)                                    # what it sees
    check_batch(args, len(train_set), engine.world_size)
    run = TransferRun(run_paths(args), facts(args, train_set, engine), engine, resume_flag(args), args.overwrite)
    net, said = build_net(args, train_set.classes, engine, run.resumed)     # what learns, and from where
    schedule = learning_rate(args, len(train_set) // (args.batch_size * engine.world_size))
    trainer = engine.trainer(net, sgd(args))
    losses = Losses(net, args.rpn_smoothl1_rho, args.rcnn_smoothl1_rho)
    train_data = training_loader(train_set, net, args.batch_size, engine, args.seed, args.num_workers, mixed_epochs(args))
    if args.start_epoch and not run.resumed:
        run.progress.epoch, run.progress.num_update = args.start_epoch, args.start_epoch * train_data.batches_per_epoch
    lines = [said, *opening(args, train_set, val_set, engine), *trained_names(args, net)]
    run.open(net, trainer, header(shown(args), engine), lines, DetectionDialect, args.epochs, train_data.batches_in,
             checkpoint_period=args.checkpoint_period, save_period=args.save_interval, log_interval=args.log_interval,
             max_updates=args.max_updates, check_sync=args.check_sync, resumes_anywhere=True)
    with run.sitting():
        while run.progress.epoch < args.epochs:
            epoch = run.progress.epoch
            compile_net(args, net)
            run.begin_epoch()
            if epoch in step_epochs(args) and not run.progress.batch:
                run.log.info(DetectionDialect.rate_line(epoch, schedule(run.progress.num_update)))
            weight = 0.5 if epoch < mixed_epochs(args) else 1.0
            train_epoch(functools.partial(losses, weight=weight), train_data, trainer, schedule, engine, run.progress,
                        run.after_update, args.seed, run.keep_going)
            run.end_training()
            wanted = (epoch + 1) % args.val_interval == 0 or epoch + 1 == args.epochs
            run.end_epoch(validate(args, net, val_set, engine, run) if wanted else {})
    return finish(run)


DATA_DIR = "~/.mxnet/datasets/voc"


# --- builders -----------------------------------------------------------------------------------------------------

def open_data(args):
    """Training and validation images with their boxes."""
    if args.synthetic:
        return Synthetic(8, args.seed), Synthetic(4, args.seed + 1)
    train = VocDetection(args.data_dir, splits_of("--train-splits", args.train_splits))
    return train, VocDetection(args.data_dir, splits_of("--val-splits", args.val_splits), train.classes)


def build_net(args, classes, engine, resumed):
    """`(net, sentence)`: the detector as it starts, and where its weights are from."""
    mx.random.seed(net_seed(args.seed, -1))
    frozen = args.norm_layer is None
    base = base_network("--network", args.network, frozen_norm=frozen)
    said = first_weights(args, base, args.network, resumed)
    net = faster_rcnn(base, classes, args.shape, args.batch_size // len(engine.ctx), frozen, args.use_fpn)
    prepare(net, engine)
    start_params(args, net, engine)
    return net, said


def trained_names(args, net):
    """With --verbose, a line on which parameters learn."""
    if args.verbose:
        yield "trained: " + ", ".join(name for name, param in net._collect_params_with_prefix().items()
                                      if param.grad_req != "null")


def compile_net(args, net):
    """Hybridize anew: training and prediction are two graphs."""
    if not args.disable_hybridization:
        net.hybridize(static_alloc=args.static_alloc)


def learning_rate(args, updates_per_epoch):
    """num_update -> rate: steps at epochs, a warm-up in the first epoch only."""
    return detection_schedule(args.lr, args.lr_decay, args.lr_decay_epochs, updates_per_epoch, args.lr_warmup,
                              args.lr_warmup_factor)


def step_epochs(args):
    """Epochs at whose start the rate steps."""
    return [math.ceil(epoch) for epoch in args.lr_decay_epochs]


def sgd(args):
    """MXNet's SGD, as in GluonCV's script."""
    return mx.optimizer.SGD(learning_rate=args.lr, momentum=args.momentum, wd=args.wd,
                            clip_gradient=args.clip_gradient or None)


def mixed_epochs(args):
    """Epochs whose images are mixed."""
    return max(0, args.epochs - args.no_mixup_epochs) if args.mixup else 0


def validate(args, net, val_set, engine, run):
    """mAP by both rules over every image once, and a picture."""
    compile_net(args, net)
    found = shared(detections(net, val_set, engine, run.keep_going), len(val_set), engine)
    (names, eleven_points), (_, area) = mean_average_precision(found, val_set, args.iou_thresh)
    if engine.is_writer:
        draw_boxes(run.paths.metrics.with_name(f"predictions-{run.progress.epoch:04d}.png"), val_set, found, val_set.classes)
    return {"map_voc07": eleven_points[-1], "map_area": area[-1], "classes": dict(zip(names[:-1], eleven_points))}


def run_paths(args):
    """GluonCV's names for log and parameters."""
    name = (f"faster_rcnn{'_fpn' if args.use_fpn else ''}{'_syncbn' if args.norm_layer else ''}_{args.network}_"
            f"{args.dataset}")
    prefix = Path(f"{args.save_prefix}{name}").expanduser()
    return paths_beside_log("--save-prefix", prefix.with_name(prefix.name + "_train.log"), prefix.parent,
                            best=f"{prefix.name}_best.params", periodic=f"{prefix.name}_{{epoch:04d}}_{{val:.4f}}.params",
                            resume=f"{prefix.name}.resume.npz")


def shown(args):
    """The flags as the log's first line has them: the numbers of the net one by one again."""
    flags = {name: value for name, value in vars(args).items() if name not in ("shape", "gpu_ids", "lr_decay_epochs")}
    return argparse.Namespace(**flags, **args.shape._asdict())


def facts(args, train_set, engine):
    """What run.json and the resume file say of this run."""
    return {"network": args.network, "dataset": args.dataset, "classes": len(train_set.classes), "seed": args.seed,
            "dtype": "float32", "mixup": args.mixup, "data_root_hash": train_set.root_hash, "devices": len(engine.ctx),
            "world_size": engine.world_size, "global_batch_size": args.batch_size * engine.world_size,
            "threads": operator_threads(), "title": f"Faster R-CNN, {args.network}", "train_metric": "loss",
            "score": "map_voc07", "args": vars(shown(args))}


def plan_of(args):
    """The rows that --dry-run prints, made by the builders above without GPUs or downloads; VOC's own lists are known."""
    images, classes = planned_data(args)
    check_batch(args, images, launched_processes(args.kvstore))
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
    yield from plan.corner_rows(learning_rate(args, updates), updates, args.epochs, step_epochs(args),
                                (warmup, f"after {warmup:,} updates of warm-up"))
    if not isinstance(net, UserError):
        yield from plan.decay_rows(net, args.wd)
    mixed = f"; mixed half and half in the first {mixed_epochs(args)} epochs" if mixed_epochs(args) else ""
    yield "images", (f"shorter side to {shape.image_short}, the longer at most {shape.image_max_size}; mirror with "
                     f"probability 1/2{mixed}")
    yield "validation", f"each image of {args.val_splits} once; mAP at IoU {args.iou_thresh:g} by 11 points, and by area"
    yield "targets", (f"{shape.rcnn_num_samples} of {shape.rpn_train_post_nms} proposals of an image, at most "
                      f"{shape.rcnn_pos_ratio:.0%} of them objects, which is IoU {shape.rcnn_pos_iou_thresh:g} and more"
                      + ("; BatchNorm, stem and stage 1 stay as they are" if frozen else ""))


def planned_data(args):
    """`(images, classes)` of the training set: VOC's published lists, or what is in another folder."""
    if args.synthetic:
        return len(open_data(args)[0]), Synthetic.classes
    splits = splits_of("--train-splits", args.train_splits)
    if args.data_dir == DATA_DIR and set(splits) <= set(IMAGES):
        return sum(IMAGES[split] for split in splits), CLASSES
    train = VocDetection(args.data_dir, splits)
    return len(train), train.classes


def planned_net(args, classes):
    """The detector with all shapes known, from an image and proposals small enough to be quick; or why there is none."""
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


# --- flags --------------------------------------------------------------------------------------------------------

def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=("custom-model",), metavar="custom-model",
                        help="as in GluonCV: the FPN variant, with its own defaults for the numbers of the net")
    data = parser.add_argument_group("Data")
    data.add_argument("--dataset", default="voc", help="voc: any folder in VOC's layout (GluonCV's coco is not done here)")
    data.add_argument("-j", "--num-workers", type=int, default=4, help="loader processes (default 4)")
    model = parser.add_argument_group("Model")
    model.add_argument("--network", "--backbone", default="resnet50_v1b", metavar="NAME",
                       help="base: any ResNet of this kit; --backbone is another word for it (default resnet50_v1b)")
    model.add_argument("--use-fpn", action="store_true", help="feature pyramid")
    model.add_argument("--norm-layer", choices=("syncbn",), help="BatchNorm learns (default: frozen); here each device has "
                       "its own statistics in training")
    model.add_argument("--disable-hybridization", action="store_true", help="stay imperative")
    model.add_argument("--static-alloc", action="store_true", help="hybridize with static_alloc")
    train = parser.add_argument_group("Training")
    train.add_argument("--batch-size", type=int, default=1, help="images per update over all devices of a process "
                       "(default 1)")
    train.add_argument("--gpus", default="0", help="GPU ids with commas; '' is the CPU (default 0)")
    train.add_argument("--epochs", default="", help="passes over the data (default 20)")
    train.add_argument("--lr", default="", help="learning rate (default 0.001)")
    train.add_argument("--lr-decay", type=float, default=0.1, help="factor of one step (default 0.1)")
    train.add_argument("--lr-decay-epoch", default="", help="epochs to step at (default 14,20)")
    train.add_argument("--lr-warmup", default="", help="updates of linear warm-up, in the first epoch (default -1: none)")
    train.add_argument("--lr-warmup-factor", type=float, default=1 / 3, help="share of the rate at its start (default 1/3)")
    train.add_argument("--momentum", type=float, default=0.9, help="SGD momentum (default 0.9)")
    train.add_argument("--wd", default="", help="weight decay (default 5e-4)")
    train.add_argument("--mixup", action="store_true", help="mix images half and half, loss times 0.5")
    train.add_argument("--no-mixup-epochs", type=int, default=20, help="final epochs without mixup (default 20)")
    train.add_argument("--rpn-smoothl1-rho", type=float, default=1 / 9, help="Huber threshold of proposals (default 1/9)")
    train.add_argument("--rcnn-smoothl1-rho", type=float, default=1.0, help="Huber threshold of boxes (default 1)")
    train.add_argument("--amp", action="store_true", help="not done here: float16 is for GPUs, which we could not run")
    train.add_argument("--horovod", action="store_true", help="several processes with Horovod")
    train.add_argument("--executor-threads", type=int, default=1, help="has no effect: MXNet's engine drives all devices")
    train.add_argument("--kv-store", default="nccl", choices=KVSTORES,
                       help="who adds up gradients; on the CPU nccl is device (default nccl)")
    files = parser.add_argument_group("Files")
    files.add_argument("--resume", default="", metavar="FILE|auto",
                       help="start from this .params file; auto (not in GluonCV): go on exactly where a run stopped")
    files.add_argument("--start-epoch", type=int, default=0, help="first epoch (default 0)")
    files.add_argument("--log-interval", type=int, default=100, help="updates between log lines (default 100)")
    files.add_argument("--save-prefix", default="", help="before the name of every file written; may hold folders")
    files.add_argument("--save-interval", type=int, default=1, help="epochs between saves (default 1)")
    files.add_argument("--val-interval", type=int, default=1, help="epochs between validations (default 1)")
    files.add_argument("--seed", type=int, default=233, help="decides everything drawn (default 233)")
    files.add_argument("--verbose", action="store_true", help="log the names of trained parameters")
    net = parser.add_argument_group("Numbers of the net (GluonCV: after custom-model, which is the FPN; in brackets the "
                                    "defaults: plain, FPN)")
    for name, kind in KINDS.items():
        plain, pyramid = (text(getattr(shape, name)) for shape in (VOC, FPN))
        default = plain if plain == pyramid else f"{plain}, {pyramid}"
        flags = [f"--{name.replace('_', '-')}"] + (["--num_box_head_dense_filters"] if "dense" in name else [])
        net.add_argument(*flags, type=kind, dest=name, help=f"[{default}]")
    net.add_argument("--no-pretrained-base", dest="pretrained_base", action="store_false",
                     help="draw the base instead of loading the zoo's weights")
    ours = parser.add_argument_group("Not in GluonCV")
    ours.add_argument("--backbone-params", metavar="FILE", default="", help="weights of the base: a classifier's .params")
    ours.add_argument("--init", choices=("gluoncv", "horovod", "paper"), default="gluoncv", help="how a base is drawn")
    ours.add_argument("--data-dir", default=DATA_DIR, help="with VOC2007, VOC2012 (default: GluonCV's)")
    ours.add_argument("--train-splits", default="2007_trainval,2012_trainval", help="(default %(default)s)")
    ours.add_argument("--val-splits", default="2007_test", help="(default 2007_test)")
    ours.add_argument("--iou-thresh", type=float, default=0.5, help="overlap that counts as found (default 0.5)")
    ours.add_argument("--clip-gradient", type=float, default=0.0, help="clip each gradient element (default: no)")
    ours.add_argument("--synthetic", action="store_true", help="random rectangles, no data needed")
    ours.add_argument("--overwrite", action="store_true", help="start again over an earlier run's files")
    ours.add_argument("--checkpoint-period", type=int, default=1000, help="updates between resume files (default 1000)")
    ours.add_argument("--max-updates", type=int, default=0, help="stop after so many updates in all")
    ours.add_argument("--dry-run", action="store_true", help="print what the run would do: sums, rates, what learns; needs "
                      "no GPU, and for VOC no data")
    title = "Several devices and processes (not in GluonCV; the devices share --batch-size)"
    add_engine_flags(parser.add_argument_group(title))
    args = parser.parse_args(argv)
    check_args(args)
    return args


def numbers(text_given):
    return tuple(float(word) if "." in word else int(word) for word in text_given.split(","))


def text(value):
    return ",".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)


KINDS = {name: numbers if isinstance(getattr(VOC, name), tuple) else str if name == "roi_mode" else
         float if name in ("nms_thresh", "clip", "rpn_nms_thresh", "rcnn_pos_iou_thresh", "rcnn_pos_ratio") else int
         for name in Shape._fields}


def check_args(args):
    """Everything that can be wrong with a value by itself, before anything is opened."""
    if args.dataset != "voc":
        raise UserError(f"--dataset {args.dataset}: only voc is done here, any folder in VOC's layout (--data-dir)")
    args.use_fpn = args.use_fpn or args.command == "custom-model"
    for name, default in (("epochs", 20), ("lr", 0.001), ("lr_warmup", -1), ("wd", 5e-4)):
        given = getattr(args, name)
        try:
            setattr(args, name, type(default)(float(given)) if given != "" else default)
        except (ValueError, OverflowError):
            raise UserError(f"--{name.replace('_', '-')} {given}: give a number") from None
    try:
        args.lr_decay_epochs = sorted(float(word) for word in (args.lr_decay_epoch or "14,20").split(",") if word.strip())
        args.gpu_ids = [int(word) for word in args.gpus.split(",") if word.strip()]
        step_epochs(args)
    except (ValueError, OverflowError):
        raise UserError(f"--lr-decay-epoch {args.lr_decay_epoch}, --gpus {args.gpus}: give numbers with commas") from None
    if min(args.gpu_ids, default=0) < 0 or len(set(args.gpu_ids)) < len(args.gpu_ids):
        raise UserError(f"--gpus {args.gpus}: give each GPU's number once, from 0")
    if args.amp:
        raise UserError("--amp: float16 detection has not been made to work here; leave it out")
    check_numbers(args, {"batch_size": 1, "epochs": 1, "num_workers": 0, "start_epoch": 0, "log_interval": 0, "seed": 0,
                         "save_interval": 0, "val_interval": 1, "no_mixup_epochs": 0, "checkpoint_period": 0,
                         "max_updates": 0, "momentum": 0, "wd": 0, "clip_gradient": 0, "lr_decay": 0, "lr_warmup_factor": 0})
    for name in ("rpn_smoothl1_rho", "rcnn_smoothl1_rho", "iou_thresh"):
        if not 0 < getattr(args, name) < math.inf:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: must be positive")
    given = {name: getattr(args, name) for name in Shape._fields if getattr(args, name) is not None}
    args.shape = (FPN if args.use_fpn else VOC)._replace(**given)
    for name in Shape._fields:
        delattr(args, name)
    check_shape(args.shape, args.use_fpn)
    check_devices(args, len(args.gpu_ids), "horovod" if args.horovod else args.kv_store)


def check_shape(shape, use_fpn):
    """Numbers of the net that do not fit together."""
    if shape.roi_mode not in ("align", "pool"):
        raise UserError(f"--roi-mode {shape.roi_mode}: is align or pool")
    for name in ("image_short", "image_max_size", "rpn_channel", "anchor_base_size", "rpn_train_post_nms",
                 "rpn_test_post_nms", "rcnn_num_samples", "max_num_gt", "num_fpn_filters", "num_box_head_conv_filters",
                 "num_box_head_dense_filters"):
        if getattr(shape, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} {getattr(shape, name)}: must be at least 1")
    objects = round(shape.rcnn_num_samples * shape.rcnn_pos_ratio)
    if not 0 < objects < shape.rcnn_num_samples <= shape.rpn_train_post_nms:
        raise UserError(f"--rcnn-num-samples {shape.rcnn_num_samples} of --rpn-train-post-nms {shape.rpn_train_post_nms} "
                        f"with --rcnn-pos-ratio {shape.rcnn_pos_ratio:g}: there must be as many proposals, and room for an "
                        f"object and for background")
    levels = 5 if use_fpn else 1
    if len(shape.strides) != levels:
        raise UserError(f"--strides {text(shape.strides)}: this net has {levels} feature map{'s' * (levels > 1)}")
    if not use_fpn and shape.strides[0] not in (4, 8, 16):
        raise UserError(f"--strides {text(shape.strides)}: is 4, 8 or 16, the stride of stage 1, 2 or 3")
    if use_fpn and len(shape.anchor_scales) != levels:
        raise UserError(f"--anchor-scales {text(shape.anchor_scales)}: give one for each of the {levels} feature maps")
    if len(shape.roi_size) != 2 or len(shape.anchor_alloc_size) != 2:
        raise UserError("--roi-size, --anchor-alloc-size: give height and width with a comma")


if __name__ == "__main__":
    run_main(main)
