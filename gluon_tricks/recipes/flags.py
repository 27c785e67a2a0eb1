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
    """The permitted values of a number: at least `least`, above `above`, below `below`, never nan."""
    least: float = None
    above: float = None
    below: float = None

    def allow(self, value):
        """Whether a number is within the limits; False for nan."""
        lowest = value >= self.least if self.least is not None else value > self.above
        return lowest and value < (float("inf") if self.below is None else self.below)

    def __str__(self):
        if self.below is not None:
            return f"must be in [{self.least:g}, {self.below:g})"
        return f"must be at least {self.least:g}" if self.least is not None else "must be positive"


NOT_NEGATIVE, FROM_1, POSITIVE = Limits(least=0), Limits(least=1), Limits(above=0)
SHARE = Limits(least=0, below=1)


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
    "input_size": Flag(224, "all", 32, limits=FROM_1),
    "lr": Flag(None, "all", limits=POSITIVE),
    "lr_mode": Flag("step", "all"),
    "lr_decay": Flag(0.1, "all", needs=_quiet(STEPS)),
    "lr_decay_period": Flag(0, "all", limits=NOT_NEGATIVE),
    "lr_decay_epoch": Flag("40,60", "all", needs=_quiet(STEPS)),
    "num_epochs": Flag(None, "all", limits=FROM_1),
    # of this and the next two only the product counts
    "batch_size": Flag(limits=FROM_1, resume="free"),
    "num_gpus": Flag(limits=NOT_NEGATIVE, resume="free"),
    "num_cpus": Flag(limits=FROM_1, resume="free"),
    "num_workers": Flag(limits=NOT_NEGATIVE, resume="free", word="-j"),
    "use_rec": Flag(),
    "rec_train": Flag(),
    "rec_train_idx": Flag(),
    "rec_val": Flag(),
    "rec_val_idx": Flag(),
    "data_backend": Flag(),
    "classes": Flag(limits=Limits(least=2), resume="--dataset"),
    "num_training_samples": Flag(1_281_167, "all", 50_000, limits=FROM_1),
    "dtype": Flag("float32", "all", resume="--dtype"),
    "warmup_epochs": Flag(0, "all", limits=NOT_NEGATIVE),
    "warmup_lr": Flag(),
    "momentum": Flag(0.9, "all"),
    "last_gamma": Flag(False, "all"),
    "no_wd": Flag(False, "all"),
    "use_se": Flag(False, "all"),
    "batch_norm": Flag(False, "all"),
    "use_gn": Flag(False, "all"),
    "drop_rate": Flag(0.0, "all", limits=SHARE, needs=DROPOUT),
    "label_smoothing": Flag(False, "all"),
    "mixup": Flag(False, "all", resume="--mixup"),
    "teacher": Flag(None, "all"),
    "crop_ratio": Flag(0.875, "all"),
    "rgb_mean": Flag(),
    "rgb_std": Flag(),
    "use_pretrained": Flag(False, "all"),
    "resume_from": Flag(None, "all"),
    "resume_epoch": Flag(limits=NOT_NEGATIVE),
    "resume_params": Flag(),
    "resume_states": Flag(),
    "auto_aug": Flag(False, "all"),
    "dropblock_prob": Flag(0.0, "all"),                      # this and the next two: of train_horovod.py
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
    "cutout": Flag(0, "cifar", limits=NOT_NEGATIVE),
    "dual_cutout": Flag(False, "cifar"),
    "dual_cutout_alpha": Flag(0.1, "cifar", limits=NOT_NEGATIVE, needs=DUAL),
    "random_erasing": Flag(None, "cifar"),
    # targets
    "label_smoothing_eps": Flag(0.1, "all", limits=SHARE, needs=SMOOTHING),
    "label_smoothing_rule": Flag("gluoncv", "all", needs=_quiet(SMOOTHING)),
    "mix": Flag("mixup", "cifar", needs=_quiet(MIXING), resume="--mix"),
    "mixup_alpha": Flag(0.2, "all", 1.0, limits=POSITIVE, needs=MIXING),
    "mixup_off_epoch": Flag(0, "all", 20, limits=NOT_NEGATIVE, needs=_quiet(MIXING)),
    "mixup_off_first": Flag(0, "cifar", limits=NOT_NEGATIVE, needs=_quiet(MIXING)),
    "mixup_partners": Flag("reversed", "all", needs=_quiet(MIXING)),
    "cutmix_label": Flag("area", "cifar", needs=CUTMIX),
    "temperature": Flag(20.0, "all", limits=POSITIVE, needs=TEACHER),
    "hard_weight": Flag(0.5, "all", limits=NOT_NEGATIVE, needs=TEACHER),
    "soft_weight": Flag(None, "all", limits=NOT_NEGATIVE, needs=_quiet(TEACHER)),
    # optimizer and schedule
    "optimizer": Flag("nag", "cifar", resume="--optimizer"),
    "wd": Flag(0.0001, "all"),
    "clip_gradient": Flag(0.0, "all", limits=NOT_NEGATIVE),
    "lars_coefficient": Flag(1.0, "cifar", limits=NOT_NEGATIVE, needs=LARS),
    "final_lr": Flag(0.1, "cifar", limits=NOT_NEGATIVE, needs=ADABOUND),
    "accumulate": Flag(1, "cifar", limits=FROM_1),
    "warmup": Flag("linear", "cifar"),
    "cycle_epochs": Flag(10, "cifar", limits=FROM_1, needs=SGDR),
    "cycle_factor": Flag(1, "cifar", limits=FROM_1, needs=SGDR),
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
    "seed": Flag(limits=NOT_NEGATIVE, resume="--seed"),
    "save_period": Flag(limits=NOT_NEGATIVE, resume="free"),
    "save_frequency": Flag(limits=NOT_NEGATIVE),
    "save_dir": Flag(resume="free"),
    "save_plot_dir": Flag(resume="free"),
    "logging_dir": Flag(resume="free"),
    "logging_file": Flag(),
    "json_log": Flag(resume="free"),
    "tensorboard": Flag(resume="free"),
    "log_interval": Flag(limits=NOT_NEGATIVE, resume="free"),
    "eval_frequency": Flag(),
    "resume": Flag(resume="free"),
    "overwrite": Flag(resume="free"),
    "checkpoint_period": Flag(limits=NOT_NEGATIVE, resume="free"),
    "max_updates": Flag(limits=NOT_NEGATIVE, resume="free"),
    "dry_run": Flag(),
    "synthetic": Flag(),
    "emulate_gpus": Flag(limits=NOT_NEGATIVE),
    "on_bad_record": Flag(),
    "kvstore": Flag(),
    "check_sync": Flag(limits=NOT_NEGATIVE, resume="free"),
    "deterministic": Flag(),
    "timeout": Flag(limits=POSITIVE, resume="free"),
    "dali_threads": Flag(),
    "dali_validation_threads": Flag(),
    "dali_prefetch_queue": Flag(),
    "dali_nvjpeg_memory_padding": Flag(),
    "dali_fuse_decoder": Flag(),
}

# Flags of train_faster_rcnn.py and train_fcn.py that FLAGS lacks, or that have another meaning there.
TRANSFER_FLAGS = {
    "network": Flag(resume="--network or --backbone"),
    "epochs": Flag(limits=FROM_1),
    "start_epoch": Flag(limits=NOT_NEGATIVE),
    "workers": Flag(limits=NOT_NEGATIVE, resume="free"),
    "val_interval": Flag(limits=FROM_1),
    "save_interval": Flag(limits=NOT_NEGATIVE, resume="free"),
    "save_prefix": Flag(resume="free"),
    "gpus": Flag(resume="free"),
    "executor_threads": Flag(resume="free"),
    "verbose": Flag(resume="free"),
    "momentum": Flag(limits=NOT_NEGATIVE),
    "wd": Flag(limits=NOT_NEGATIVE),
    "weight_decay": Flag(limits=NOT_NEGATIVE),
    "lr_decay": Flag(limits=NOT_NEGATIVE),
    "lr_warmup": Flag(),
    "lr_warmup_factor": Flag(limits=NOT_NEGATIVE),
    "no_mixup_epochs": Flag(limits=NOT_NEGATIVE),
    "rpn_smoothl1_rho": Flag(limits=POSITIVE),
    "rcnn_smoothl1_rho": Flag(limits=POSITIVE),
    "iou_thresh": Flag(limits=POSITIVE),
    "base_size": Flag(limits=Limits(least=2)),
    "crop_size": Flag(limits=Limits(least=8)),
    "aux_weight": Flag(limits=NOT_NEGATIVE),
    **{name: Flag() for name in (
        "command", "use_fpn", "norm_layer", "disable_hybridization", "static_alloc", "amp", "horovod",
        "kv_store", "pretrained_base", "backbone", "backbone_params", "train_splits", "val_splits",
        "zero_based", "train_split", "aux", "test_batch_size", "no_cuda", "ngpus", "syncbn", "checkname",
        "eval", "no_val", "model_zoo", "pretrained")},
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
        if len(values) != channels or not all(map(math.isfinite, values)):
            raise ValueError
    except ValueError:
        wanted = "three numbers separated by commas" if channels == 3 else "one number"
        raise UserError(f"{flag} {value}: give {wanted}") from None
    if flag == "--rgb-std" and min(values) <= 0:
        raise UserError(f"{flag} {value}: must be positive")
    return values
