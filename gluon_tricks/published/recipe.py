"""The recipe of a run: the arguments that decide what is computed."""

from gluon_tricks.log_lines.reading import cifar_is_mixup
from gluon_tricks.published.catalogue import TRAIN_IMAGES

# Flags that change what is computed, with the value they have where a header does not name them. Devices, workers,
# paths, intervals and seeds are not among them.
DEFAULTS = {
    "lr": None, "lr_mode": "step", "lr_decay": 0.1, "lr_decay_period": 0, "lr_decay_epoch": "40,60",
    "warmup_epochs": 0, "momentum": 0.9, "wd": 0.0001, "num_epochs": None, "dtype": "float32",
    "label_smoothing": False, "no_wd": False, "last_gamma": False, "use_se": False, "batch_norm": False,
    "use_gn": False, "drop_rate": 0.0, "teacher": None, "temperature": 20.0, "hard_weight": 0.5,
    "mixup": False, "mixup_alpha": 0.2, "mixup_off_epoch": 0, "input_size": 224, "crop_ratio": 0.875,
    "use_pretrained": False, "resume_from": None, "auto_aug": False, "dropblock_prob": 0.0, "use_sk": False,
    "use_avd": False, "fix_last_gamma": False, "label_smoothing_eps": 0.1, "clip_gradient": 0.0,
    "init": "gluoncv", "colors": "gluoncv", "label_smoothing_rule": "gluoncv", "mixup_partners": "reversed",
    "soft_weight": None,
    "num_training_samples": TRAIN_IMAGES["imagenet"],
}
CIFAR_DEFAULTS = {**DEFAULTS, "mixup_alpha": 1.0, "mixup_off_epoch": 20, "input_size": 32,
                  "num_training_samples": TRAIN_IMAGES["cifar10"], "mix": "mixup", "mixup_off_first": 0,
                  "cutmix_label": "area", "optimizer": "nag", "warmup": "linear", "cycle_epochs": 10, "cycle_factor": 1,
                  "accumulate": 1, "model_kwargs": [], "augment": "gluoncv", "random_crop": True, "random_flip": True,
                  "cutout": 0, "dual_cutout": False, "dual_cutout_alpha": 0.1, "random_erasing": None,
                  "lars_coefficient": 1.0, "final_lr": 0.1}


def recipe(args, dataset):
    """The arguments that decide what is computed, defaults filled in; those without effect are left out.

    `global_batch_size` is `batch_size` times devices: 4 x 256 and 8 x 128 are the same recipe.
    """
    cifar = dataset.startswith("cifar")
    values = {key: args.get(key, default) for key, default in (CIFAR_DEFAULTS if cifar else DEFAULTS).items()}
    values = {"model": args.get("model"), "dataset": dataset, "global_batch_size": global_batch_size(args), **values}
    values["mixup"] = cifar_is_mixup(args) if cifar else bool(args.get("mixup"))
    values["lr_decay_epoch"] = _decay_epochs(values, cifar)
    without_effect = {"lr_decay_period"}                                 # it is in lr_decay_epoch now
    if values["lr_mode"] != "step":
        without_effect |= {"lr_decay", "lr_decay_epoch"}
    if not values["mixup"]:
        without_effect |= {"mixup_alpha", "mixup_off_epoch", "mixup_partners", "mix", "mixup_off_first", "cutmix_label"}
    if values.get("mix") != "cutmix":
        without_effect |= {"cutmix_label"}
    if values["lr_mode"] != "sgdr":
        without_effect |= {"cycle_epochs", "cycle_factor"}
    for name, used_by in (("lars_coefficient", "lars"), ("final_lr", "adabound")):
        if values.get("optimizer") != used_by:
            without_effect |= {name}
    if not values.get("dual_cutout"):
        without_effect |= {"dual_cutout_alpha"}
    if not values["label_smoothing"]:
        without_effect |= {"label_smoothing_eps", "label_smoothing_rule"}
    if not values["teacher"]:
        without_effect |= {"temperature", "hard_weight", "soft_weight"}
    return {key: value for key, value in values.items() if key not in without_effect}


def global_batch_size(args):
    """Images per update, over all devices, real or emulated, of all processes; None if the header does not tell."""
    if "batch_size" not in args:
        return None
    devices = max(1, args.get("num_gpus", 1), args.get("num_cpus", 1)) * max(1, args.get("emulate_gpus", 0))
    return args["batch_size"] * devices * args.get("accumulate", 1) * args.get("world_size", 1)


def _decay_epochs(values, cifar):
    """Epochs at which the rate steps. The CIFAR scripts ignore `--lr-decay-period`."""
    period, epochs = values["lr_decay_period"], values["num_epochs"]
    if period and epochs and not cifar:
        return tuple(range(period, epochs, period))
    return tuple(int(epoch) for epoch in str(values["lr_decay_epoch"]).split(",") if epoch.strip().isdigit())


def departures(run_recipe, reference_recipe):
    """What a run does otherwise than its reference, as `lr 0.8 (published 0.1)`.

    Fewer epochs alone are no departure where the rate does not depend on their number: the curve is the same as far
    as it goes.
    """
    found = []
    for key, published in reference_recipe.items():
        here = run_recipe.get(key, published)
        if here == published or (key == "num_epochs" and not _depends_on_length(reference_recipe)):
            continue
        found.append(f"{key} {_show(here)} (published {_show(published)})")
    return found


def _depends_on_length(values):
    return values["lr_mode"] != "step" or bool(values["mixup"] and values["mixup_off_epoch"])


def _show(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
