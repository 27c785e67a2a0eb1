"""Train on ImageNet as GluonCV's train_imagenet.py does.

    python train_imagenet.py --model resnet18_v1b --synthetic --classes 10 --num-training-samples 64 --input-size 64 \\
        --batch-size 16 --num-epochs 1 --mode hybrid
    python train_imagenet.py --model resnet50_v1d --mode hybrid --lr 0.4 --lr-mode cosine --num-epochs 120 \\
        --batch-size 128 --num-gpus 8 -j 60 --use-rec --dtype float16 --warmup-epochs 5 --last-gamma --no-wd \\
        --label-smoothing
    python train_imagenet.py --model resnet50_v1d --mode hybrid --lr 0.4 --lr-mode cosine --num-epochs 200 \\
        --batch-size 128 --num-gpus 8 -j 60 --use-rec --dtype float16 --warmup-epochs 5 --last-gamma --no-wd \\
        --label-smoothing --mixup

The first needs no data. The second is the row "+ label smoothing" of Table 6, the third "+ mixup without distillation": the
published commands, but for the paths of the record files. `python -m gluon_tricks compare LOG` judges the log.
"""

import argparse
import functools
import os
import sys
from pathlib import Path
from typing import NamedTuple

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import mxnet as mx
from mxnet import gluon

from gluon_tricks.data.dali import DaliLoader
from gluon_tricks.data.imagenet import ImagenetData, SyntheticLoader, folder_loaders, record_loaders
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.data.mxnet_iterators import ImageNetRecordIter
from gluon_tricks.data.val_window import sample_counts, val_window
from gluon_tricks.engines.launcher import devices_per_process, kvstore_of_launcher, launched_processes
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder
from gluon_tricks.log_lines.dialects import HorovodDialect, ImagenetDialect
from gluon_tricks.machine import operator_threads
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.initializers import imagenet_initializer
from gluon_tricks.models.ready import compute_dtype, hybridize, load_params, make_ready, start_precision
from gluon_tricks.models.registry import get_model
from gluon_tricks.optim.lr_schedule import MODES, lr_schedule
from gluon_tricks.optim.parameter_average import ParameterAverage
from gluon_tricks.parameters import connect
from gluon_tricks.published.reference import reference_of
from gluon_tricks.randomness import MIXUP, generator, net_seed
from gluon_tricks.recipes.presets import PRESETS, overrides, parse_with_preset
from gluon_tricks.script import plan
from gluon_tricks.script.auto_dtype import settle_dtype, trial_lines
from gluon_tricks.script.engine_flags import add_engine_flags
from gluon_tricks.script.flags import (
    at_least,
    check_common,
    decay_epochs,
    engine_of,
    global_batch_size,
    local_batch_size,
    per_channel,
)
from gluon_tricks.script.horovod_flags import cosine_schedule, is_asked_for, translate
from gluon_tricks.script.opening import batch_line, finish, header
from gluon_tricks.training.evaluation import evaluate, hits
from gluon_tricks.training.loop import accuracy, rmse, train_epoch
from gluon_tricks.training.run import Run, RunPaths
from gluon_tricks.training.trainer_states import load_states
from gluon_tricks.tricks.distillation import DistillationLoss
from gluon_tricks.tricks.drop_block import DropBlocks, check_drop_block
from gluon_tricks.tricks.label_smoothing import smooth_one_hot
from gluon_tricks.tricks.linear_scaling import linear_scaled_lr
from gluon_tricks.tricks.low_precision import create_loss_scale
from gluon_tricks.tricks.lr_warmup import FORMULAS
from gluon_tricks.tricks.mixup import mixup, sample_lam, sample_partners
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay
from gluon_tricks.tricks.zero_gamma import count_zero_gammas


def main(argv=None):
    args = parse_args(argv)
    if args.dry_run:
        return plan.show(plan_of(args))
    engine = engine_of(args, parts_per_device(args))                                 # who computes
    data = open_data(args, engine.rank, engine.world_size)                           # what it sees     (§2.1)
    paths = run_paths(args)
    trial = settle_dtype(args, args.classes, args.input_size, paths.resume, net_keywords(args))     # in what numbers (§3.2)
    run = Run(paths, {**facts(args, data, engine), "dtype_trial": trial}, engine, args.resume, args.overwrite)
    net = build_net(args, engine)                                                    # what learns      (§4.2, §3.1)
    schedule = learning_rate(args)                                                   # how fast         (§3.1, §5.1)
    trainer = engine.trainer(net, nag(args))                                         # what moves it    (§3.1, §3.2)
    targets, loss, metric = training_targets(args, engine)                           # what it is told  (§5.2-5.4)
    loss_scale, average = create_loss_scale(args.loss_scale), ParameterAverage(net, args.ema) if args.ema else None
    drop_blocks = DropBlocks(net, lambda: hybridize(net, args.mode), args.num_epochs if args.flags == "horovod" else None)
    if args.resume_epoch and not run.resumed:
        go_on_from_gluoncv(args, run, trainer, data)
    run.open(net, trainer, header(args, engine),
             [*trial_lines(args, trial), *opening_lines(args, data, net, engine)], dialect_of(args),
             args.num_epochs, data.train.batches_in, average, checkpoint_period=args.checkpoint_period,
             save_period=args.save_frequency, log_interval=args.log_interval, max_updates=args.max_updates,
             check_sync=args.check_sync, resumes_anywhere=data.train.resumes_anywhere)
    with run.sitting():
        while run.progress.epoch < args.num_epochs:
            run.begin_epoch()
            drop_blocks.train(run.progress.epoch)
            train_epoch(net, data.train, targets, loss, metric, trainer, schedule, engine, run.progress,
                        run.after_update, args.seed, loss_scale, run.keep_going)
            run.end_training()
            drop_blocks.evaluate()
            accuracies = evaluate(net, data.val, engine, args.dtype, run.keep_going, top=(1, 5))
            run.end_epoch(accuracies, average and evaluate_average(args, average, data, engine, run))
        run.log.info(both_protocols(args, net, data, engine, run.keep_going))
    return finish(run)


# --- builders -----------------------------------------------------------------------------------------------------

def open_data(args, rank=0, world_size=1):
    """Loaders for --synthetic, --use-rec (MXNet's iterator, ours, or DALI) or class folders: one process's share."""
    batch, size, share = local_batch_size(args), args.input_size, {"rank": rank, "world_size": world_size}
    if args.synthetic:
        args.classes = args.classes or 1000
        train = SyntheticLoader(args.num_training_samples, batch, size, args.classes, **share)
        val = SyntheticLoader(batch * world_size, batch, size, args.classes, 1, **share)
        return ImagenetData(train, val, args.classes, "synthetic", lambda: val)
    if not (args.use_rec or args.data_backend.startswith("dali")):
        train, val, classes = folder_loaders(args.data_dir, batch, args.seed, size, args.crop_ratio, args.num_workers,
                                             args.crop_law or "folder", args.colors, args.auto_aug, **share)
        return checked(args, ImagenetData(train, val, classes, "", lambda: val))
    manifest = manifest_of(args)
    described = (len(manifest.classes), manifest.root_hash) if manifest else (None, "")
    for flag in ("rec_train", "rec_train_idx", "rec_val", "rec_val_idx"):
        if not rec_path(args, flag).is_file():
            raise UserError(f"--{flag.replace('_', '-')} {getattr(args, flag)}: does not exist; make it with "
                            f"{DATASETS[args.dataset].prepared_by}")
    train, val, exact = record_backend(args, batch, size, share)
    return checked(args, ImagenetData(train, val, *described, exact))


def record_backend(args, batch, size, share):
    """Training and validation loaders over record files, and what makes the exact validation loader."""
    pixels = size, args.crop_ratio, args.rgb_mean, args.rgb_std
    if args.data_backend == "ours":
        train, val = record_loaders(rec_path(args, "rec_train"), rec_path(args, "rec_val"), batch, args.seed, *pixels,
                                    args.num_workers, args.on_bad_record, args.crop_law or "rec", args.colors,
                                    args.auto_aug, **share)
        return train, val, lambda: val
    if args.data_backend.startswith("dali"):
        make = functools.partial(DaliLoader, batch_size=batch, decode_on=args.data_backend[-3:], num_gpus=args.num_gpus,
                                 size=size, crop_ratio=args.crop_ratio, mean=args.rgb_mean, std=args.rgb_std,
                                 prefetch_queue=args.dali_prefetch_queue, nvjpeg_padding=args.dali_nvjpeg_memory_padding,
                                 fuse_decoder=args.dali_fuse_decoder)
        val = make(rec_path(args, "rec_val"), rec_path(args, "rec_val_idx"), train=False,
                   num_threads=args.dali_validation_threads)
        return (make(rec_path(args, "rec_train"), rec_path(args, "rec_train_idx"), train=True,
                     num_threads=args.dali_threads), val, lambda: val)

    def record_iter(part, protocol):
        return ImageNetRecordIter(rec_path(args, f"rec_{part}"), rec_path(args, f"rec_{part}_idx"), batch,
                                  part == "train", *pixels, args.num_workers, protocol, **share)

    val = record_iter("val", args.val_protocol)
    exact = (lambda: val) if val.protocol == "exact" else functools.cache(lambda: record_iter("val", "exact"))
    return record_iter("train", args.val_protocol), val, exact


def rec_path(args, flag):
    return Path(getattr(args, flag)).expanduser()


def manifest_of(args):
    """The manifest beside the record files, its files and labels checked; None for records of other tools."""
    manifests = {}
    for part in ("train", "val"):
        folder = rec_path(args, f"rec_{part}").parent
        if (folder / "manifest.json").is_file():
            manifests[part] = read_manifest(folder)
            open_split(folder, rec_path(args, f"rec_{part}").stem, manifests[part])
    if len({manifest.classes_sha256 for manifest in manifests.values()}) > 1:
        raise UserError(f"--rec-val {args.rec_val}: its labels are by another list of classes than those of --rec-train "
                        f"{args.rec_train} (the SHA-256 in their manifests differs); prepare both in one go")
    return manifests.get("train")


def checked(args, data):
    """Refuse data that do not fit the flags; without --classes, the data say how many there are."""
    args.classes = args.classes or data.classes or 1000
    if data.classes is not None and data.classes != args.classes:
        raise UserError(f"--classes {args.classes}: the data have {data.classes}")
    if global_batch_size(args) > data.train.records:
        raise UserError(f"--batch-size: {global_batch_size(args)} images over all devices, but the training set has "
                        f"{data.train.records}")
    if args.num_training_samples != data.train.records:
        raise UserError(f"--num-training-samples {args.num_training_samples}: the training set has {data.train.records}; "
                        f"the learning rate counts by this flag, so give --num-training-samples {data.train.records}")
    return data


def model_kwargs(args):
    """What GluonCV's script passes to the model, by its flags."""
    kwargs = {}
    if args.last_gamma:
        kwargs["last_gamma"] = True
    if args.use_gn:
        kwargs["norm_layer"] = GroupNorm
    if args.model.startswith("vgg"):
        kwargs["batch_norm"] = args.batch_norm
    if args.use_pretrained:
        kwargs["pretrained"] = True
    if args.use_se:
        kwargs["use_se"] = True
    if args.model.startswith("resnest"):       # the size of what its DropBlock layers drop follows from it
        kwargs["input_size"] = args.input_size
    return kwargs


def net_keywords(args):
    """What `get_model` is given besides the name and the number of classes: GluonCV's, and what mends GluonCV."""
    return {"fix_last_gamma": args.fix_last_gamma, "fix_use_se": args.fix_use_se, **model_kwargs(args)}


def build_net(args, engine):
    """The net as it starts: from --init, or from --resume-params."""
    start_precision(args.dtype, args.use_amx)
    net = get_model(args.model, classes=args.classes, **net_keywords(args))
    check_drop_block(net, args.input_size)
    net.cast(compute_dtype(args.dtype))
    mx.random.seed(net_seed(args.seed, -1))
    if args.resume_params:
        load_params(net, "--resume-params", args.resume_params, engine)
    else:
        net.initialize(imagenet_initializer(args.init), ctx=engine.ctx)
    make_ready(net, args.input_size, args.dtype, args.mode, engine)
    if args.no_wd:
        exempt_from_decay(net)
    return net


def build_teacher(args, engine):
    """The net behind --teacher: a zoo name with the zoo's weights, or NAME:FILE."""
    name, _, path = args.teacher.partition(":")
    if not path and args.classes != 1000:
        raise UserError(f"--teacher {args.teacher}: the zoo's weights are for 1000 classes, the data have {args.classes}; "
                        f"give {args.teacher}:FILE with the parameters of such a net")
    teacher = get_model(name, classes=args.classes, **({} if path else {"pretrained": True}))
    if path:
        load_params(teacher, "--teacher", path, engine)
    teacher.collect_params().reset_ctx(engine.ctx)
    teacher.cast(compute_dtype(args.dtype))
    make_ready(teacher, args.input_size, args.dtype, args.mode, engine)
    return teacher


def learning_rate(args):
    """num_update -> rate, by --num-training-samples as GluonCV counts."""
    if args.flags == "horovod":
        return cosine_schedule(args.lr, args.warmup_lr, args.num_epochs, args.warmup_epochs, args.num_training_samples,
                               local_batch_size(args), launched_processes(args.kvstore))
    updates = args.num_training_samples // global_batch_size(args)
    return lr_schedule(args.lr_mode, args.lr, args.num_epochs, updates, args.warmup_epochs, args.lr_decay, step_epochs(args),
                       formula=args.lr_formula)


def step_epochs(args):
    """Epochs at which --lr-mode step steps."""
    if args.lr_decay_period:
        return range(args.lr_decay_period, args.num_epochs, args.lr_decay_period)
    return decay_epochs(args)


def nag(args):
    """MXNet's NAG; with float16 it keeps float32 masters."""
    return mx.optimizer.NAG(learning_rate=args.lr, momentum=args.momentum, wd=args.wd,
                            multi_precision=args.dtype == "float16", clip_gradient=args.clip_gradient or None)


def dialect_of(args):
    """Whose log lines are written."""
    return HorovodDialect(args.eval_frequency, args.num_epochs) if args.flags == "horovod" else ImagenetDialect


def training_targets(args, engine):
    """`(targets, loss, metric)`: what `train_epoch` shows the net and how it counts."""
    eta = args.label_smoothing_eps if args.label_smoothing else 0.0
    distill = args.teacher is not None and (args.hard_weight < 1 or args.soft_weight is not None)
    dense = args.mixup or args.label_smoothing or distill
    teacher = build_teacher(args, engine) if distill else None
    criterion = gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=not dense)
    distillation = DistillationLoss(args.temperature, args.hard_weight, args.soft_weight) if distill else None

    def targets(data, label, epoch, batch):
        target = smooth_one_hot(label, args.classes, eta, args.label_smoothing_rule) if dense else label
        if args.mixup and epoch < args.num_epochs - args.mixup_off_epoch:
            rng = generator(args.seed, MIXUP, epoch, batch)
            lam = sample_lam(args.mixup_alpha, rng)
            partners = sample_partners(len(data), rng) if args.mixup_partners == "random" else None
            data, target = mixup(data, target, lam, partners)
        data = data.astype(compute_dtype(args.dtype), copy=False)
        counted = target if args.mixup else label
        # the teacher sees the mixed image, in predict mode
        return data, (target, teacher(data).astype("float32")) if distill else target, counted

    def loss(output, target):          # in float32 whatever the net computes in
        output = output.astype("float32", copy=False)
        return distillation(output, *target) if distill else criterion(output, target)

    return targets, loss, rmse if args.mixup else accuracy


def go_on_from_gluoncv(args, run, trainer, data):
    """Start at --resume-epoch with the momentum of --resume-states; --resume-params has been loaded."""
    run.progress.epoch = args.resume_epoch
    run.progress.num_update = sum(map(data.train.batches_in, range(args.resume_epoch)))
    connect(trainer)
    load_states(Path(args.resume_states).expanduser(), trainer)


def evaluate_average(args, average, data, engine, run):
    """Exact validation accuracies of the averaged parameters."""
    with average.applied():
        return evaluate(average.net, data.exact(), engine, args.dtype, run.keep_going, top=(1, 5))


def both_protocols(args, net, data, engine, keep_going):
    """The final errors, over every image once and over the last window of MXNet's iterator."""
    right = hits(net, data.exact(), engine, args.dtype, keep_going, top=(1, 5))
    window = val_window(args.num_epochs, len(right), global_batch_size(args))
    exact, gluoncv = (" ".join(f"err-top{k}={error:f}" for k, error in zip((1, 5), 1 - rows.mean(axis=0)))
                      for rows in (right, right[window]))
    return (f"both validation protocols at the end: exact {exact} ({len(right)} images); "
            f"gluoncv {gluoncv} ({len(window)} samples)")


def parts_per_device(args):
    return max(1, args.emulate_gpus) * args.accumulate


def run_paths(args):
    """GluonCV's names for parameters and states."""
    save_dir = make_folder("--save-dir", args.save_dir)
    log = Path(args.logging_file).expanduser()
    make_folder("--logging-file", log.parent)
    metrics = Path(args.json_log).expanduser() if args.json_log else log.with_suffix("") / "metrics.jsonl"
    make_folder("--json-log", metrics.parent)
    return RunPaths(log=log, metrics=metrics, plot=metrics.with_name(f"{args.model}_history.png"), save_dir=save_dir,
                    best=f"{{err:.4f}}-{args.dataset}-{args.model}-{{epoch}}-best.params",
                    periodic=f"{args.dataset}-{args.model}-{{epoch}}.params", states=True,
                    averaged=f"{args.dataset}-{args.model}-{{epoch}}-ema.params",
                    resume=save_dir / f"{args.dataset}-{args.model}.resume.npz",
                    tensorboard=Path(args.tensorboard).expanduser() if args.tensorboard else None)


def facts(args, data, engine):
    """What run.json and the resume file say of this run."""
    return {"model": args.model, "dataset": args.dataset, "classes": args.classes, "seed": args.seed, "dtype": args.dtype,
            "mixup": args.mixup, "data_root_hash": data.root_hash, "devices": len(engine.ctx),
            "world_size": engine.world_size, "data_backend": args.data_backend, "global_batch_size": global_batch_size(args),
            "threads": operator_threads(), "title": args.model,
            "train_metric": "rmse" if args.mixup else "accuracy", "args": vars(args)}


def opening_lines(args, data, net, engine):
    """The sums done: batch, rate, updates; and where the run departs from the linear rule."""
    batch, rule = global_batch_size(args), linear_scaled_lr(global_batch_size(args))
    lengths = sorted(set(map(data.train.batches_in, range(args.num_epochs))))
    yield (f"{batch_line(args, engine, args.emulate_gpus)}; "
           f"peak lr {args.lr:g}; {args.num_training_samples // batch} updates/epoch in the schedule, "
           f"{' or '.join(map(str, lengths))} in the data")
    if abs(args.lr - rule) > 1e-9:
        yield (f"warning: global batch {batch} ({args.batch_size} x {batch // args.batch_size}) with --lr {args.lr:g}; "
               f"the linear rule 0.1 x {batch}/256 gives {rule:g}")
    match = reference_of({**vars(args), "world_size": engine.world_size}, args.dataset)
    if match.departures:
        yield f"warning: departs from the published run {match.reference.name} in {', '.join(match.departures)}"
    beside = f"; overrides: {', '.join(overrides(vars(args)))}" if overrides(vars(args)) else ""
    yield f"preset {args.preset}{beside}"
    yield f"data: {data.train.records} training images of {args.classes} classes, " + (
        f"root hash {data.root_hash}" if data.root_hash else "without a manifest, so nothing vouches for them")
    zero, gammas = count_zero_gammas(net)
    yield f"{zero} of {gammas} gammas start at zero; weight decay on {'weights only' if args.no_wd else 'everything'}"
    if args.last_gamma and not zero:
        yield f"warning: --last-gamma has no effect on {args.model}"
    yield f"seed {args.seed}; {operator_threads()} operator threads, {args.num_workers} loader threads"
    if args.warmup_lr and args.flags != "horovod":
        yield "warning: --warmup-lr has no effect, here as in GluonCV's script; warm-up starts from 0"
    if args.data_backend == "mxnet" and args.use_rec:
        yield (f"validation protocol {data.val.protocol}" + ("" if data.val.protocol == "exact" else (
            f": MXNet's sliding window, as in the published logs, of "
            f"{' or '.join(map(str, sample_counts(data.val.records, batch)))} samples")))


def plan_of(args):
    """The rows that --dry-run prints, made by the builders above without data, GPUs or downloads."""
    classes = args.classes = args.classes or 1000
    batch, updates = global_batch_size(args), args.num_training_samples // global_batch_size(args)
    kwargs = {key: value for key, value in net_keywords(args).items() if key != "pretrained"}
    net = get_model(args.model, classes=classes, **kwargs)
    if args.no_wd:
        exempt_from_decay(net)
    yield "preset", ", ".join([args.preset, *overrides(vars(args))])
    yield from plan.net_rows(net, args.model, classes, args.input_size)
    yield from plan.precision_rows(net, args.dtype, args.loss_scale)
    yield from plan.batch_rows(args.batch_size, max(1, args.num_gpus, args.emulate_gpus), args.num_training_samples,
                               args.num_epochs, args.accumulate, launched_processes(args.kvstore))
    formula = "as train_horovod.py counts" if args.flags == "horovod" else f"formula {args.lr_formula}"
    yield from plan.rate_rows(learning_rate(args), f"{args.lr_mode}, {formula}", args.lr, batch, updates,
                              args.num_epochs, args.warmup_epochs, step_epochs(args) if args.lr_mode == "step" else ())
    yield from plan.decay_rows(net, args.wd)
    yield from plan.gamma_rows(net, args.last_gamma)
    if not args.synthetic:
        yield from plan.imagenet_image_rows(args.data_backend, args.use_rec, args.crop_law, args.colors, args.input_size,
                                            args.crop_ratio, args.rgb_mean, args.rgb_std, args.auto_aug)
    # a teacher would be downloaded; of two images, reversed order always makes a pair
    alone = argparse.Namespace(**{**vars(args), "teacher": None, "mixup_partners": "reversed"})
    yield from plan.target_rows(training_targets(alone, None)[0], classes)
    if args.mixup:
        yield from plan.mixup_rows(args.mixup_alpha, args.mixup_off_epoch, args.mixup_partners)
    if args.teacher is not None:
        yield from plan.teacher_rows(args.teacher, args.temperature, args.hard_weight, args.soft_weight)


# --- flags --------------------------------------------------------------------------------------------------------

def parse_args(argv):
    rec = DATASETS["imagenet"].folder
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = parser.add_argument_group("Data (§2.1)")
    data.add_argument("--data-backend", default="mxnet", choices=("mxnet", "ours", "dali-gpu", "dali-cpu"),
                      help="mxnet: ImageRecordIter; ours (not in GluonCV): exact order and resume (default mxnet)")
    data.add_argument("--data-dir", default="~/.mxnet/datasets/imagenet/", help="folder with train/ and val/ class folders")
    data.add_argument("--rec-train", default=f"{rec}/train.rec", help="training record file")
    data.add_argument("--rec-train-idx", default=f"{rec}/train.idx", help="its index")
    data.add_argument("--rec-val", default=f"{rec}/val.rec", help="validation record file")
    data.add_argument("--rec-val-idx", default=f"{rec}/val.idx", help="its index")
    data.add_argument("--use-rec", action="store_true", help="read record files instead of folders")
    data.add_argument("--input-size", type=int, default=224, help="side of the crop (default 224)")
    data.add_argument("--crop-ratio", type=float, default=0.875, help="validation resizes to size / ratio (default 0.875)")
    data.add_argument("--rgb-mean", default="123.68, 116.779, 103.939", help="channel means, 0..255 (record files)")
    data.add_argument("--rgb-std", default="58.393, 57.12, 57.375", help="channel deviations, 0..255 (record files)")
    data.add_argument("--num-training-samples", type=int, default=1281167, help="images per epoch, as the schedule counts")
    data.add_argument("-j", "--num-data-workers", dest="num_workers", type=int, default=4, help="decoding threads")
    model = parser.add_argument_group("Model (§4)")
    model.add_argument("--model", required=True, help="model name, as resnet50_v1d")
    model.add_argument("--mode", help="hybrid compiles the net; anything else is imperative")
    model.add_argument("--use-pretrained", action="store_true", help="start from the zoo's weights (downloaded)")
    model.add_argument("--use_se", action="store_true", help="has no effect in GluonCV: give --fix-use-se as well")
    model.add_argument("--batch-norm", action="store_true", help="BatchNorm in vgg models")
    model.add_argument("--use-gn", action="store_true", help="GroupNorm instead of BatchNorm")
    train = parser.add_argument_group("Training (§2.1, §3)")
    train.add_argument("--batch-size", type=int, default=32, help="images per device and update (default 32)")
    train.add_argument("--num-gpus", type=int, default=0, help="GPUs to use; 0 means CPU (default 0)")
    train.add_argument("--num-epochs", type=int, default=3, help="passes over the data (default 3)")
    train.add_argument("--dtype", choices=("float32", "float16", "bfloat16", "auto"), default="float32",
                       help="auto, not in GluonCV: the fastest on this CPU, by trying (default float32)")
    train.set_defaults(use_amx=True)       # where there is AMX; --dtype auto may decide against it
    train.add_argument("--lr", type=float, default=0.1, help="peak rate of the global batch (default 0.1)")
    train.add_argument("--momentum", type=float, default=0.9, help="NAG momentum (default 0.9)")
    train.add_argument("--wd", type=float, default=0.0001, help="weight decay (default 0.0001)")
    train.add_argument("--no-wd", action="store_true", help="no decay on biases, gammas and betas")
    train.add_argument("--last-gamma", action="store_true", help="zero gamma at the end of residual blocks")
    train.add_argument("--warmup-lr", type=float, default=0.0, help="has no effect, as in the original")
    train.add_argument("--warmup-epochs", type=int, default=0, help="epochs of linear warm-up (default 0)")
    train.add_argument("--lr-mode", choices=MODES, default="step", help="decay after warm-up (default step)")
    train.add_argument("--lr-decay", type=float, default=0.1, help="factor of one step (default 0.1)")
    train.add_argument("--lr-decay-period", type=int, default=0, help="a step every so many epochs")
    train.add_argument("--lr-decay-epoch", default="40,60", help="epochs to step at (default 40,60)")
    tricks = parser.add_argument_group("Refinements (§5)")
    tricks.add_argument("--label-smoothing", action="store_true", help="smooth the targets by 0.1")
    tricks.add_argument("--mixup", action="store_true", help="mix images and labels")
    tricks.add_argument("--mixup-alpha", type=float, default=0.2, help="of the Beta distribution (default 0.2)")
    tricks.add_argument("--mixup-off-epoch", type=int, default=0, help="final epochs without mixup (default 0)")
    tricks.add_argument("--teacher", help="zoo model to learn from, or NAME:FILE with its parameters")
    tricks.add_argument("--temperature", type=float, default=20, help="of the distillation (default 20)")
    tricks.add_argument("--hard-weight", type=float, default=0.5, help="weight of the labels; 1 drops the teacher")
    dali = parser.add_argument_group("NVIDIA DALI (not run: no machine of ours had it)")
    dali.add_argument("--dali-threads", type=int, default=3, help="per GPU, training (default 3)")
    dali.add_argument("--dali-validation-threads", type=int, default=10, help="per GPU, validation (default 10)")
    dali.add_argument("--dali-prefetch-queue", type=int, default=2, help="batches ahead (default 2)")
    dali.add_argument("--dali-nvjpeg-memory-padding", type=int, default=64, help="MB (default 64)")
    dali.add_argument("--dali-fuse-decoder", type=int, choices=(0, 1), default=1, help="decode only the crop (default 1)")
    files = parser.add_argument_group("Files")
    files.add_argument("--save-frequency", type=int, default=10, help="save every so many epochs (default 10; 0: never)")
    files.add_argument("--save-dir", default="params", help="folder for parameters and states (default params)")
    files.add_argument("--resume-epoch", type=int, default=0, help="go on at this epoch, with both of:")
    files.add_argument("--resume-params", default="", help="start from these parameters")
    files.add_argument("--resume-states", default="", help="and this momentum, as GluonCV's script saved it")
    files.add_argument("--log-interval", type=int, default=50, help="batches between log lines (default 50; 0: none)")
    files.add_argument("--logging-file", default="train_imagenet.log", help="log file, appended to")
    ours = parser.add_argument_group("Not in GluonCV")
    ours.add_argument("--dataset", choices=tuple(DATASETS), default="imagenet",
                      help="where --rec-* are, and --num-training-samples, if not given (default imagenet)")
    ours.add_argument("--classes", type=int, default=None, help="default: what manifest or folders say, else 1000")
    ours.add_argument("--seed", type=int, default=0, help="decides initialisation, order, augmentation, mixup (default 0)")
    ours.add_argument("--as", dest="preset", choices=tuple(PRESETS), default="gluoncv",
                      help="where paper and GluonCV differ; the flags of the next group (default gluoncv)")
    ours.add_argument("--flags", choices=("imagenet", "horovod"), default="imagenet",
                      help="horovod: the other flags are those of GluonCV's train_horovod.py (rate per worker, schedule, "
                           "initialisation, defaults and log lines are its own)")
    ours.add_argument("--eval-frequency", type=int, default=0,
                      help="with --flags horovod: print validation every so many epochs (default 0: after the last)")
    ours.add_argument("--auto-aug", "--auto_aug", action="store_true",
                      help="AutoAugment's ImageNet policy before the crop; it is train_horovod.py's --auto_aug")
    ours.add_argument("--auto-lr", action="store_true", help="linear scaling from 0.1 at 256 instead of --lr")
    ours.add_argument("--fix-use-se", action="store_true", help="--use_se makes resnext* the se_resnext* of the same size")
    ours.add_argument("--label-smoothing-eps", type=float, default=0.1, help="(default 0.1)")
    ours.add_argument("--clip-gradient", type=float, default=0.0, help="clip each gradient element (default: no)")
    ours.add_argument("--loss-scale", default="none", metavar="none|dynamic|NUMBER",
                      help="multiply the loss, for float16 (§3.2); dynamic: as large as overflows allow (default none)")
    ours.add_argument("--ema", type=float, default=0.0, metavar="DECAY",
                      help="also average the parameters over the updates, say 0.9999; validated and saved (default: no)")
    ours.add_argument("--accumulate", type=int, default=1,
                      help="passes of --batch-size per device and update, gradients summed (default 1)")
    ours.add_argument("--emulate-gpus", type=int, default=0,
                      help="compute the batch of so many devices on one: BatchNorm and mixup per part, gradients summed")
    ours.add_argument("--on-bad-record", choices=("fail", "skip"), default="fail", help="with --data-backend ours")
    ours.add_argument("--dry-run", action="store_true", help="print what the run would do; needs no data and no GPU")
    ours.add_argument("--synthetic", action="store_true", help="random images: throughput without data")
    ours.add_argument("--resume", metavar="auto|FILE", default="", help="auto: go on where a run in --save-dir stopped")
    ours.add_argument("--overwrite", action="store_true", help="start again over an earlier run's files")
    ours.add_argument("--checkpoint-period", type=int, default=1000, help="updates between resume files (default 1000)")
    ours.add_argument("--max-updates", type=int, default=0, help="stop after so many updates in all")
    ours.add_argument("--json-log", metavar="FILE", help="metrics.jsonl (default: in a folder named after the log)")
    ours.add_argument("--tensorboard", metavar="DIR", help="also write TensorBoard scalars there")
    add_engine_flags(parser.add_argument_group("Several devices and processes (not in GluonCV)"))
    choices = parser.add_argument_group("Paper or GluonCV (set by --as, with --data-backend and --hard-weight)")
    choices.add_argument("--lr-formula", choices=FORMULAS, help="of warm-up and decay")
    choices.add_argument("--val-protocol", choices=("gluoncv", "exact"), help="MXNet's sliding window, or every image once")
    choices.add_argument("--init", choices=("gluoncv", "horovod", "paper"),
                         help="MSRAPrelu; Xavier by incoming weights, as train_horovod.py; or Xavier by channels")
    choices.add_argument("--crop-law", choices=("rec", "folder", "paper", "efficientnet"),
                         help="how crops are drawn (default of gluoncv: as GluonCV's record files or folders)")
    choices.add_argument("--colors", choices=("gluoncv", "paper"), help="jitter of contrast, or of hue")
    choices.add_argument("--fix-last-gamma", action=argparse.BooleanOptionalAction,
                         help="zero gamma where GluonCV ignores --last-gamma or inverts it")
    choices.add_argument("--label-smoothing-rule", choices=("gluoncv", "paper"), help="eta / K, or eps / (K - 1)")
    choices.add_argument("--soft-weight", type=float, help="weight of the teacher; GluonCV: 1 - hard-weight; paper: both 1")
    choices.add_argument("--mixup-partners", choices=("reversed", "random"), help="who is mixed with whom")
    argv = sys.argv[1:] if argv is None else argv
    if is_asked_for(argv) and not {"-h", "--help"} & set(argv):
        argv = translate(argv, launched_processes(kvstore_of_launcher(os.environ) or "device"))
    args = parse_with_preset(parser, argv)
    check_args(args)
    return args


class Dataset(NamedTuple):
    """A data set in record files, where nothing else is said."""
    folder: str
    images: int              # of the training set
    classes: int
    prepared_by: str


DATASETS = {"imagenet": Dataset("~/.mxnet/datasets/imagenet/rec", 1281167, 1000, "data_prep/imagenet.py"),
            "places365": Dataset("~/.mxnet/datasets/places365/rec", 1803460, 365, "data_prep/places365.py")}


def settle_dataset(args):
    """Put --dataset's values where a flag still has ImageNet's."""
    imagenet, chosen = DATASETS["imagenet"], DATASETS[args.dataset]
    for flag in ("rec_train", "rec_train_idx", "rec_val", "rec_val_idx"):
        setattr(args, flag, getattr(args, flag).replace(imagenet.folder, chosen.folder))
    if args.num_training_samples == imagenet.images:
        args.num_training_samples = chosen.images
    if args.dataset != "imagenet":
        args.classes = args.classes or chosen.classes


def check_args(args):
    """Everything that can be wrong with a value by itself, before anything is opened."""
    check_common(args)
    settle_dataset(args)
    at_least(args, {"save_frequency": 0, "input_size": 1, "num_training_samples": 1, "lr_decay_period": 0,
                    "emulate_gpus": 0, "clip_gradient": 0, "accumulate": 1})
    if args.classes is not None:
        at_least(args, {"classes": 2})
    for flag in ("rgb_mean", "rgb_std"):
        setattr(args, flag, per_channel(f"--{flag.replace('_', '-')}", getattr(args, flag)))
    if args.crop_ratio <= 0:               # as GluonCV's script falls back
        args.crop_ratio = 0.875
    if args.data_backend.startswith("dali") and not args.num_gpus:
        raise UserError(f"--data-backend {args.data_backend}: DALI delivers to GPUs; give --num-gpus, or use mxnet or ours")
    theirs_only = args.colors != "paper" and args.crop_law in (None, "rec") and not args.auto_aug
    if args.data_backend != "ours" and args.use_rec and not theirs_only:
        raise UserError(f"--data-backend {args.data_backend}: has GluonCV's crops and colours only; give "
                        f"--data-backend ours, or leave --crop-law and --colors at rec and gluoncv, and --auto-aug out")
    if args.use_se and not args.fix_use_se:
        raise UserError(f"--use_se: has no effect in GluonCV's script; give --fix-use-se too, or the model se_{args.model}")
    if bool(args.resume_epoch) != bool(args.resume_states) or args.resume_states and not args.resume_params:
        raise UserError("--resume-epoch, --resume-params, --resume-states: give all three, for without states the momentum "
                        "would be lost; --resume-params alone starts anew; --resume auto goes on with a run of this kit")
    if not 0 <= args.resume_epoch < args.num_epochs:
        raise UserError(f"--resume-epoch {args.resume_epoch}: must be less than --num-epochs {args.num_epochs}")
    if not 0 <= args.ema < 1:
        raise UserError(f"--ema {args.ema}: must be at least 0 and below 1")
    try:
        create_loss_scale(args.loss_scale)
    except ValueError:
        raise UserError(f"--loss-scale {args.loss_scale}: must be none, dynamic or a positive number") from None
    if args.resume and args.resume_params:
        raise UserError("--resume and --resume-params: give one; --resume goes on with a run, --resume-params starts anew")
    inside = [epoch for epoch in decay_epochs(args) if epoch < args.warmup_epochs]
    if args.lr_mode == "step" and not args.lr_decay_period and inside:
        raise UserError(f"--lr-decay-epoch {args.lr_decay_epoch}: epoch {inside[0]} lies inside the warm-up of "
                        f"{args.warmup_epochs} epochs")
    if args.emulate_gpus and devices_per_process(args) > 1:
        raise UserError("--emulate-gpus: on one device only; give --num-gpus 1 or 0, and no --num-cpus")
    if args.data_backend.startswith("dali") and launched_processes(args.kvstore) > 1:
        raise UserError(f"--data-backend {args.data_backend}: for one process with several GPUs; use mxnet or ours")
    if not args.hard_weight >= 0 or args.temperature <= 0:
        raise UserError(f"--hard-weight {args.hard_weight}, --temperature {args.temperature}: must not be negative, and "
                        f"positive")
    if args.soft_weight is not None and args.soft_weight < 0:
        raise UserError(f"--soft-weight {args.soft_weight}: must not be negative")
    if not 0 <= args.label_smoothing_eps < 1:
        raise UserError(f"--label-smoothing-eps {args.label_smoothing_eps}: must be in [0, 1)")
    if args.auto_lr:
        args.lr = linear_scaled_lr(global_batch_size(args))
    updates = args.num_training_samples // global_batch_size(args)
    if not updates:
        raise UserError(f"--num-training-samples {args.num_training_samples}: less than a global batch of "
                        f"{global_batch_size(args)}, so the learning rate would be 0 for ever")


if __name__ == "__main__":
    run_main(main)
