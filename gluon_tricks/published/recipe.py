"""The recipe of a run: the arguments that decide what is computed."""

import re

from gluon_tricks.log_lines.epochs import cifar_is_mixup
from gluon_tricks.recipes.flags import recipe_defaults, without_effect


def recipe(flags, dataset):
    """The flags that decide what is computed, with their defaults filled in; those without effect are left
    out.

    Devices, workers, paths, intervals and seeds are not among them. `global_batch_size` is `batch_size` times
    devices:
    4 x 256 and 8 x 128 are the same recipe.

    Parameters
    ----------
    flags : dict
        As a log's header has them.
    dataset : str
    """
    cifar = dataset.startswith("cifar")
    values = {"model": flags.get("model"), "dataset": dataset, "global_batch_size": logged_batch_size(flags),
              **{name: flags.get(name, default) for name, default in recipe_defaults(cifar).items()}}
    values["mixup"] = cifar_is_mixup(flags) if cifar else bool(flags.get("mixup"))
    values["lr_decay_epoch"] = _decay_epochs(values, cifar)
    if flags.get("emulated_float16"):
        values["dtype"] = "float16 emulated on CPUs"
    # the period is in lr_decay_epoch
    left_out = {"lr_decay_period", *(name for name, _ in without_effect(values))}
    return {name: value for name, value in values.items() if name not in left_out}


def logged_batch_size(flags):
    """Images per update over all devices, real or emulated, of all processes, by a log's header; None if it
    lacks them."""
    def number(name):
        return flags.get(name) or 1

    devices = max(number("num_gpus"), number("num_cpus")) * number("emulate_gpus")
    return flags.get("batch_size") and (
        flags["batch_size"] * devices * number("accumulate") * number("world_size"))


def _decay_epochs(values, cifar):
    """Epochs at which the rate steps. The CIFAR scripts ignore `--lr-decay-period`."""
    period, epochs = values["lr_decay_period"], values["num_epochs"]
    if period and epochs and not cifar:
        return tuple(range(period, epochs, period))
    return tuple(map(int, re.findall(r"(?<![^,\s])[0-9]{1,9}(?![^,\s])", str(values["lr_decay_epoch"]))))


def departures(run_recipe, reference_recipe, origin="published"):
    """What a run does otherwise than its reference, as `lr 0.8 (published 0.1)`; `origin` is that word.

    Fewer epochs alone are no departure where the rate does not depend on their number: the curve is the same
    as far as it goes.
    """
    found = []
    for key, published in reference_recipe.items():
        here = run_recipe.get(key, published)
        if here == published or (key == "num_epochs" and not _depends_on_length(reference_recipe)):
            continue
        found.append(f"{key} {_show(here)} ({origin} {_show(published)})")
    return found


def _depends_on_length(values):
    return values["lr_mode"] != "step" or bool(values["mixup"] and values["mixup_off_epoch"])


def _show(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
