"""The parts of train_imagenet.py, built from its flags: net, schedule, optimizer, paths, log lines."""

import functools
from pathlib import Path

import mxnet as mx

from gluon_tricks.data.val_window import sample_counts, val_window
from gluon_tricks.engines.launcher import launched_processes
from gluon_tricks.files import make_folder
from gluon_tricks.log_lines.dialects import HorovodDialect, ImagenetDialect
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.initializers import imagenet_initializer
from gluon_tricks.models.ready import compute_dtype, load_params, make_ready, start_precision
from gluon_tricks.models.registry import get_model, published_name
from gluon_tricks.optim.lr_schedule import lr_schedule
from gluon_tricks.parameters import connect
from gluon_tricks.published.reference import reference_of
from gluon_tricks.randomness import net_seed
from gluon_tricks.recipes.data_paths import PATHS
from gluon_tricks.recipes.presets import overrides
from gluon_tricks.saved.record import NetFacts
from gluon_tricks.script import plan
from gluon_tricks.script.fine_tuning import fine_tune, plan_rows
from gluon_tricks.script.fine_tuning_flags import fine_tuning_facts
from gluon_tricks.script.flags import (
    completed,
    decay_epochs,
    global_batch_size,
    local_batch_size,
)
from gluon_tricks.script.horovod_flags import cosine_schedule
from gluon_tricks.script.imagenet_flags import data_path
from gluon_tricks.script.opening import batch_line, facts_of, metrics_path, tensorboard_dir, threads_line
from gluon_tricks.script.targets import training_targets
from gluon_tricks.training.evaluation import evaluate, hits
from gluon_tricks.training.settings import RunPaths
from gluon_tricks.training.trainer_states import load_states
from gluon_tricks.tricks.drop_block import check_drop_block
from gluon_tricks.tricks.linear_scaling import linear_scaled_lr
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay
from gluon_tricks.tricks.zero_gamma import count_zero_gammas


def model_keywords(args):
    """The arguments of the model, without its number of classes."""
    given = {"last_gamma": args.last_gamma, "pretrained": args.use_pretrained, "use_se": args.use_se}
    keywords = {name: True for name, is_on in given.items() if is_on}
    if args.use_gn:
        keywords["norm_layer"] = GroupNorm
    if args.model.startswith("vgg"):
        keywords["batch_norm"] = args.batch_norm
    if args.model.startswith("resnest"):       # decides the block size of its DropBlock layers
        keywords["input_size"] = args.input_size
    return {"fix_last_gamma": args.fix_last_gamma, "fix_use_se": args.fix_use_se, **keywords}


def build_net(args, classes, precision, engine):
    """The net with its first weights, from --init or --resume-params."""
    start_precision(precision.dtype, precision.use_amx)
    net = get_model(args.model, classes=classes, **model_keywords(args))
    check_drop_block(net, args.input_size)
    net.cast(compute_dtype(precision.dtype))
    mx.random.seed(net_seed(args.seed, -1))
    if args.resume_params:
        load_params(net, "--resume-params", args.resume_params, engine)
    else:
        net.initialize(imagenet_initializer(args.init), ctx=engine.ctx)
    make_ready(net, args.input_size, precision.dtype, args.mode, engine, what=f"--model {args.model}")
    if args.no_wd:
        exempt_from_decay(net)
    return net


def start(args, net, data, engine, resumed):
    """Load --init-params and freeze parts of the net: lines for the log."""
    published = published_name(args.model, args.use_se and args.fix_use_se)
    return fine_tune(args, net, maker(args), published, engine, resumed, net_facts(args, data))


def maker(args):
    """The model's callable (classes=) -> HybridBlock, without published weights."""
    keywords = {key: value for key, value in model_keywords(args).items() if key != "pretrained"}
    return functools.partial(get_model, args.model, **keywords)


def net_facts(args, data):
    """The description of the net for its record: `NetFacts`."""
    transform = getattr(data.val, "transform", None)               # the loaders of MXNet and DALI have none
    mean, std = (transform.mean, transform.std) if transform else (args.rgb_mean, args.rgb_std)
    crop = "efficientnet" if transform and transform.law == "efficientnet" else "center"
    return NetFacts(args.model, switches(args), data.classes, data.class_names, args.dataset, args.input_size,
                    3, crop, args.crop_ratio, tuple(mean), tuple(std), data.root_hash)


def switches(args):
    """The arguments of the model that decide its parameters, without its number of classes."""
    given = {"use_se": args.use_se, "fix_use_se": args.use_se and args.fix_use_se, "use_gn": args.use_gn,
             "batch_norm": args.batch_norm and args.model.startswith("vgg")}
    return {name: True for name, is_on in given.items() if is_on}


def learning_rate(args):
    """The schedule: num_update -> rate. As in GluonCV, --num-training-samples sets the updates per epoch."""
    if args.flags == "horovod":
        return cosine_schedule(args.lr, args.warmup_lr, args.num_epochs, args.warmup_epochs,
                               args.num_training_samples, local_batch_size(args),
                               launched_processes(args.kvstore))
    updates = args.num_training_samples // global_batch_size(args)
    return lr_schedule(args.lr_mode, args.lr, args.num_epochs, updates, args.warmup_epochs, args.lr_decay,
                       step_epochs(args), formula=args.lr_formula)


def step_epochs(args):
    """Epochs at which the rate of --lr-mode step steps."""
    if args.lr_decay_period:
        return range(args.lr_decay_period, args.num_epochs, args.lr_decay_period)
    return decay_epochs(args)


def nag(args, dtype):
    """MXNet's NAG; with float16 it keeps float32 master weights."""
    return mx.optimizer.NAG(learning_rate=args.lr, momentum=args.momentum, wd=args.wd,
                            multi_precision=dtype == "float16", clip_gradient=args.clip_gradient or None)


def dialect_of(args):
    """The format of the log lines."""
    if args.flags == "horovod":
        return HorovodDialect(args.eval_frequency, args.num_epochs)
    return ImagenetDialect


def resume_from_gluoncv(args, run, trainer, data):
    """Start at --resume-epoch with --resume-states; `build_net` has loaded --resume-params."""
    run.progress.epoch = args.resume_epoch
    run.progress.num_update = sum(map(data.train.batches_in, range(args.resume_epoch)))
    connect(trainer)
    load_states(Path(args.resume_states).expanduser(), trainer)


def evaluate_average(average, data, engine, dtype, run):
    """Validation accuracies of the averaged parameters, each image counted once."""
    with average.applied():
        return evaluate(average.net, data.exact(), engine, dtype, run.keep_going, top=(1, 5))


def both_protocols(args, net, data, engine, dtype, keep_going):
    """The log line with the final errors: each image once, and the last window of MXNet's iterator."""
    right = hits(net, data.exact(), engine, dtype, keep_going, top=(1, 5))
    batch = global_batch_size(args)
    window = val_window(args.num_epochs, len(right), batch)
    exact, gluoncv = (" ".join(f"err-top{k}={error:f}" for k, error in zip((1, 5), 1 - rows.mean(axis=0)))
                      if len(rows) else f"none, as no batch of {batch} begins in pass {args.num_epochs}"
                      for rows in (right, right[window]))
    return (f"both validation protocols at the end: exact {exact} ({len(right)} images); "
            f"gluoncv {gluoncv} ({len(window)} samples)")


def parts_per_device(args):
    return max(1, args.emulate_gpus) * args.accumulate


def run_paths(args):
    """`RunPaths` with GluonCV's names for parameters and states."""
    save_dir = make_folder("--save-dir", args.save_dir)
    log = Path(args.logging_file).expanduser()
    make_folder("--logging-file", log.parent)
    metrics = metrics_path(args, log.with_suffix("") / "metrics.jsonl")
    return RunPaths(log=log, metrics=metrics, plot=metrics.with_name(f"{args.model}_history.png"),
                    save_dir=save_dir, best=f"{{err:.4f}}-{args.dataset}-{args.model}-{{epoch}}-best.params",
                    periodic=f"{args.dataset}-{args.model}-{{epoch}}.params", states=True,
                    averaged=f"{args.dataset}-{args.model}-{{epoch}}-ema.params",
                    resume=save_dir / f"{args.dataset}-{args.model}.resume.npz",
                    tensorboard=tensorboard_dir(args), log_flag="--logging-file")


def facts(args, data, precision, engine):
    """The facts for run.json and the resume file: dict."""
    return facts_of(args, engine, net_facts(args, data), {"classes": data.classes, **precision.flags},
                    model=args.model, dataset=args.dataset, classes=data.classes, dtype=precision.dtype,
                    dtype_trial=precision.rates, mixup=args.mixup, data_root_hash=data.root_hash,
                    data_backend=args.data_backend, global_batch_size=global_batch_size(args),
                    title=args.model, train_metric="rmse" if args.mixup else "accuracy",
                    **fine_tuning_facts(args))


def opening_lines(args, data, net, dtype, engine):
    """Yield the log's opening lines: batch, rate, updates, and differences from the published run."""
    batch, rule = global_batch_size(args), linear_scaled_lr(global_batch_size(args))
    lengths = sorted(set(map(data.train.batches_in, range(args.num_epochs))))
    yield (f"{batch_line(args, engine, args.emulate_gpus)}; "
           f"peak lr {args.lr:g}; {args.num_training_samples // batch} updates/epoch in the schedule, "
           f"{' or '.join(map(str, lengths))} in the data")
    if abs(args.lr - rule) > 1e-9:
        yield (f"warning: global batch {batch} ({args.batch_size} x {batch // args.batch_size}) with --lr "
               f"{args.lr:g}; the linear rule 0.1 x {batch}/256 gives {rule:g}")
    flags = {**vars(args), "dtype": dtype, "world_size": engine.world_size}
    match = reference_of(flags, args.dataset)
    if match.departures:
        differences = ", ".join(match.departures)
        yield f"warning: differs from the published run {match.reference.name} in {differences}"
    changed = f"; overrides: {', '.join(overrides(vars(args)))}" if overrides(vars(args)) else ""
    yield f"preset {args.preset}{changed}"
    yield f"data: {data.train.records} training images of {data.classes} classes, " + (
        f"root hash {data.root_hash}" if data.root_hash else "no manifest: files not checked")
    yield from filter(None, (getattr(loader, "left_out", "") for loader in (data.train, data.val)))
    yield from (f"warning: {sentence}" for sentence in data.warnings)
    zero, gammas = count_zero_gammas(net)
    decayed = "weights only" if args.no_wd else "everything"
    yield f"{zero} of {gammas} gammas start at zero; weight decay on {decayed}"
    if args.last_gamma and not zero:
        yield f"warning: --last-gamma has no effect on {args.model}"
    yield threads_line(args)
    if args.warmup_lr and args.flags != "horovod":
        yield "warning: --warmup-lr has no effect, as in GluonCV's script; warm-up starts from 0"
    if data_path(args) == "mxnet":
        yield (f"validation protocol {data.val.protocol}" + ("" if data.val.protocol == "exact" else (
            f": MXNet's sliding window, as in the published logs, of "
            f"{' or '.join(map(str, sample_counts(data.val.records, batch)))} samples")))


def plan_of(args):
    """Yield the rows that --dry-run prints; needs no data, no GPU and no download."""
    classes = args.classes or 1000
    batch, updates = global_batch_size(args), args.num_training_samples // global_batch_size(args)
    net = maker(args)(classes=classes)
    if args.no_wd:
        exempt_from_decay(net)
    yield "preset", ", ".join([args.preset, *overrides(vars(args))])
    yield from plan.net_rows(net, args.model, classes, args.input_size)
    yield from plan_rows(args, net, maker(args))
    yield from plan.precision_rows(net, args.dtype, args.loss_scale, not args.num_gpus)
    yield from plan.batch_rows(args.batch_size, max(1, args.num_gpus, args.emulate_gpus),
                               args.num_training_samples, args.num_epochs, args.accumulate,
                               launched_processes(args.kvstore))
    formula = "as in train_horovod.py" if args.flags == "horovod" else f"formula {args.lr_formula}"
    steps = step_epochs(args) if args.lr_mode == "step" else ()
    yield from plan.rate_rows(learning_rate(args), f"{args.lr_mode}, {formula}", args.lr, batch, updates,
                              args.num_epochs, args.warmup_epochs, steps)
    yield from plan.decay_rows(net, args.wd)
    yield from plan.gamma_rows(net, args.last_gamma)
    path = data_path(args)
    yield "data", PATHS[path]
    if path != "synthetic":
        yield from plan.imagenet_image_rows(path, args.crop_law, args.colors, args.input_size,
                                            args.crop_ratio, args.rgb_mean, args.rgb_std, args.auto_aug)
    # A teacher would be downloaded; in a batch of two images only reversed order always makes a pair
    alone = completed(args, teacher=None, mixup_partners="reversed")
    yield from plan.target_rows(training_targets(alone, classes, args.dtype, None)[0], classes)
    if args.mixup:
        yield from plan.mixup_rows(args.mixup_alpha, args.mixup_off_epoch, args.mixup_partners)
    if args.teacher is not None:
        yield from plan.teacher_rows(args.teacher, args.temperature, args.hard_weight, args.soft_weight)
