"""The parts of train_cifar.py, built from its flags: data, net, schedule, optimizer, paths, log lines."""

from functools import partial

import mxnet as mx

from gluon_tricks.data.cifar import find_cifar, open_cifar
from gluon_tricks.data.cifar_sets import DATASETS, Augmentation
from gluon_tricks.data.masks import MASKS
from gluon_tricks.errors import UserError
from gluon_tricks.files import make_folder
from gluon_tricks.models.from_flags import make_net
from gluon_tricks.models.keywords import net_keywords
from gluon_tricks.models.ready import load_params, make_ready, start_precision
from gluon_tricks.models.registry import published_name
from gluon_tricks.optim.lr_schedule import after_warmup, epoch_steps, exponential_warmup, lr_schedule, sgdr
from gluon_tricks.optim.optimizers import create_optimizer
from gluon_tricks.randomness import net_seed
from gluon_tricks.saved.names import run_name
from gluon_tricks.saved.record import cifar_net
from gluon_tricks.script import plan
from gluon_tricks.script.cifar_flags import without_effect_lines
from gluon_tricks.script.fine_tuning import fine_tune, plan_rows
from gluon_tricks.script.fine_tuning_flags import fine_tuning_facts
from gluon_tricks.script.flags import decay_epochs, global_batch_size, keywords, local_batch_size
from gluon_tricks.script.opening import batch_line, facts_of, metrics_path, tensorboard_dir, threads_line
from gluon_tricks.script.prepare import prepare
from gluon_tricks.script.targets import training_targets
from gluon_tricks.training.settings import RunPaths
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay


def open_data(args, engine):
    """Loaders of training and validation batches for this process."""
    prepared = find_cifar(args.dataset, args.data_dir, prepare)
    return open_cifar(prepared, args.data_backend, local_batch_size(args), args.seed, args.num_workers,
                      engine.rank, engine.world_size, augmentation(args))


def augmentation(args):
    """The `Augmentation` of the training images."""
    masks = tuple((name, getattr(args, name)) for name in MASKS if getattr(args, name))
    return Augmentation(args.augment == "follow-up", args.random_crop, args.random_flip, args.dual_cutout,
                        masks)


def build_net(args, classes, precision, engine):
    """The net, initialised as in GluonCV's CIFAR scripts, or loaded from --resume-from."""
    start_precision(precision.dtype, precision.use_amx)
    net = make_net(args.model, classes, keywords_of(args))
    if precision.dtype == "float16":
        net.cast("float16")
    mx.random.seed(net_seed(args.seed, -1))
    if args.resume_from:
        load_params(net, "--resume-from", args.resume_from, engine)
    else:
        net.initialize(mx.init.Xavier(), ctx=engine.ctx)
    known = DATASETS[args.dataset]
    make_ready(net, known.side, precision.dtype, args.mode, engine, known.channels, f"--model {args.model}")
    if args.no_wd:
        exempt_from_decay(net)
    return net


def start(args, net, data, engine, resumed):
    """Load --init-params and freeze parts of the net: lines for the log."""
    return fine_tune(args, net, maker(args), published_name(args.model), engine, resumed,
                     net_facts(args, data))


def maker(args):
    """The model's callable (classes=) -> HybridBlock."""
    return partial(make_net, args.model, keywords=keywords_of(args))


def keywords_of(args):
    """The arguments of the model, without its number of classes."""
    given = keywords("--model-kwargs", args.model_kwargs)
    return net_keywords(args.model, DATASETS[args.dataset].channels, given, args.drop_rate)


def draws(args):
    """Whether the net itself draws random numbers."""
    return bool(args.drop_rate) or args.model.lower().startswith("cifar_shake_shake")


def net_facts(args, data):
    """The description of the net for its record: `NetFacts`."""
    mean, std = augmentation(args).normalisation(args.dataset)
    return cifar_net(args.dataset, args.model, keywords("--model-kwargs", args.model_kwargs), args.drop_rate,
                     mean, std, list(data.classes), data.root_hash)


def learning_rate(args, updates_per_epoch):
    """The schedule: num_update -> rate. `step` without warm-up is the rule of GluonCV's CIFAR scripts."""
    warmup_updates = args.warmup_epochs * updates_per_epoch
    if args.lr_mode == "step" and not args.warmup_epochs:
        return epoch_steps(args.lr, args.lr_decay, decay_epochs(args), updates_per_epoch)
    if args.lr_mode == "sgdr":
        rate = after_warmup(sgdr(args.lr, updates_per_epoch, args.cycle_epochs, args.cycle_factor), args.lr,
                            warmup_updates)
    else:
        rate = lr_schedule(args.lr_mode, args.lr, args.num_epochs, updates_per_epoch, args.warmup_epochs,
                           args.lr_decay, decay_epochs(args))
    return exponential_warmup(rate, args.lr, warmup_updates) if args.warmup == "exponential" else rate


def optimizer(args, dtype):
    """The optimizer; NAG by default. With float16 it keeps float32 master weights."""
    return create_optimizer(args.optimizer, args.lr, args.momentum, args.wd, dtype,
                            args.clip_gradient or None, args.lars_coefficient, args.final_lr)


def run_paths(args):
    """`RunPaths` with GluonCV's names. The kind of mixing follows the model's name, as in `_mixup`."""
    run = run_name(args.dataset, args.model, args.mix if args.mixup else None)
    data = args.dataset.removesuffix("-excerpt")
    name = run.removeprefix(f"{data}-")
    save_dir = make_folder("--save-dir", args.save_dir)
    log_dir = make_folder("--logging-dir", args.logging_dir)
    stem = f"train_{data}_{name}"
    return RunPaths(log=log_dir / f"{stem}.log", metrics=metrics_path(args, log_dir / stem / "metrics.jsonl"),
                    plot=make_folder("--save-plot-dir", args.save_plot_dir) / f"{name}_history.png",
                    save_dir=save_dir,
                    best=f"{{val:.4f}}-{'cifar' if data == 'cifar10' else data}-{name}-{{epoch}}-best.params",
                    periodic=f"{run}-{{epoch}}.params", resume=save_dir / f"{run}.resume.npz",
                    tensorboard=tensorboard_dir(args), log_flag="--logging-dir")


def facts(args, data, precision, engine):
    """The facts for run.json and the resume file: dict."""
    mix = args.mix if args.mixup else None
    title = f"{args.model} with {mix}" if mix else args.model
    return facts_of(args, engine, net_facts(args, data), precision.flags, model=args.model,
                    dataset=args.dataset, classes=len(data.classes), dtype=precision.dtype,
                    dtype_trial=precision.rates,
                    mixup=args.mixup, mix=mix, optimizer=args.optimizer,
                    model_kwargs=keywords("--model-kwargs", args.model_kwargs), data_root_hash=data.root_hash,
                    data_backend=args.data_backend, global_batch_size=global_batch_size(args),
                    title=title, train_metric="rmse" if mix else "accuracy",
                    **fine_tuning_facts(args))


def opening_lines(args, data, engine):
    """Yield the log's opening lines: batch, rate, updates, data, and warnings about flags without effect."""
    left_out = data.train.records - data.train.batches_per_epoch * global_batch_size(args)
    yield (f"{batch_line(args, engine)}; lr {args.lr:g}; {data.train.batches_per_epoch} updates/epoch, "
           f"{left_out} images not used in each")
    yield (f"data {args.dataset}: {data.train.records} training and {data.val.records} validation images, "
           f"root hash {data.root_hash}")
    yield from (f"warning: {sentence}" for sentence in data.warnings)
    yield threads_line(args)
    if args.lr_decay_period:
        yield "warning: --lr-decay-period has no effect, as in GluonCV's CIFAR scripts; use --lr-decay-epoch"
    if args.mixup and args.num_epochs <= args.mixup_off_epoch + args.mixup_off_first:
        first = f"the first {args.mixup_off_first} and " if args.mixup_off_first else ""
        yield (f"warning: --num-epochs {args.num_epochs} with --mixup: nothing is mixed in {first}the last "
               f"{args.mixup_off_epoch} epochs, so no epoch is mixed; lower --mixup-off-epoch")
    yield from without_effect_lines(args)
    if args.optimizer == "adadelta":
        yield f"warning: --lr {args.lr:g} and its schedule have no effect with --optimizer adadelta"
    if args.dataset == "cifar10-excerpt":
        yield "note: this is an excerpt of CIFAR-10; accuracies cannot be compared with published ones"


def plan_of(args):
    """Yield the rows that --dry-run prints; needs no data and no GPU."""
    images, classes, channels, side, *_ = DATASETS[args.dataset]
    batch, updates = global_batch_size(args), images // global_batch_size(args)
    if not updates:
        raise UserError(f"--batch-size: {batch} images over all devices, but the training set has {images}")
    net = maker(args)(classes=classes)
    yield from plan.net_rows(net, args.model, classes, side, channels)
    yield from plan_rows(args, net, maker(args))
    yield from plan.precision_rows(net, args.dtype, args.loss_scale, not args.num_gpus)
    yield from plan.batch_rows(args.batch_size, batch // args.batch_size // args.accumulate, images,
                               args.num_epochs, args.accumulate)
    if args.no_wd:
        exempt_from_decay(net)
    yield from plan.optimizer_rows(optimizer(args, args.dtype))
    steps = decay_epochs(args) if args.lr_mode == "step" else ()
    yield from plan.rate_rows(learning_rate(args, updates), args.lr_mode, args.lr, batch, updates,
                              args.num_epochs, args.warmup_epochs, steps)
    yield from plan.decay_rows(net, args.wd)
    yield from plan.gamma_rows(net)
    yield from plan.cifar_image_rows(augmentation(args), args.dataset)
    if not args.teacher:
        targets, _, _ = training_targets(args, classes, args.dtype, None)
        yield from plan.target_rows(targets, classes, channels * (1 + args.dual_cutout))
    if args.mixup:
        yield from plan.mixup_rows(args.mixup_alpha, args.mixup_off_epoch, args.mixup_partners, args.mix,
                                   args.mixup_off_first)
    if args.teacher:
        yield from plan.teacher_rows(args.teacher, args.temperature, args.hard_weight)
