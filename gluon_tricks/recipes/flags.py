"""The table of flags: defaults, limits, dependencies and effect of each flag of the training scripts.

Readers: the recipe of a run (`published/recipe.py`), the order of words in a command (`recipes/rows.py`), the
checks of numbers and of flags without effect (`script/`), and the comparison of a resumed run with its resume
file (`training/checkpoint.py`). A flag is named by its attribute: `lr_decay` for `--lr-decay`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from gluon_tricks.errors import UserError


class Limits(NamedTuple):
    """The permitted values of a number, which is always finite.

    Attributes
    ----------
    least, above : float
        The lowest value; or what it must be above. One of them is given.
    most, below : float
        The highest value; or what it must be below.
    whole : bool
        No fraction.
    or_zero : bool
        0 is permitted too: it chooses a default.
    """
    least: float = None
    above: float = None
    below: float = None
    most: float = 10**9
    whole: bool = False
    or_zero: bool = False

    def complaint(self, value):
        """What the value must be, if it is not permitted; else ""."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return "must be a whole number" if self.whole else "must be a number"
        if not -math.inf < value < math.inf:
            return "must be a finite number"
        if self.or_zero and value == 0:
            return ""
        zero = "0 or " if self.or_zero else ""
        if self.below is not None and not self.least <= value < self.below:
            return f"must be {zero}in [{self.least:g}, {self.below:g})"
        if self.least is not None and value < self.least:
            return f"must be {zero}at least {self.least:g}"
        if self.above is not None and value <= self.above:
            return f"must be above {self.above:g}" if self.above else "must be positive"
        return f"must be {zero}at most {self.most:.10g}" if value > self.most else ""


NOT_NEGATIVE, POSITIVE = Limits(least=0), Limits(above=0)
SHARE, UP_TO_1 = Limits(least=0, below=1), Limits(least=0, most=1)
COUNT, FROM_1 = Limits(least=0, whole=True), Limits(least=1, whole=True)
# Upper limits: beyond them a run would neither start nor end in a useful time
EPOCHS, EPOCHS_FROM_1 = (limits._replace(most=100_000) for limits in (COUNT, FROM_1))
IMAGES = FROM_1._replace(most=100_000_000)
BATCH, CLASSES, PIXELS = (FROM_1._replace(most=most) for most in (1_000_000, 100_000, 4096))
DEVICES, PROCESSES = COUNT._replace(most=1024), FROM_1._replace(most=1024)    # also threads
FACTOR = FROM_1._replace(most=1000)
SEED = COUNT._replace(most=2**32 - 1)
MEAN, DEVIATION = Limits(least=0, most=255), Limits(least=0.001, most=10_000)     # of pixels, 0..255
ALPHA = Limits(least=0.001, most=1000)        # of a Beta distribution, whose draws underflow far below


class Need(NamedTuple):
    """A condition without which a flag has no effect.

    `words` is its name in the warning; "": no warning, because published commands or presets set the flag.
    """
    words: str
    is_on: Callable            # (flags by name) -> bool


SMOOTHING = Need("--label-smoothing", lambda flags: flags.get("label_smoothing"))
MIXING = Need("--mixup or --mix", lambda flags: flags.get("mixup"))
CUTMIX = Need("--mix cutmix", lambda flags: flags.get("mixup") and flags.get("mix") == "cutmix")
DUAL = Need("--dual-cutout", lambda flags: flags.get("dual_cutout"))
TEACHER = Need("--teacher", lambda flags: flags.get("teacher"))
LARS = Need("--optimizer lars", lambda flags: flags.get("optimizer") == "lars")
ADABOUND = Need("--optimizer adabound", lambda flags: flags.get("optimizer") == "adabound")
RATE = Need("an --optimizer other than adadelta", lambda flags: flags.get("optimizer") != "adadelta")
SGDR = Need("--lr-mode sgdr", lambda flags: flags.get("lr_mode") == "sgdr")
STEPS = Need("--lr-mode step", lambda flags: flags.get("lr_mode") == "step")
DROPS = ("cifar_wideresnet", "cifar_densenet")        # nets with --drop-rate
DROPOUT = Need("a cifar_wideresnet* or cifar_densenet*",
               lambda flags: str(flags.get("model")).lower().startswith(DROPS))


def _quiet(need):
    return need._replace(words="")


class Flag(NamedTuple):
    """The properties of one flag.

    Attributes
    ----------
    default : object
        Its value if a log's header or a row of a table does not have it.
    decides : "all", "cifar" or ""
        Scripts in which it changes the result and belongs to a run's recipe: all, train_cifar.py, or none.
    cifar : object
        The default of train_cifar.py, if it differs; for `decides` "all" only.
    limits : Limits
        Permitted values of a number.
    needs : Need
        Condition without which it has no effect.
    resume : "note", "free" or the flags to name
        If a resumed run has another value: "note" logs a note, "free" permits it; otherwise the run is
        refused, and the message asks for these flags.
    word : str
        Its spelling in a command line, if that is not `--its-name`.
    """
    default: object = None
    decides: str = ""
    cifar: object = None
    limits: Limits = None
    needs: Need = None
    resume: str = "note"
    word: str = ""


# The order is that of the published commands.
FLAGS = {
    "model": Flag(resume="--model"),
    "mode": Flag(resume="free"),
    "input_size": Flag(224, "all", 32, limits=PIXELS),
    "lr": Flag(None, "all", limits=POSITIVE),
    "lr_mode": Flag("step", "all"),
    "lr_decay": Flag(0.1, "all", limits=UP_TO_1, needs=_quiet(STEPS)),
    "lr_decay_period": Flag(0, "all", limits=EPOCHS),
    "lr_decay_epoch": Flag("40,60", "all", needs=_quiet(STEPS)),
    "num_epochs": Flag(None, "all", limits=EPOCHS_FROM_1),
    # of this and the next two only the product counts
    "batch_size": Flag(limits=BATCH, resume="free"),
    "num_gpus": Flag(limits=DEVICES, resume="free"),
    "num_cpus": Flag(limits=PROCESSES, resume="free"),
    "num_workers": Flag(limits=DEVICES, resume="free", word="-j"),
    "use_rec": Flag(),
    "rec_dir": Flag(),
    "rec_train": Flag(),
    "rec_train_idx": Flag(),
    "rec_val": Flag(),
    "rec_val_idx": Flag(),
    "data_backend": Flag(),
    "classes": Flag(limits=CLASSES._replace(least=2), resume="--dataset"),
    "num_training_samples": Flag(1_281_167, "all", 50_000, limits=IMAGES),
    "dtype": Flag("float32", "all", resume="--dtype"),
    "warmup_epochs": Flag(0, "all", limits=EPOCHS),
    "warmup_lr": Flag(limits=NOT_NEGATIVE),
    "momentum": Flag(0.9, "all", limits=SHARE),
    "last_gamma": Flag(False, "all"),
    "no_wd": Flag(False, "all"),
    "use_se": Flag(False, "all"),
    "batch_norm": Flag(False, "all"),
    "use_gn": Flag(False, "all"),
    "drop_rate": Flag(0.0, "all", limits=SHARE, needs=DROPOUT),
    "label_smoothing": Flag(False, "all"),
    "mixup": Flag(False, "all", resume="--mixup"),
    "teacher": Flag(None, "all"),
    "crop_ratio": Flag(0.875, "all", limits=Limits(least=0.1, most=2, or_zero=True)),
    "rgb_mean": Flag(),
    "rgb_std": Flag(),
    "use_pretrained": Flag(False, "all"),
    "resume_from": Flag(None, "all"),
    "init_params": Flag(None, "all", resume="--init-params"),
    "freeze": Flag([], "all", resume="--freeze"),
    "freeze_norm": Flag(False, "all", resume="--freeze-norm"),
    "head_lr": Flag(1.0, "all", limits=POSITIVE, needs=RATE),
    "resume_epoch": Flag(limits=EPOCHS),
    "resume_params": Flag(),
    "resume_states": Flag(),
    "auto_aug": Flag(False, "all"),
    "dropblock_prob": Flag(0.0, "all", limits=UP_TO_1),     # this and the next two: of train_horovod.py
    "use_sk": Flag(False, "all"),
    "use_avd": Flag(False, "all"),
    "fix_last_gamma": Flag(False, "all"),
    "fix_use_se": Flag(),
    # images of train_cifar.py
    "dataset": Flag(resume="--dataset"),
    "data_dir": Flag(resume="free"),
    "augment": Flag("gluoncv", "cifar"),
    "random_crop": Flag(True, "cifar"),
    "random_flip": Flag(True, "cifar"),
    "cutout": Flag(0, "cifar", limits=COUNT),
    "dual_cutout": Flag(False, "cifar"),
    "dual_cutout_alpha": Flag(0.1, "cifar", limits=NOT_NEGATIVE, needs=DUAL),
    "random_erasing": Flag(None, "cifar"),
    # targets
    "label_smoothing_eps": Flag(0.1, "all", limits=SHARE, needs=SMOOTHING),
    "label_smoothing_rule": Flag("gluoncv", "all", needs=_quiet(SMOOTHING)),
    "mix": Flag("mixup", "cifar", needs=_quiet(MIXING), resume="--mix"),
    "mixup_alpha": Flag(0.2, "all", 1.0, limits=ALPHA, needs=MIXING),
    "mixup_off_epoch": Flag(0, "all", 20, limits=EPOCHS, needs=_quiet(MIXING)),
    "mixup_off_first": Flag(0, "cifar", limits=EPOCHS, needs=_quiet(MIXING)),
    "mixup_partners": Flag("reversed", "all", needs=_quiet(MIXING)),
    "cutmix_label": Flag("area", "cifar", needs=CUTMIX),
    "temperature": Flag(20.0, "all", limits=Limits(above=0, most=1000), needs=TEACHER),
    "hard_weight": Flag(0.5, "all", limits=NOT_NEGATIVE, needs=TEACHER),
    "soft_weight": Flag(None, "all", limits=NOT_NEGATIVE, needs=_quiet(TEACHER)),
    # optimizer and schedule
    "optimizer": Flag("nag", "cifar", resume="--optimizer"),
    "wd": Flag(0.0001, "all", limits=UP_TO_1),
    "clip_gradient": Flag(0.0, "all", limits=NOT_NEGATIVE),
    "lars_coefficient": Flag(1.0, "cifar", limits=NOT_NEGATIVE, needs=LARS),
    "final_lr": Flag(0.1, "cifar", limits=NOT_NEGATIVE, needs=ADABOUND),
    "accumulate": Flag(1, "cifar", limits=FACTOR),
    "warmup": Flag("linear", "cifar"),
    "cycle_epochs": Flag(10, "cifar", limits=EPOCHS_FROM_1, needs=SGDR),
    "cycle_factor": Flag(1, "cifar", limits=FACTOR, needs=SGDR),
    "lr_formula": Flag(),
    "auto_lr": Flag(),
    "loss_scale": Flag(),
    "ema": Flag(limits=SHARE),
    "model_kwargs": Flag([], "cifar", resume="--model-kwargs"),
    # paper or GluonCV
    "preset": Flag(),
    "flags": Flag(),
    "init": Flag("gluoncv", "all"),
    "colors": Flag("gluoncv", "all"),
    "crop_law": Flag(),
    "val_protocol": Flag(),
    # files, machine, intervals
    "seed": Flag(limits=SEED, resume="--seed"),
    "save_period": Flag(limits=COUNT, resume="free"),
    "save_frequency": Flag(limits=COUNT),
    "save_dir": Flag(resume="free"),
    "save_plot_dir": Flag(resume="free"),
    "logging_dir": Flag(resume="free"),
    "logging_file": Flag(),
    "json_log": Flag(resume="free"),
    "tensorboard": Flag(resume="free"),
    "log_interval": Flag(limits=COUNT, resume="free"),
    "eval_frequency": Flag(limits=COUNT),
    "resume": Flag(resume="free"),
    "overwrite": Flag(resume="free"),
    "checkpoint_period": Flag(limits=COUNT, resume="free"),
    "max_updates": Flag(limits=COUNT, resume="free"),
    "dry_run": Flag(),
    "synthetic": Flag(),
    "emulate_gpus": Flag(limits=DEVICES),
    "on_bad_record": Flag(),
    "kvstore": Flag(),
    "check_sync": Flag(limits=COUNT, resume="free"),
    "deterministic": Flag(),
    "timeout": Flag(limits=Limits(above=0, most=1_000_000), resume="free"),
    "dali_threads": Flag(limits=PROCESSES),
    "dali_validation_threads": Flag(limits=PROCESSES),
    "dali_prefetch_queue": Flag(limits=PROCESSES),
    "dali_nvjpeg_memory_padding": Flag(limits=COUNT),
    "dali_fuse_decoder": Flag(limits=UP_TO_1),
}

# Flags of train_faster_rcnn.py and train_fcn.py that FLAGS lacks, or that have another meaning there.
TRANSFER_FLAGS = {
    "network": Flag(resume="--network or --backbone"),
    "epochs": Flag(limits=EPOCHS_FROM_1),
    "start_epoch": Flag(limits=EPOCHS),
    "workers": Flag(limits=DEVICES, resume="free"),
    "val_interval": Flag(limits=FROM_1),
    "save_interval": Flag(limits=COUNT, resume="free"),
    "save_prefix": Flag(resume="free"),
    "gpus": Flag(resume="free"),
    "executor_threads": Flag(limits=DEVICES, resume="free"),
    "verbose": Flag(resume="free"),
    "weight_decay": Flag(limits=UP_TO_1),
    "lr_warmup": Flag(limits=Limits(least=-1, whole=True)),
    "lr_warmup_factor": Flag(limits=UP_TO_1),
    "no_mixup_epochs": Flag(limits=EPOCHS),
    "rpn_smoothl1_rho": Flag(limits=POSITIVE),
    "rcnn_smoothl1_rho": Flag(limits=POSITIVE),
    "iou_thresh": Flag(limits=Limits(above=0, most=1)),
    "base_size": Flag(limits=PIXELS._replace(least=2)),
    "crop_size": Flag(limits=PIXELS._replace(least=8)),
    "aux_weight": Flag(limits=NOT_NEGATIVE),
    "test_batch_size": Flag(limits=BATCH),
    "ngpus": Flag(limits=DEVICES),
    **{name: Flag() for name in (
        "command", "use_fpn", "norm_layer", "disable_hybridization", "static_alloc", "amp", "horovod",
        "kv_store", "pretrained_base", "backbone", "backbone_params", "train_splits", "val_splits",
        "zero_based", "train_split", "aux", "no_cuda", "syncbn", "checkname", "eval", "no_val",
        "model_zoo", "pretrained")},
}

# Flags in which the processes of one job may differ: paths and loaders. Parameters are compared on their own
OWN_TO_A_PROCESS = ("data_dir", "num_workers", "workers", "resume", "overwrite", "save_dir", "save_prefix",
                    "save_plot_dir", "logging_dir", "logging_file", "json_log", "tensorboard", "timeout",
                    "dali_threads", "dali_validation_threads", "dali_prefetch_queue",
                    "dali_nvjpeg_memory_padding", "verbose", "executor_threads", "gpus")
# Flags that name a file to read: its content must be the same in all processes of a job
INPUT_FILES = ("rec_train", "rec_train_idx", "rec_val", "rec_val_idx", "resume_from", "resume_params",
               "resume_states", "backbone_params", "init_params")

# Numbers of a Faster R-CNN's net. Tuples: of each of their numbers.
SHAPE_FLAGS = {
    **{name: Flag(limits=PIXELS) for name in ("image_short", "image_max_size", "anchor_base_size", "roi_size",
                                              "strides", "anchor_alloc_size")},
    **{name: Flag(limits=UP_TO_1) for name in ("nms_thresh", "rpn_nms_thresh", "rcnn_pos_iou_thresh",
                                               "rcnn_pos_ratio")},
    **{name: Flag(limits=POSITIVE) for name in ("clip", "anchor_aspect_ratio", "anchor_scales")},
    **{name: Flag(limits=Limits(least=-1, whole=True)) for name in ("nms_topk", "post_nms")},     # -1: all
    **{name: Flag(limits=FROM_1._replace(most=100_000)) for name in (
        "rpn_channel", "rpn_train_pre_nms", "rpn_train_post_nms", "rpn_test_pre_nms", "rpn_test_post_nms",
        "rcnn_num_samples", "max_num_gt", "num_fpn_filters", "num_box_head_conv_filters",
        "num_box_head_dense_filters")},
    "num_box_head_conv": Flag(limits=COUNT._replace(most=1000)),
    "rpn_min_size": Flag(limits=PIXELS._replace(least=0)),
}

# Numbers of commands; those that a training script has too are left out where limits are equal.
COMMAND_FLAGS = {
    **FLAGS,
    "classes": Flag(limits=CLASSES),
    "images": Flag(limits=FROM_1._replace(most=1_000_000)),
    "val_images": Flag(limits=FROM_1._replace(most=1_000_000)),
    "num_check_images": Flag(limits=FROM_1._replace(most=100_000)),
    "tolerance": Flag(limits=NOT_NEGATIVE),
    "top": Flag(limits=FROM_1._replace(most=100_000)),
    "alpha": Flag(limits=ALPHA),
    "eps": Flag(limits=Limits(above=0, most=0.999)),
    "epochs": Flag(limits=EPOCHS_FROM_1),
    "updates": Flag(limits=COUNT._replace(most=1_000_000)),
    "rounds": Flag(limits=FACTOR),
    "threads": Flag(limits=DEVICES),
    "workers": Flag(limits=PROCESSES),
    "global_batch": Flag(limits=BATCH),
    "servers": Flag(limits=DEVICES),
    "restarts": Flag(limits=COUNT._replace(most=1_000_000)),
    "min_processes": Flag(limits=COUNT._replace(most=1024)),
}

# Facts other than flags in which a resumed run must agree -> the flags that decide them
FACTS = {"data_root_hash": "--data-dir",
         "global_batch_size": "--batch-size, --num-gpus, --num-cpus and number of processes"}


def known_flag(name):
    """The `Flag` of that name in any script; an empty one for unknown names."""
    return FLAGS.get(name) or TRANSFER_FLAGS.get(name) or Flag()


def recipe_defaults(cifar):
    """{name: default} of the flags of the recipe, for train_cifar.py or for the other scripts."""
    return {name: flag.cifar if cifar and flag.cifar is not None else flag.default
            for name, flag in FLAGS.items() if flag.decides == "all" or cifar and flag.decides}


def without_effect(values):
    """Yield (name, Need) of the flags without effect. `values`: {name: value}."""
    for name, flag in FLAGS.items():
        if flag.needs and name in values and not flag.needs.is_on(values):
            yield name, flag.needs


def must_agree():
    """{fact: flags to name}: the facts in which a resumed run must agree with its resume file."""
    flags = {**FLAGS, **TRANSFER_FLAGS}
    return {**{name: flag.resume for name, flag in flags.items() if flag.resume.startswith("--")}, **FACTS}


def per_channel(flag, value, channels=3):
    """The numbers of --rgb-mean or --rgb-std, one per channel: tuple of float. `value` is text or numbers."""
    try:
        values = tuple(float(one) for one in (value.split(",") if isinstance(value, str) else value))
        if len(values) != channels:
            raise ValueError
    except (TypeError, ValueError):
        wanted = "three numbers separated by commas" if channels == 3 else "one number"
        raise UserError(f"{flag} {value}: give {wanted}") from None
    limits = DEVIATION if flag.endswith("std") else MEAN
    for one in values:
        if limits.complaint(one):
            raise UserError(f"{flag} {value}: {one:g} {limits.complaint(one)}")
    return values
