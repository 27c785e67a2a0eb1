"""Train on CIFAR, MNIST, Fashion-MNIST or KMNIST as GluonCV's train_cifar10.py and train_mixup_cifar10.py do.

    python train_cifar.py --dataset cifar10-excerpt --model cifar_resnet20_v1 --mode hybrid --num-epochs 3
    python train_cifar.py --num-epochs 200 --mode hybrid --num-gpus 1 -j 2 --batch-size 128 --wd 0.0001 --lr 0.1 \\
        --lr-decay 0.1 --lr-decay-epoch 100,150 --model cifar_resnet20_v1
    python train_cifar.py --mixup --num-epochs 220 --mode hybrid --num-gpus 1 -j 2 --batch-size 128 --wd 0.0001 --lr 0.1 \\
        --lr-decay 0.1 --lr-decay-epoch 100,150 --model cifar_resnet20_v1 --resume auto
    python train_cifar.py --dataset cifar100 --model cifar_resnet56_v1 --mode hybrid --batch-size 256 --num-epochs 200 \\
        --lr-mode cosine --warmup-epochs 5 --augment follow-up --label-smoothing --mix vertical --num-gpus 1

The first runs on the embedded excerpt, the next two are published commands, the last is a row of the CIFAR-100 follow-up
(its tables and other studies: `python -m gluon_tricks tables`). A stopped or killed run goes on with
--resume auto and ends with the same parameters, bit for bit. `python -m gluon_tricks compare LOG` judges the log.
"""

import argparse
from pathlib import Path

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import mxnet as mx
from mxnet import gluon, nd

from gluon_tricks.data.cifar import find_cifar, open_cifar
from gluon_tricks.data.cifar_sets import BACKENDS, DATASETS, Augmentation
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder
from gluon_tricks.log_lines.dialects import CifarDialect
from gluon_tricks.machine import operator_threads
from gluon_tricks.models.from_flags import make_net, net_keywords
from gluon_tricks.models.ready import compute_dtype, load_params, make_ready, start_precision
from gluon_tricks.optim.lr_schedule import after_warmup, epoch_steps, exponential_warmup, lr_schedule, sgdr
from gluon_tricks.optim.optimizers import create_optimizer
from gluon_tricks.randomness import MIXUP, generator, net_seed
from gluon_tricks.saved.record import find_run, run_name
from gluon_tricks.script import plan
from gluon_tricks.script.auto_dtype import settle_dtype, trial_lines
from gluon_tricks.script.cifar_flags import (
    add_image_flags,
    add_optimizer_flags,
    add_target_flags,
    settle,
    without_effect,
)
from gluon_tricks.script.engine_flags import add_engine_flags
from gluon_tricks.script.flags import (
    at_least,
    check_common,
    decay_epochs,
    engine_of,
    global_batch_size,
    keywords,
    local_batch_size,
)
from gluon_tricks.script.opening import batch_line, finish, header
from gluon_tricks.script.prepare import prepare
from gluon_tricks.training.evaluation import evaluate
from gluon_tricks.training.loop import accuracy, rmse, train_epoch
from gluon_tricks.training.run import Run, RunPaths
from gluon_tricks.tricks.cutout import dual_loss, side_by_side
from gluon_tricks.tricks.distillation import DistillationLoss
from gluon_tricks.tricks.label_smoothing import smooth_one_hot
from gluon_tricks.tricks.mixing import mix
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay


def main(argv=None):
    args = parse_args(argv)
    if args.dry_run:
        return plan.show(plan_of(args))
    engine = engine_of(args, args.accumulate)                                        # who computes
    data = open_cifar(find_cifar(args.dataset, args.data_dir, prepare), args.data_backend, local_batch_size(args), args.seed,
                      args.num_workers, engine.rank, engine.world_size, augmentation(args))      # what it sees
    paths = run_paths(args)
    trial = settle_dtype(args, len(data.classes), DATASETS[args.dataset].side, paths.resume,
                         keywords_of(args))                                          # in what numbers   (§3.2)
    run = Run(paths, {**facts(args, data, engine), "dtype_trial": trial}, engine, args.resume, args.overwrite)
    net = build_net(args, data.classes, engine)                                      # what learns
    schedule = learning_rate(args, data.train.batches_per_epoch)                     # how fast
    trainer = engine.trainer(net, optimizer(args))                                   # what moves it
    targets, loss, metric = training_targets(args, data.classes, engine)             # what it is told    (§5.2-5.4)
    run.open(net, trainer, header(args, engine, num_training_samples=data.train.records),
             [*trial_lines(args, trial), *opening_lines(args, data, engine)], CifarDialect, args.num_epochs,
             data.train.batches_in, checkpoint_period=args.checkpoint_period,
             save_period=args.save_period, log_interval=args.log_interval, max_updates=args.max_updates,
             check_sync=args.check_sync, resumes_anywhere=data.train.resumes_anywhere)
    with run.sitting():
        while run.progress.epoch < args.num_epochs:
            run.begin_epoch()
            train_epoch(net, data.train, targets, loss, metric, trainer, schedule, engine, run.progress,
                        run.after_update, reseed_from=args.seed if draws(args) else None, keep_going=run.keep_going)
            run.end_training()
            run.end_epoch(evaluate(net, data.val, engine, args.dtype, run.keep_going, top=(1, 5)))
    return finish(run)


# --- builders -----------------------------------------------------------------------------------------------------

def augmentation(args):
    """What is done to training images."""
    return Augmentation(args.augment == "follow-up", args.random_crop, args.random_flip, args.cutout, args.dual_cutout,
                        args.random_erasing)


def build_net(args, classes, engine):
    """The net, initialised as GluonCV's CIFAR scripts do, or from --resume-from."""
    start_precision(args.dtype, args.use_amx)
    net = make_net(args.model, len(classes), keywords_of(args))
    if args.dtype == "float16":
        net.cast("float16")
    mx.random.seed(net_seed(args.seed, -1))
    if args.resume_from:
        load_params(net, "--resume-from", args.resume_from, engine)
    else:
        net.initialize(mx.init.Xavier(), ctx=engine.ctx)
    make_ready(net, DATASETS[args.dataset].side, args.dtype, args.mode, engine, DATASETS[args.dataset].channels)
    if args.no_wd:
        exempt_from_decay(net)
    return net


def keywords_of(args):
    """What the model takes besides its number of classes."""
    return net_keywords(args.model, DATASETS[args.dataset].channels, keywords("--model-kwargs", args.model_kwargs),
                        args.drop_rate)


def draws(args):
    """Whether the net itself draws numbers."""
    return bool(args.drop_rate) or args.model.lower().startswith("cifar_shake_shake")


def build_teacher(args, classes, engine):
    """The net behind --teacher NAME:FILE, made as its own run made it."""
    name, _, path = args.teacher.partition(":")
    known, run = DATASETS[args.dataset], find_run(path)
    if run:
        check_teacher(args, name, run)
    teacher = make_net(name, len(classes), run.keywords if run else net_keywords(name, known.channels))
    load_params(teacher, "--teacher", path, engine)
    if args.dtype == "float16":
        teacher.cast("float16")
    make_ready(teacher, known.side, args.dtype, args.mode, engine, known.channels)
    return teacher


def check_teacher(args, name, run):
    """Refuse a teacher that was trained to see something else than the student's images."""
    for what, its, ours in (("as a", run.model, name), ("on", run.dataset.removesuffix("-excerpt"),
                                                        args.dataset.removesuffix("-excerpt")),
                            ("with --augment", run.augment, args.augment)):
        if its.lower() != ours.lower():
            raise UserError(f"--teacher {args.teacher}: was trained {what} {its}, as {run.path} says, not {what} {ours}")


def learning_rate(args, updates_per_epoch):
    """num_update -> rate. Without warm-up, `step` is the CIFAR scripts' own rule."""
    warmup_updates = args.warmup_epochs * updates_per_epoch
    if args.lr_mode == "step" and not args.warmup_epochs:
        return epoch_steps(args.lr, args.lr_decay, decay_epochs(args), updates_per_epoch)
    if args.lr_mode == "sgdr":
        rate = after_warmup(sgdr(args.lr, updates_per_epoch, args.cycle_epochs, args.cycle_factor), args.lr, warmup_updates)
    else:
        rate = lr_schedule(args.lr_mode, args.lr, args.num_epochs, updates_per_epoch, args.warmup_epochs, args.lr_decay,
                           decay_epochs(args))
    return exponential_warmup(rate, args.lr, warmup_updates) if args.warmup == "exponential" else rate


def optimizer(args):
    """By default MXNet's NAG."""
    return create_optimizer(args.optimizer, args.lr, args.momentum, args.wd, args.dtype, args.clip_gradient or None,
                            args.lars_coefficient, args.final_lr)


def training_targets(args, classes, engine=None):
    """`(targets, loss, metric)`: what `train_epoch` shows the net and how it counts."""
    eta = args.label_smoothing_eps if args.label_smoothing else 0.0
    teacher = build_teacher(args, classes, engine) if args.teacher else None
    dense = args.mixup or args.label_smoothing or teacher
    criterion = (DistillationLoss(args.temperature, args.hard_weight) if teacher else
                 gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=not dense))

    def targets(data, label, epoch, batch):
        target = smooth_one_hot(label, len(classes), eta) if dense else label
        if args.mixup and args.mixup_off_first <= epoch < args.num_epochs - args.mixup_off_epoch:
            data, target = mix(args.mix, data, target, args.mixup_alpha, generator(args.seed, MIXUP, epoch, batch),
                               args.mixup_partners, args.cutmix_label)
        if args.dual_cutout:
            data, target, label = side_by_side(data), nd.concat(target, target, dim=0), nd.concat(label, label, dim=0)
        data = data.astype(compute_dtype(args.dtype), copy=False)
        counted = target if args.mixup else label
        # the teacher sees the mixed image, in predict mode
        return data, (target, teacher(data).astype("float32")) if teacher else target, counted

    def loss(output, target):          # in float32 whatever the net computes in
        output = output.astype("float32", copy=False)
        return criterion(output, *target) if teacher else criterion(output, target)

    return targets, dual_loss(loss, args.dual_cutout_alpha) if args.dual_cutout else loss, rmse if args.mixup else accuracy


def run_paths(args):
    """GluonCV's names; the mixup script's carry `_mixup` in the model part, those of other ways to mix theirs."""
    run = run_name(args.dataset, args.model, args.mix if args.mixup else None)
    data = args.dataset.removesuffix("-excerpt")
    name = run.removeprefix(f"{data}-")
    save_dir = make_folder("--save-dir", args.save_dir)
    log_dir = make_folder("--logging-dir", args.logging_dir)
    stem = f"train_{data}_{name}"
    metrics = Path(args.json_log).expanduser() if args.json_log else log_dir / stem / "metrics.jsonl"
    make_folder("--json-log", metrics.parent)
    return RunPaths(log=log_dir / f"{stem}.log", metrics=metrics,
                    plot=make_folder("--save-plot-dir", args.save_plot_dir) / f"{name}_history.png", save_dir=save_dir,
                    best=f"{{val:.4f}}-{'cifar' if data == 'cifar10' else data}-{name}-{{epoch}}-best.params",
                    periodic=f"{run}-{{epoch}}.params", resume=save_dir / f"{run}.resume.npz",
                    tensorboard=Path(args.tensorboard).expanduser() if args.tensorboard else None)


def facts(args, data, engine):
    """What run.json and the resume file say of this run."""
    return {"model": args.model, "dataset": args.dataset, "classes": len(data.classes), "seed": args.seed,
            "dtype": args.dtype, "mixup": args.mixup, "mix": args.mix if args.mixup else None, "optimizer": args.optimizer,
            "model_kwargs": keywords("--model-kwargs", args.model_kwargs), "data_root_hash": data.root_hash,
            "devices": len(engine.ctx), "world_size": engine.world_size, "data_backend": args.data_backend,
            "global_batch_size": global_batch_size(args),
            "threads": operator_threads(), "title": args.model + (f" with {args.mix}" if args.mixup else ""),
            "train_metric": "rmse" if args.mixup else "accuracy", "args": vars(args)}


def opening_lines(args, data, engine):
    """The sums done: batch, rate, updates, data."""
    left_out = data.train.records - data.train.batches_per_epoch * global_batch_size(args)
    yield (f"{batch_line(args, engine)}; lr {args.lr:g}; {data.train.batches_per_epoch} updates/epoch, {left_out} images "
           f"left out of each")
    yield (f"data {args.dataset}: {data.train.records} training and {data.val.records} validation images, "
           f"root hash {data.root_hash}")
    yield f"seed {args.seed}; {operator_threads()} operator threads, {args.num_workers} loader threads"
    if args.lr_decay_period:
        yield "warning: --lr-decay-period has no effect, here as in GluonCV's CIFAR scripts; use --lr-decay-epoch"
    if args.mixup and args.num_epochs <= args.mixup_off_epoch + args.mixup_off_first:
        first = f"the first {args.mixup_off_first} and " if args.mixup_off_first else ""
        yield (f"warning: --num-epochs {args.num_epochs} with --mixup: nothing is mixed in {first}the last "
               f"{args.mixup_off_epoch} epochs, so nothing is mixed at all; lower --mixup-off-epoch")
    yield from without_effect(args)
    if args.optimizer == "adadelta":
        yield f"warning: --optimizer adadelta has no learning rate: --lr {args.lr:g} and its schedule have no effect"
    if args.dataset == "cifar10-excerpt":
        yield "note: an excerpt of CIFAR-10; accuracies are not comparable with published ones"


def plan_of(args):
    """The rows that --dry-run prints, made by the builders above without data or GPUs."""
    images, classes, channels, side, *_ = DATASETS[args.dataset]
    batch, updates = global_batch_size(args), images // global_batch_size(args)
    if not updates:
        raise UserError(f"--batch-size: {batch} images over all devices, but the training set has {images}")
    net = make_net(args.model, classes, keywords_of(args))
    yield from plan.net_rows(net, args.model, classes, side, channels)
    yield from plan.precision_rows(net, args.dtype)
    yield from plan.batch_rows(args.batch_size, batch // args.batch_size // args.accumulate, images, args.num_epochs,
                               args.accumulate)
    if args.no_wd:
        exempt_from_decay(net)
    yield from plan.optimizer_rows(optimizer(args))
    yield from plan.rate_rows(learning_rate(args, updates), args.lr_mode, args.lr, batch, updates, args.num_epochs,
                              args.warmup_epochs, decay_epochs(args) if args.lr_mode == "step" else ())
    yield from plan.decay_rows(net, args.wd)
    yield from plan.gamma_rows(net)
    yield from plan.cifar_image_rows(augmentation(args), args.dataset)
    if not args.teacher:
        yield from plan.target_rows(training_targets(args, range(classes))[0], classes, channels * (1 + args.dual_cutout))
    if args.mixup:
        yield from plan.mixup_rows(args.mixup_alpha, args.mixup_off_epoch, args.mixup_partners, args.mix,
                                   args.mixup_off_first)
    if args.teacher:
        yield from plan.teacher_rows(args.teacher, args.temperature, args.hard_weight)


# --- flags --------------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ref = parser.add_argument_group("As in GluonCV's train_cifar10.py and train_mixup_cifar10.py")
    ref.add_argument("--batch-size", type=int, default=32, help="images per device and update (default 32)")
    ref.add_argument("--num-gpus", type=int, default=0, help="GPUs to use; 0 means CPU (default 0)")
    ref.add_argument("--model", default="resnet",
                     help="model name, as cifar_resnet20_v1; GluonCV's default, resnet, does not exist there either")
    ref.add_argument("-j", "--num-data-workers", dest="num_workers", type=int, default=4,
                     help="threads that prepare batches (default 4)")
    ref.add_argument("--num-epochs", type=int, default=3, help="passes over the data (default 3)")
    ref.add_argument("--lr", type=float, default=0.1, help="learning rate of the global batch (default 0.1)")
    ref.add_argument("--momentum", type=float, default=0.9, help="NAG momentum (default 0.9)")
    ref.add_argument("--wd", type=float, default=0.0001, help="weight decay, on every parameter (default 0.0001)")
    ref.add_argument("--lr-decay", type=float, default=0.1, help="factor of one step (default 0.1)")
    ref.add_argument("--lr-decay-period", type=int, default=0, help="has no effect, as in the original")
    ref.add_argument("--lr-decay-epoch", default="40,60", help="ascending epochs to step at (default 40,60)")
    ref.add_argument("--drop-rate", type=float, default=0.0,
                     help="dropout, for cifar_wideresnet* and cifar_densenet* only (default 0)")
    ref.add_argument("--mode", help="hybrid compiles the net; anything else is imperative")
    ref.add_argument("--save-period", type=int, default=10, help="save parameters every so many epochs (default 10)")
    ref.add_argument("--save-dir", default="params", help="folder for parameters and the resume file (default params)")
    ref.add_argument("--logging-dir", default="logs", help="folder for the log (default logs)")
    ref.add_argument("--resume-from", metavar="FILE", help="start from these parameters, at epoch 0")
    ref.add_argument("--save-plot-dir", default=".", help="folder for MODEL_history.png (default .)")

    ours = parser.add_argument_group("Not in GluonCV")
    ours.add_argument("--mixup", action="store_true", help="train as train_mixup_cifar10.py does")
    ours.add_argument("--dataset", choices=tuple(DATASETS), default="cifar10",
                      help="cifar10-excerpt is embedded: 2,000 + 500 images")
    ours.add_argument("--data-dir", help="folder that data_prep/cifar.py or mnist.py wrote (default "
                                         "~/.mxnet/datasets/DATASET/rec)")
    ours.add_argument("--data-backend", choices=BACKENDS, default="ours",
                      help="ours: exact resume and order; mxnet: ImageRecordIter")
    ours.add_argument("--dry-run", action="store_true", help="print what the run would do; needs no data and no GPU")
    ours.add_argument("--seed", type=int, default=0, help="decides initialisation, order, augmentation, mixup (default 0)")
    ours.add_argument("--dtype", choices=("float32", "float16", "bfloat16", "auto"), default="float32",
                      help="float16 needs a GPU, bfloat16 a CPU; auto: the fastest on this CPU, by trying (default float32)")
    ours.set_defaults(use_amx=True)        # where there is AMX; --dtype auto may decide against it
    ours.add_argument("--model-kwargs", nargs="*", default=[], metavar="NAME=VALUE",
                      help="what the model takes besides, as last_bn=True preact_stages=[0,0,0] for cifar_preact*")
    ours.add_argument("--resume", metavar="auto|FILE", default="",
                      help="auto: go on where a run of this model in --save-dir stopped, else start")
    ours.add_argument("--overwrite", action="store_true", help="start again over an earlier run's files")
    ours.add_argument("--checkpoint-period", type=int, default=200,
                      help="updates between resume files, besides each epoch's end (default 200; 0: epochs only)")
    ours.add_argument("--max-updates", type=int, default=0, help="stop after so many updates in all")
    ours.add_argument("--log-interval", type=int, default=100, help="updates between records in metrics.jsonl (0: none)")
    ours.add_argument("--json-log", metavar="FILE",
                      help="metrics.jsonl, run.json beside it (default LOGGING_DIR/train_DATASET_MODEL/metrics.jsonl)")
    ours.add_argument("--tensorboard", metavar="DIR", help="also write TensorBoard scalars there")
    add_image_flags(parser.add_argument_group("Images (not in GluonCV)"))
    add_target_flags(parser.add_argument_group("Targets (§5.2-5.4 and follow-ups; not in GluonCV's CIFAR scripts)"))
    add_optimizer_flags(parser.add_argument_group("Optimizer and schedule (not in GluonCV's CIFAR scripts)"))
    add_engine_flags(parser.add_argument_group("Several devices and processes (not in GluonCV)"))
    args = parser.parse_args(argv)
    check_args(args)
    return args


def check_args(args):
    """Everything that can be wrong with a value by itself, before anything is opened."""
    settle(args)
    check_common(args)
    at_least(args, {"save_period": 0})
    if not 0 <= args.drop_rate < 1:
        raise UserError(f"--drop-rate {args.drop_rate}: must be in [0, 1)")
    if args.resume and args.resume_from:
        raise UserError("--resume and --resume-from: give one; --resume goes on with a run, --resume-from starts a new one")


if __name__ == "__main__":
    run_main(main)
