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
from pathlib import Path

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import mxnet as mx
from mxnet import gluon

from gluon_tricks.data.imagenet import ImagenetData, ImageNetRecordIter, SyntheticLoader, folder_loaders, record_loaders
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.dialects import ImagenetDialect
from gluon_tricks.engines.single import create_engine
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder
from gluon_tricks.log_lines import namespace_line
from gluon_tricks.models import GroupNorm, get_model
from gluon_tricks.optim.lr_schedule import MODES, lr_schedule
from gluon_tricks.randomness import MIXUP, generator, net_seed
from gluon_tricks.run import Run, RunPaths
from gluon_tricks.run_record import operator_threads
from gluon_tricks.script import (
    at_least,
    check_common,
    compute_dtype,
    decay_epochs,
    finish,
    load_params,
    make_ready,
    rgb_triple,
    start_precision,
)
from gluon_tricks.training import accuracy, evaluate, rmse, train_epoch
from gluon_tricks.tricks.distillation import DistillationLoss
from gluon_tricks.tricks.label_smoothing import smooth_one_hot
from gluon_tricks.tricks.linear_scaling import linear_scaled_lr
from gluon_tricks.tricks.lr_warmup import FORMULAS
from gluon_tricks.tricks.mixup import mixup, sample_lam
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay
from gluon_tricks.tricks.zero_gamma import count_zero_gammas


def main(argv=None):
    args = parse_args(argv)
    engine = create_engine(args.num_gpus, args.emulate_gpus)                         # who computes
    data = open_data(args)                                                           # what it sees     (§2.1)
    run = Run(run_paths(args), facts(args, data, engine), args.resume, args.overwrite)
    net = build_net(args, engine)                                                    # what learns      (§4.2, §3.1)
    schedule = learning_rate(args)                                                   # how fast         (§3.1, §5.1)
    trainer = engine.trainer(net, nag(args))                                         # what moves it    (§3.1, §3.2)
    targets, loss, metric = training_targets(args, engine)                           # what it is told  (§5.2-5.4)
    run.open(net, trainer, namespace_line(vars(args)), opening_lines(args, data, net, engine), ImagenetDialect,
             args.num_epochs, data.train.batches_per_epoch, checkpoint_period=args.checkpoint_period,
             save_period=args.save_frequency, log_interval=args.log_interval, max_updates=args.max_updates,
             resumes_anywhere=data.train.resumes_anywhere)
    with run.sitting():
        while run.progress.epoch < args.num_epochs:
            run.begin_epoch()
            train_epoch(net, data.train, targets, loss, metric, trainer, schedule, engine, run.progress,
                        run.after_update, reseed_from=args.seed)
            run.end_training()
            run.end_epoch(evaluate(net, data.val, engine, args.dtype, run.keep_going, top=(1, 5)))
    return finish(run)


# --- builders -----------------------------------------------------------------------------------------------------

def open_data(args):
    """Loaders for --synthetic, --use-rec (MXNet's iterator or ours) or class folders."""
    batch, size = global_batch_size(args), args.input_size
    if args.synthetic:
        args.classes = args.classes or 1000
        train = SyntheticLoader(args.num_training_samples, batch, size, args.classes)
        return ImagenetData(train, SyntheticLoader(batch, batch, size, args.classes, 1), args.classes, "synthetic")
    if not args.use_rec:
        train, val, classes = folder_loaders(args.data_dir, batch, args.seed, size, args.crop_ratio, args.num_workers)
        return checked(args, ImagenetData(train, val, classes, ""))
    manifest = manifest_of(args)
    flags = ("rec_train", "rec_train_idx", "rec_val", "rec_val_idx")
    paths = {flag: Path(getattr(args, flag)).expanduser() for flag in flags}
    for flag, path in paths.items():
        if not path.is_file():
            raise UserError(f"--{flag.replace('_', '-')} {path}: does not exist; make it with data_prep/imagenet.py")
    if args.data_backend == "ours":
        train, val = record_loaders(paths["rec_train"], paths["rec_val"], batch, args.seed, size, args.crop_ratio,
                                    args.rgb_mean, args.rgb_std, args.num_workers, args.on_bad_record)
    else:
        train, val = (ImageNetRecordIter(paths[f"rec_{part}"], paths[f"rec_{part}_idx"], batch, part == "train", size,
                                         args.crop_ratio, args.rgb_mean, args.rgb_std, args.num_workers, args.val_protocol)
                      for part in ("train", "val"))
    described = (len(manifest.classes), manifest.root_hash) if manifest else (None, "")
    return checked(args, ImagenetData(train, val, *described))


def manifest_of(args):
    """The manifest beside --rec-train and --rec-val, its files and labels checked; None for records of other tools."""
    folders = {Path(path).expanduser().parent for path in (args.rec_train, args.rec_val)}
    folder = folders.pop()
    if folders or not (folder / "manifest.json").is_file():
        return None
    manifest = read_manifest(folder)
    for name in manifest.splits:
        open_split(folder, name, manifest)
    return manifest


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
    return kwargs


def build_net(args, engine):
    """The net as GluonCV's script starts it: MSRAPrelu, or --resume-params."""
    start_precision(args.dtype)
    net = get_model(args.model, classes=args.classes, fix_last_gamma=args.fix_last_gamma, **model_kwargs(args))
    net.cast(compute_dtype(args.dtype))
    mx.random.seed(net_seed(args.seed, -1))
    if args.resume_params:
        load_params(net, "--resume-params", args.resume_params, engine)
    else:
        net.initialize(mx.init.MSRAPrelu(), ctx=engine.ctx)
    make_ready(net, args.input_size, args.dtype, args.mode, engine)
    if args.no_wd:
        exempt_from_decay(net)
    return net


def build_teacher(args, engine):
    """The net behind --teacher: a zoo name with the zoo's weights, or NAME:FILE."""
    name, _, path = args.teacher.partition(":")
    teacher = get_model(name, classes=args.classes, **({} if path else {"pretrained": True}))
    if path:
        load_params(teacher, "--teacher", path, engine)
    teacher.collect_params().reset_ctx(engine.ctx)
    teacher.cast(compute_dtype(args.dtype))
    make_ready(teacher, args.input_size, args.dtype, args.mode, engine)
    return teacher


def learning_rate(args):
    """num_update -> rate, by --num-training-samples as GluonCV counts."""
    updates = args.num_training_samples // global_batch_size(args)
    epochs = (range(args.lr_decay_period, args.num_epochs, args.lr_decay_period) if args.lr_decay_period
              else decay_epochs(args))
    return lr_schedule(args.lr_mode, peak_lr(args), args.num_epochs, updates, args.warmup_epochs, args.lr_decay, epochs,
                       formula=args.lr_formula)


def nag(args):
    """MXNet's NAG; with float16 it keeps float32 masters."""
    return mx.optimizer.NAG(learning_rate=peak_lr(args), momentum=args.momentum, wd=args.wd,
                            multi_precision=args.dtype == "float16", clip_gradient=args.clip_gradient or None)


def training_targets(args, engine):
    """`(targets, loss, metric)`: what `train_epoch` shows the net and how it counts."""
    eta = args.label_smoothing_eps if args.label_smoothing else 0.0
    distill = args.teacher is not None and args.hard_weight < 1
    dense = args.mixup or args.label_smoothing or distill
    teacher = build_teacher(args, engine) if distill else None
    criterion = gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=not dense)
    distillation = DistillationLoss(args.temperature, args.hard_weight) if distill else None

    def targets(data, label, epoch, batch):
        target = smooth_one_hot(label, args.classes, eta) if dense else label
        if args.mixup and epoch < args.num_epochs - args.mixup_off_epoch:
            lam = sample_lam(args.mixup_alpha, generator(args.seed, MIXUP, epoch, batch))
            data, target = mixup(data, target, lam)
        data = data.astype(compute_dtype(args.dtype), copy=False)
        counted = target if args.mixup else label
        # the teacher sees the mixed image, in predict mode
        return data, (target, teacher(data).astype("float32")) if distill else target, counted

    def loss(output, target):          # in float32 whatever the net computes in
        output = output.astype("float32", copy=False)
        return distillation(output, *target) if distill else criterion(output, target)

    return targets, loss, rmse if args.mixup else accuracy


def peak_lr(args):
    return linear_scaled_lr(global_batch_size(args)) if args.auto_lr else args.lr


def global_batch_size(args):
    return args.batch_size * max(1, args.num_gpus, args.emulate_gpus)


def run_paths(args):
    """GluonCV's names for parameters and states."""
    save_dir = make_folder("--save-dir", args.save_dir)
    log = Path(args.logging_file).expanduser()
    make_folder("--logging-file", log.parent)
    metrics = Path(args.json_log).expanduser() if args.json_log else log.with_suffix("") / "metrics.jsonl"
    make_folder("--json-log", metrics.parent)
    return RunPaths(log=log, metrics=metrics, plot=metrics.with_name(f"{args.model}_history.png"), save_dir=save_dir,
                    best=f"{{err:.4f}}-imagenet-{args.model}-{{epoch}}-best.params",
                    periodic=f"imagenet-{args.model}-{{epoch}}.params", states=True,
                    resume=save_dir / f"imagenet-{args.model}.resume.npz",
                    tensorboard=Path(args.tensorboard).expanduser() if args.tensorboard else None)


def facts(args, data, engine):
    """What run.json and the resume file say of this run."""
    return {"model": args.model, "dataset": "imagenet", "classes": args.classes, "seed": args.seed, "dtype": args.dtype,
            "mixup": args.mixup, "data_root_hash": data.root_hash, "devices": len(engine.ctx),
            "data_backend": args.data_backend, "global_batch_size": global_batch_size(args),
            "threads": operator_threads(), "title": args.model,
            "train_metric": "rmse" if args.mixup else "accuracy", "args": vars(args)}


def opening_lines(args, data, net, engine):
    """The sums done: batch, rate, updates; and where the run departs from the linear rule."""
    batch, rule = global_batch_size(args), linear_scaled_lr(global_batch_size(args))
    emulated = f", as {args.emulate_gpus} devices would compute them," if args.emulate_gpus else ""
    n = max(len(engine.ctx), args.emulate_gpus)
    yield (f"global batch {batch} = {args.batch_size} per device x {n} device{'s' * (n > 1)}{emulated} x 1 process; "
           f"peak lr {peak_lr(args):g}; {args.num_training_samples // batch} updates/epoch in the schedule, "
           f"{data.train.batches_per_epoch} in the data")
    if abs(peak_lr(args) - rule) > 1e-9:
        yield (f"warning: global batch {batch} ({args.batch_size} x {n}) with --lr {peak_lr(args):g}; the linear rule "
               f"0.1 x {batch}/256 gives {rule:g}")
    yield f"data: {data.train.records} training images of {args.classes} classes, " + (
        f"root hash {data.root_hash}" if data.root_hash else "without a manifest, so nothing vouches for them")
    zero, gammas = count_zero_gammas(net)
    yield f"{zero} of {gammas} gammas start at zero; weight decay on {'weights only' if args.no_wd else 'everything'}"
    if args.last_gamma and not zero:
        yield f"warning: --last-gamma has no effect on {args.model}"
    yield f"seed {args.seed}; {operator_threads()} operator threads, {args.num_workers} loader threads"
    if args.warmup_lr:
        yield "warning: --warmup-lr has no effect, here as in GluonCV's script; warm-up starts from 0"
    if args.data_backend == "mxnet" and args.use_rec:
        yield (f"validation protocol {args.val_protocol}"
               + ("" if args.val_protocol == "exact" else ": MXNet's sliding window, as in the published logs"))


# --- flags --------------------------------------------------------------------------------------------------------

def parse_args(argv):
    rec = "~/.mxnet/datasets/imagenet/rec"
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
    model.add_argument("--use_se", action="store_true", help="has no effect in GluonCV either; use the se_* names")
    model.add_argument("--batch-norm", action="store_true", help="BatchNorm in vgg models")
    model.add_argument("--use-gn", action="store_true", help="GroupNorm instead of BatchNorm")
    train = parser.add_argument_group("Training (§2.1, §3)")
    train.add_argument("--batch-size", type=int, default=32, help="images per device and update (default 32)")
    train.add_argument("--num-gpus", type=int, default=0, help="GPUs to use; 0 means CPU (default 0)")
    train.add_argument("--num-epochs", type=int, default=3, help="passes over the data (default 3)")
    train.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32", help="(default float32)")
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
    files = parser.add_argument_group("Files")
    files.add_argument("--save-frequency", type=int, default=10, help="save every so many epochs (default 10; 0: never)")
    files.add_argument("--save-dir", default="params", help="folder for parameters and states (default params)")
    files.add_argument("--resume-epoch", type=int, default=0, help="refused: use --resume, which restores everything")
    files.add_argument("--resume-params", default="", help="start from these parameters")
    files.add_argument("--resume-states", default="", help="refused: use --resume, which restores everything")
    files.add_argument("--log-interval", type=int, default=50, help="batches between log lines (default 50; 0: none)")
    files.add_argument("--logging-file", default="train_imagenet.log", help="log file, appended to")
    ours = parser.add_argument_group("Not in GluonCV")
    ours.add_argument("--classes", type=int, default=None, help="default: what manifest or folders say, else 1000")
    ours.add_argument("--seed", type=int, default=0, help="decides initialisation, order, augmentation, mixup (default 0)")
    ours.add_argument("--lr-formula", choices=FORMULAS, default="head", help="of warm-up and decay (default head)")
    ours.add_argument("--auto-lr", action="store_true", help="linear scaling from 0.1 at 256 instead of --lr")
    ours.add_argument("--fix-last-gamma", action="store_true",
                      help="zero gamma as the paper means it, where GluonCV ignores --last-gamma or inverts it")
    ours.add_argument("--label-smoothing-eps", type=float, default=0.1, help="(default 0.1)")
    ours.add_argument("--clip-gradient", type=float, default=0.0, help="clip each gradient element (default: no)")
    ours.add_argument("--emulate-gpus", type=int, default=0,
                      help="compute the batch of so many devices on one: BatchNorm and mixup per part, gradients summed")
    ours.add_argument("--val-protocol", choices=("gluoncv", "exact"), default="gluoncv",
                      help="MXNet's sliding window, or every image once (default gluoncv)")
    ours.add_argument("--on-bad-record", choices=("fail", "skip"), default="fail", help="with --data-backend ours")
    ours.add_argument("--synthetic", action="store_true", help="random images: throughput without data")
    ours.add_argument("--resume", metavar="auto|FILE", default="", help="auto: go on where a run in --save-dir stopped")
    ours.add_argument("--overwrite", action="store_true", help="start again over an earlier run's files")
    ours.add_argument("--checkpoint-period", type=int, default=1000, help="updates between resume files (default 1000)")
    ours.add_argument("--max-updates", type=int, default=0, help="stop after so many updates in all")
    ours.add_argument("--json-log", metavar="FILE", help="metrics.jsonl (default: in a folder named after the log)")
    ours.add_argument("--tensorboard", metavar="DIR", help="also write TensorBoard scalars there")
    args = parser.parse_args(argv)
    check_args(args)
    return args


def check_args(args):
    """Everything that can be wrong with a value by itself, before anything is opened."""
    check_common(args)
    at_least(args, {"save_frequency": 0, "input_size": 1, "num_training_samples": 1, "lr_decay_period": 0,
                    "emulate_gpus": 0, "clip_gradient": 0})
    if args.classes is not None:
        at_least(args, {"classes": 2})
    for flag in ("rgb_mean", "rgb_std"):
        setattr(args, flag, rgb_triple(f"--{flag.replace('_', '-')}", getattr(args, flag)))
    if args.crop_ratio <= 0:               # as GluonCV's script falls back
        args.crop_ratio = 0.875
    if args.data_backend.startswith("dali"):
        raise UserError(f"--data-backend {args.data_backend}: DALI is not supported by this version; use mxnet or "
                        f"ours")
    if args.use_se:
        raise UserError("--use_se: has no effect in GluonCV; choose the model se_" + args.model)
    if args.resume_epoch or args.resume_states:
        flag = "--resume-states" if args.resume_states else "--resume-epoch"
        raise UserError(f"{flag}: not supported by this version; --resume auto restores parameters, momentum, schedule and "
                        f"position, --resume-params starts from a file")
    if args.resume and args.resume_params:
        raise UserError("--resume and --resume-params: give one; --resume goes on with a run, --resume-params starts anew")
    inside = [epoch for epoch in decay_epochs(args) if epoch < args.warmup_epochs]
    if args.lr_mode == "step" and not args.lr_decay_period and inside:
        raise UserError(f"--lr-decay-epoch {args.lr_decay_epoch}: epoch {inside[0]} lies inside the warm-up of "
                        f"{args.warmup_epochs} epochs")
    if args.emulate_gpus and args.num_gpus > 1:
        raise UserError("--emulate-gpus: on one device only; give --num-gpus 1 or 0")
    if not args.hard_weight >= 0 or args.temperature <= 0:
        raise UserError(f"--hard-weight {args.hard_weight}, --temperature {args.temperature}: must not be negative, and "
                        f"positive")
    if not 0 <= args.label_smoothing_eps < 1:
        raise UserError(f"--label-smoothing-eps {args.label_smoothing_eps}: must be in [0, 1)")
    updates = args.num_training_samples // global_batch_size(args)
    if not updates:
        raise UserError(f"--num-training-samples {args.num_training_samples}: less than a global batch of "
                        f"{global_batch_size(args)}, so the learning rate would be 0 for ever")


if __name__ == "__main__":
    run_main(main)
