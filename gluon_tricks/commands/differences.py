"""Where the paper and GluonCV's script differ, the flag that chooses, and the effect of the choice on the
first update.

    python -m gluon_tricks differences                   every difference, measured; about a minute
    python -m gluon_tricks differences --no-measure      the table without measurements
    python -m gluon_tricks differences --markdown

Measured: the first update of resnet18_v1b on 16 images of the embedded CIFAR-10 excerpt, scaled to 64 px, by
train_imagenet.py's own builders, once with GluonCV's setting and once with the paper's: the loss, the
learning rate, and the difference between the two changes of the weights, relative to their size. `--as paper`
chooses the paper's setting of those marked *; a flag given with it wins. Under both presets this kit's loader
reads the images; `--data-backend mxnet` is MXNet's iterator, which made the published logs.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gluon_tricks.errors import run_main
from gluon_tricks.recipes.presets import PRESETS
from gluon_tricks.studies.text import markdown_table
from gluon_tricks.training.status import Cases

COLUMNS = ("point", "paper", "GluonCV", "flag", "first update")


@dataclass(frozen=True)
class Difference:
    """One difference between paper and GluonCV that a run must decide.

    Attributes
    ----------
    point, paper, gluoncv : str
    flag : str
        Name of the flag, as an attribute of the script's arguments.
    settings : (value, value)
        GluonCV's and the paper's.
    base : tuple of str
        Further flags of a run in which the choice matters.
    why_not : str
        Why the first update cannot show the effect; "" where it can.
    """
    point: str
    paper: str
    gluoncv: str
    flag: str
    settings: tuple
    base: tuple = ()
    why_not: str = ""

    @property
    def in_preset(self):
        return self.flag in PRESETS["paper"]


WARM, MIXED = ("--warmup-epochs", "5"), ("--mixup",)
DIFFERENCES = (
    Difference("colour jitter (§2.1)", "hue, saturation, brightness", "brightness, contrast, saturation",
               "colors", ("gluoncv", "paper")),
    Difference("aspect ratio of a crop (§2.1)", "uniform in [3/4, 4/3]",
               "the same, then sides swapped at random; folders: "
               "log-uniform", "crop_law", ("rec", "paper")),
    Difference("means and deviations (§2.1)", "123.68, 116.779, 103.939; 58.393, 57.12, 57.375",
               "the same with record files; with folders 123.675, 116.28, 103.53; 58.395, 57.12, 57.375",
               "rgb_mean", ("123.675,116.28,103.53", "123.68,116.779,103.939")),
    Difference("validation resize, Inception-V3 (§2.1)", "256, then a crop of 299 (scaled up)",
               "ceil(299 / 0.875) = 342", "crop_ratio", ("0.875", "1.168"), why_not="validation only"),
    Difference("images of a validation", "50,000",
               "a sliding window of 50,176 or 49,152 at batch 1024 (here with --data-backend mxnet)",
               "val_protocol", ("gluoncv", "exact"), why_not="validation only"),
    Difference("images of an epoch (§2.1)", "each once",
               "MXNet's iterator wraps round; folders drop the rest (here each once, unless --data-backend "
               "mxnet)", "data_backend",
               ("mxnet", "ours"), why_not="MXNet's iterator draws its own random numbers"),
    Difference("initial weights (§2.1)", "uniform, sqrt(6 / (d_in + d_out)), channels only",
               "normal, variance 1.882 / mean fan, "
               "with kernel area", "init", ("gluoncv", "paper")),
    Difference("warm-up (§3.1)", "update i of m at i / m",
               "today i / (m - 1); until 2019-03 (i - 1) / m (--lr-formula logs)",
               "lr_formula", ("head", "paper"), WARM),
    Difference("zero gamma (§3.1)", "in every residual block",
               "not in basic blocks of v1b; inverted in ResNeXt", "fix_last_gamma",
               (False, True), ("--last-gamma",)),
    Difference("weight decay (§3.1)", "weights only, as a trick", "everything, unless --no-wd", "no_wd",
               (False, True)),
    Difference("loss scaling (§3.2)", "named as practical with float16", "none", "loss_scale",
               ("none", "dynamic")),
    Difference("label smoothing (§5.2)", "eps / (K - 1) for the others", "eta / K for all",
               "label_smoothing_rule", ("gluoncv", "paper"), ("--label-smoothing",)),
    Difference("weight of the teacher (§5.3)", "1, with labels of weight 1", "1 - h with h = 0.5",
               "soft_weight", ((0.5, 0.5), (1.0, 1.0)), ("--teacher", "resnet18_v1b:TEACHER")),
    Difference("mixup partners (§5.4)", "two random examples", "the same part of the batch in reversed order",
               "mixup_partners", ("reversed", "random"), MIXED),
)


def main(argv=None):
    args = parse_args(argv)
    measured = ["not measured"] * len(DIFFERENCES)
    if not args.no_measure:
        with tempfile.TemporaryDirectory() as folder, Cases([1] * len(DIFFERENCES), "difference") as cases:
            for number, each in enumerate(DIFFERENCES):
                cases.begin(each.point)
                measured[number] = effect(each, Path(folder))
                cases.end()
    print("\n".join((markdown if args.markdown else text)(measured)))
    return 0


# --- Printing -----------------------------------------------------------------------------------------------

def cells(one, measured):
    """The cells of `COLUMNS` for one difference."""
    flag = "--hard-weight, --soft-weight" if one.flag == "soft_weight" else f"--{one.flag.replace('_', '-')}"
    values = " | ".join(str(value).strip("()") for value in one.settings)
    return one.point, one.paper, one.gluoncv, f"{flag} {values}{' *' if one.in_preset else ''}", measured


def text(measured):
    """A paragraph per difference."""
    for one, effect_text in zip(DIFFERENCES, measured):
        point, *rest = cells(one, effect_text)
        yield point
        yield from (f"    {name:<13} {cell}" for name, cell in zip(COLUMNS[1:], rest))


def markdown(measured):
    """A Markdown table."""
    return markdown_table(COLUMNS, map(cells, DIFFERENCES, measured))


# --- Measurement --------------------------------------------------------------------------------------------

def effect(one, folder):
    """The effect of the choice on the first update, in words."""
    # imports MXNet, which the table alone does not need
    from gluon_tricks.studies.first_update import first_update

    if one.why_not:
        return f"none: {one.why_not}"
    (loss, rate, update), (paper_loss, paper_rate, paper_update) = (
        first_update(one.base + setting(one, value), folder) for value in one.settings)
    apart = np.linalg.norm(paper_update - update) / np.linalg.norm(update)
    return (f"loss {change(loss, paper_loss)}; rate {change(rate, paper_rate)}; change of the weights "
            + (f"{100 * apart:.3g} % apart" if apart else "the same"))


def change(gluoncv, paper):
    """`a -> b`, or `a` where both are the same."""
    return f"{gluoncv:.6g}" if gluoncv == paper else f"{gluoncv:.6g} -> {paper:.6g}"


def setting(one, value):
    """The words of a command line for one side of a one."""
    flag = f"--{one.flag.replace('_', '-')}"
    if one.flag == "soft_weight":
        return "--hard-weight", str(value[0]), "--soft-weight", str(value[1])
    if isinstance(value, bool):
        return (flag,) if value else ()
    return f"{flag}={value}",


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-measure", action="store_true", help="print the table without measurements")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main, prog="differences")
