"""Flags of train_imagenet.py that GluonCV's script lacks; their completion and checks."""

import argparse
import os
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.engines.launcher import devices_per_process, kvstore_of_launcher, launched_processes
from gluon_tricks.errors import UserError
from gluon_tricks.recipes.data_paths import (
    FOLDER_MEAN,
    FOLDER_STD,
    PATHS,
    RGB_MEAN,
    RGB_STD,
    disobeyed,
    path_of,
)
from gluon_tricks.recipes.flags import per_channel
from gluon_tricks.recipes.presets import PRESETS, parse_with_preset
from gluon_tricks.script.engine_flags import settled_kvstore
from gluon_tricks.script.fine_tuning_flags import add_fine_tuning_flags, check_fine_tuning
from gluon_tricks.script.flags import (
    add_loss_scale_flag,
    check_common,
    completed,
    decay_epochs,
    flag_name,
    global_batch_size,
)
from gluon_tricks.script.horovod_flags import is_asked_for, translate
from gluon_tricks.script.run_flags import add_record_flags, add_resume_flags
from gluon_tricks.tricks.linear_scaling import linear_scaled_lr
from gluon_tricks.tricks.lr_warmup import FORMULAS


class RecordSet(NamedTuple):
    """Defaults for a data set in record files."""
    folder: str
    images: int              # of the training set
    classes: int
    prepared_by: str


RECORD_SETS = {
    "imagenet": RecordSet("~/.mxnet/datasets/imagenet/rec", 1281167, 1000, "data_prep/imagenet.py"),
    "places365": RecordSet("~/.mxnet/datasets/places365/rec", 1803460, 365, "data_prep/places365.py"),
}
RECORD_PATHS = ("rec_train", "rec_train_idx", "rec_val", "rec_val_idx")


def add_own_flags(group):
    """Add the flags that GluonCV's script lacks."""
    group.add_argument("--dataset", choices=tuple(RECORD_SETS), default="imagenet",
                      help="decides the defaults of --rec-* and --num-training-samples (default imagenet)")
    group.add_argument("--rec-dir", metavar="DIR", default=None,
                      help="train.rec and val.rec of data_prep/folder.py or imagenet.py; in place of "
                           "--use-rec, --rec-* and --num-training-samples")
    group.add_argument("--classes", type=int, default=None,
                       help="number of classes (default: from manifest or folders, else 1000)")
    group.add_argument("--seed", type=int, default=0,
                       help="seed of initialisation, order, augmentation and mixup (default 0)")
    group.add_argument("--as", dest="preset", choices=tuple(PRESETS), default="gluoncv",
                      help="preset of the flags in the last group, where paper and GluonCV differ (default "
                           "gluoncv)")
    group.add_argument("--flags", choices=("imagenet", "horovod"), default="imagenet",
                      help="horovod: read the other flags as GluonCV's train_horovod.py does, with its rate "
                           "per worker, schedule, initialisation, defaults and log lines (default imagenet)")
    group.add_argument("--eval-frequency", type=int, default=0,
                      help="with --flags horovod: epochs between validation lines; 0: after the last only "
                           "(default 0)")
    group.add_argument("--auto-aug", "--auto_aug", action="store_true",
                      help="AutoAugment's ImageNet policy before the crop, as in train_horovod.py")
    group.add_argument("--auto-lr", action="store_true", help="instead of --lr: 0.1 x global batch / 256")
    group.add_argument("--fix-use-se", action="store_true",
                       help="let --use_se turn a resnext* into the se_resnext* of the same size")
    group.add_argument("--label-smoothing-eps", type=float, default=0.1,
                       help="eta of --label-smoothing (default 0.1)")
    group.add_argument("--clip-gradient", type=float, default=0.0,
                       help="clip each gradient element to this magnitude (default: no)")
    add_loss_scale_flag(group)
    group.add_argument("--ema", type=float, default=0.0, metavar="DECAY",
                      help="also keep a moving average of the parameters, and validate and save it; e.g. "
                           "0.9999 (default: no)")
    group.add_argument("--accumulate", type=int, default=1,
                      help="passes of --batch-size per device and update; gradients are summed (default 1)")
    group.add_argument("--emulate-gpus", type=int, default=0,
                      help="compute the batch of this many devices on one: BatchNorm and mixup per part, "
                           "gradients summed")
    group.add_argument("--on-bad-record", choices=("fail", "skip"), default="fail",
                      help="what to do with a record that cannot be read; skip: with --use-rec and "
                           "--data-backend ours (default fail)")
    group.add_argument("--dry-run", action="store_true",
                       help="print the plan of the run; needs no data and no GPU")
    group.add_argument("--synthetic", action="store_true",
                       help="random images, to measure throughput without data")
    group.add_argument("--resume", metavar="auto|FILE", default="",
                       help="auto: continue the run of this model in --save-dir, or start one")
    add_fine_tuning_flags(group)
    add_resume_flags(group, 1000)
    add_record_flags(group, "in a folder named after the log")


def add_choice_flags(group):
    """Add the flags for the differences between paper and GluonCV; `--as` sets all of them."""
    group.add_argument("--lr-formula", choices=FORMULAS, help="formula of warm-up and decay")
    group.add_argument("--val-protocol", choices=("gluoncv", "exact"),
                       help="MXNet's sliding window, with --data-backend mxnet; or each image once (preset "
                            "gluoncv: the window with MXNet's iterator, else each image once)")
    group.add_argument("--init", choices=("gluoncv", "horovod", "paper"),
                         help="MSRAPrelu; Xavier by incoming weights, as in train_horovod.py; or Xavier by "
                              "channels")
    group.add_argument("--crop-law", choices=("rec", "folder", "paper", "efficientnet"),
                         help="distribution of the crops (preset gluoncv: that of record files or folders)")
    group.add_argument("--colors", choices=("gluoncv", "paper"), help="jitter of contrast; or of hue")
    group.add_argument("--fix-last-gamma", action=argparse.BooleanOptionalAction,
                         help="let --last-gamma work in models where GluonCV ignores or inverts it")
    group.add_argument("--label-smoothing-rule", choices=("gluoncv", "paper"),
                       help="mass of each other class: eta / K; or eps / (K - 1)")
    group.add_argument("--soft-weight", type=float,
                       help="weight of the teacher (preset gluoncv: 1 - hard weight; paper: both 1)")
    group.add_argument("--mixup-partners", choices=("reversed", "random"),
                       help="order of the second images in mixup")


def parsed(parser, argv):
    """The flags of a command line, completed and checked. Flags of train_horovod.py are translated first.

    Raises
    ------
    UserError
        For unusable values and for flags that exclude each other.
    """
    typed = argv
    if is_asked_for(argv) and not {"-h", "--help"} & set(argv):
        argv = translate(argv, launched_processes(kvstore_of_launcher(os.environ) or "device"))
    given = given_flags(parser, typed)
    args = parse_with_preset(parser, argv)
    if args.init_params:
        # here: NumPy is not needed for --help
        from gluon_tricks.script.init_record import with_imagenet_record
        args = with_imagenet_record(args, given)
    if not args.model:
        raise UserError("--model: give the name of the model, such as resnet50_v1d; only --init-params FILE "
                        "next to the record of its training says it, too")
    args = settled(with_record_folder(args, given))
    check(args)
    check_data(args, given)
    return args


def with_record_folder(args, given):
    """The flags with the record files of --rec-dir and, unless it is given, the number of their images.

    Parameters
    ----------
    given : set of str
        Flags on the command line.
    """
    if not args.rec_dir:
        return args
    others = sorted({*RECORD_PATHS, "data_dir", "dataset"} & given)
    if others:
        raise UserError(f"--rec-dir {args.rec_dir}: says where the images are; leave "
                        f"{', '.join(map(flag_name, others))} out")
    folder = Path(args.rec_dir).expanduser()
    changes = {"use_rec": True, "rec_train": str(folder / "train.rec"), "rec_val": str(folder / "val.rec")}
    if "num_training_samples" not in given and (folder / "train.idx").is_file():
        # here: NumPy is not needed for --help
        from gluon_tricks.data.recordio import read_index
        changes["num_training_samples"] = len(read_index(folder / "train.idx")[0])
    return completed(args, **changes)


def given_flags(parser, argv):
    """The flags on a command line, also those given with their default: set of attribute names."""
    nothing = []             # what a flag that extends a list can extend
    untouched = argparse.Namespace(**{action.dest: nothing for action in parser._actions})
    found, _ = parser.parse_known_args(argv, untouched)
    return {name for name, value in vars(found).items() if value is not nothing}


def data_path(args):
    """The key in `PATHS` of where the images come from."""
    return path_of(args.synthetic, args.data_backend, args.use_rec)


def settled(args):
    """The parsed flags, with the values that depend on other flags."""
    imagenet, chosen = RECORD_SETS["imagenet"], RECORD_SETS[args.dataset]
    changes = {}
    for part in ("rec_train", "rec_val"):
        changes[part] = getattr(args, part).replace(imagenet.folder, chosen.folder)
        changes[f"{part}_idx"] = getattr(args, f"{part}_idx") or str(Path(changes[part]).with_suffix(".idx"))
    if args.num_training_samples == imagenet.images:
        changes["num_training_samples"] = chosen.images
    if args.dataset != "imagenet":
        changes["classes"] = args.classes or chosen.classes
    folders = data_path(args) == "folders"
    for flag, default in (("rgb_mean", FOLDER_MEAN if folders else RGB_MEAN),
                          ("rgb_std", FOLDER_STD if folders else RGB_STD)):
        given = getattr(args, flag)
        changes[flag] = default if given is None else per_channel(flag_name(flag), given)
    if args.crop_ratio == 0:               # as in GluonCV's script
        changes["crop_ratio"] = 0.875
    args = completed(args, kvstore=settled_kvstore(args), **changes)
    return completed(args, lr=linear_scaled_lr(global_batch_size(args))) if args.auto_lr else args


def check(args):
    """Raise UserError for unusable values, before any file is opened."""
    check_common(args)
    check_dali(args)
    check_start(args)
    check_fine_tuning(args)
    if args.use_se and not args.fix_use_se:
        raise UserError(f"--use_se: has no effect in GluonCV's script; give --fix-use-se too, or the model "
                        f"se_{args.model}")
    inside = [epoch for epoch in decay_epochs(args) if epoch < args.warmup_epochs]
    if args.lr_mode == "step" and not args.lr_decay_period and inside:
        raise UserError(f"--lr-decay-epoch {args.lr_decay_epoch}: epoch {inside[0]} is inside the warm-up of "
                        f"{args.warmup_epochs} epochs")
    if args.emulate_gpus and devices_per_process(args.num_gpus, args.num_cpus) > 1:
        raise UserError("--emulate-gpus: works on one device only; give --num-gpus 1 or 0, and no --num-cpus")
    if not args.num_training_samples // global_batch_size(args):
        raise UserError(f"--num-training-samples {args.num_training_samples}: less than a global batch of "
                        f"{global_batch_size(args)}, so the learning rate would always be 0")


def check_data(args, given):
    """Raise UserError for flags that the path of the data does not obey.

    Parameters
    ----------
    given : set of str
        Flags on the command line.
    """
    path, ignored = data_path(args), []
    for name, allowed in disobeyed(path, given, vars(args)):
        if allowed is None:
            ignored.append(flag_name(name))
            continue
        value = getattr(args, name)
        asked = flag_name(name) if value is True else f"{flag_name(name)} {value}"
        has = f"only {' or '.join(allowed)}" if allowed else "none"
        remedy = "--data-backend mxnet" if name == "val_protocol" else "--data-backend ours"
        records = "" if args.use_rec or path == "dali" else "--use-rec and "
        raise UserError(f"{asked}: {PATHS[path]}, have {has}; leave it out, or give {records}{remedy}")
    if ignored:
        raise UserError(f"{', '.join(ignored)}: no effect on {PATHS[path]}; leave {them(ignored)} out")


def them(words):
    return "them" if len(words) > 1 else "it"


def check_dali(args):
    """Raise UserError where --data-backend dali-* cannot work."""
    if args.data_backend.startswith("dali") and not args.num_gpus:
        raise UserError(f"--data-backend {args.data_backend}: DALI needs GPUs; give --num-gpus, or use ours "
                        f"or mxnet")
    if args.data_backend.startswith("dali") and launched_processes(args.kvstore) > 1:
        raise UserError(f"--data-backend {args.data_backend}: for one process with several GPUs; use ours or "
                        f"mxnet")


def check_start(args):
    """Raise UserError for flags that contradict each other on the start, or that would lose the momentum."""
    if bool(args.resume_epoch) != bool(args.resume_states) or args.resume_states and not args.resume_params:
        raise UserError("--resume-epoch, --resume-params, --resume-states: give all three; without states "
                        "the momentum would be lost. --resume-params alone starts a new run; --resume auto "
                        "continues a run of this kit")
    if not 0 <= args.resume_epoch < args.num_epochs:
        raise UserError(f"--resume-epoch {args.resume_epoch}: must be less than --num-epochs "
                        f"{args.num_epochs}")
    if args.resume and args.resume_params:
        raise UserError("--resume and --resume-params: give one; --resume continues a run, --resume-params "
                        "starts a new one")
