"""Where the paper and GluonCV's script differ, the flag that chooses, and what the choice does to the first update.

    python -m gluon_tricks differences                   every row, measured; about a minute
    python -m gluon_tricks differences --no-measure      the table alone, at once
    python -m gluon_tricks differences --markdown

Measured: the first update of resnet18_v1b on 16 images of the embedded CIFAR-10 excerpt, scaled to 64 px, by
train_imagenet.py's own pieces, once with GluonCV's setting and once with the paper's: the loss, the learning rate, and
by how much the change of the weights differs, relative to its size. `--as paper` chooses the paper's side of the rows
marked *, and any of them may be given beside it.
"""

import argparse
import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gluon_tricks.data.paths import EXCERPT_DIR
from gluon_tricks.errors import run_main
from gluon_tricks.recipes.presets import PRESETS
from gluon_tricks.script.load import load_script

COLUMNS = ("point", "paper", "GluonCV", "flag", "first update")


@dataclass(frozen=True)
class Row:
    """One disagreement that a run must decide.

    Attributes
    ----------
    point, paper, gluoncv : str
    flag : str
        Name of the flag, as an attribute of the script's arguments.
    settings : (value, value)
        GluonCV's and the paper's.
    base : tuple of str
        Flags of the run in which the choice matters.
    why_not : str
        Why the first update cannot show it; "" where it does.
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
ROWS = (
    Row("colour jitter (§2.1)", "hue, saturation, brightness", "brightness, contrast, saturation", "colors",
        ("gluoncv", "paper")),
    Row("aspect ratio of a crop (§2.1)", "uniform in [3/4, 4/3]", "the same, then sides swapped at random; folders: "
        "log-uniform", "crop_law", ("rec", "paper")),
    Row("means and deviations (§2.1)", "123.68, 116.779, 103.939; 58.393, 57.12, 57.375",
        "the same with record files; with folders 123.675, 116.28, 103.53; 58.395, 57.12, 57.375", "rgb_mean",
        ("123.675,116.28,103.53", "123.68,116.779,103.939")),
    Row("validation resize, Inception-V3 (§2.1)", "256, then a crop of 299 (scaled up)", "ceil(299 / 0.875) = 342",
        "crop_ratio", ("0.875", "1.168"), why_not="validation only"),
    Row("images of a validation", "50,000", "a sliding window of 50,176 or 49,152 at batch 1024", "val_protocol",
        ("gluoncv", "exact"), why_not="validation only"),
    Row("images of an epoch (§2.1)", "each once", "MXNet's iterator wraps round; folders drop the rest", "data_backend",
        ("mxnet", "ours"), why_not="MXNet's iterator draws its own random numbers"),
    Row("initial weights (§2.1)", "uniform, sqrt(6 / (d_in + d_out)), channels only", "normal, variance 1.882 / mean fan, "
        "with kernel area", "init", ("gluoncv", "paper")),
    Row("warm-up (§3.1)", "update i of m at i / m", "today i / (m - 1); until 2019-03 (i - 1) / m (--lr-formula logs)",
        "lr_formula", ("head", "paper"), WARM),
    Row("zero gamma (§3.1)", "in every residual block", "not in basic blocks of v1b; inverted in ResNeXt", "fix_last_gamma",
        (False, True), ("--last-gamma",)),
    Row("weight decay (§3.1)", "weights only, as a trick", "everything, unless --no-wd", "no_wd", (False, True)),
    Row("loss scaling (§3.2)", "named as practical with float16", "none", "loss_scale", ("none", "dynamic")),
    Row("label smoothing (§5.2)", "eps / (K - 1) for the others", "eta / K for all", "label_smoothing_rule",
        ("gluoncv", "paper"), ("--label-smoothing",)),
    Row("weight of the teacher (§5.3)", "1, beside labels of weight 1", "1 - h beside h = 0.5", "soft_weight",
        ((0.5, 0.5), (1.0, 1.0)), ("--teacher", "resnet18_v1b:TEACHER")),
    Row("mixup partners (§5.4)", "two random examples", "the same part of the batch in reversed order", "mixup_partners",
        ("reversed", "random"), MIXED),
)


def main(argv=None):
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        measured = ["not measured" if args.no_measure else effect(row, Path(folder))
                    for row in tqdm(ROWS, unit="row", disable=None if not args.no_measure else True)]
    print("\n".join((markdown if args.markdown else text)(measured)))
    return 0


# --- Words ----------------------------------------------------------------------------------------------------------

def cells(row, measured):
    """The cells of `COLUMNS`."""
    flag = "--hard-weight, --soft-weight" if row.flag == "soft_weight" else f"--{row.flag.replace('_', '-')}"
    values = " | ".join(str(value).strip("()") for value in row.settings)
    return row.point, row.paper, row.gluoncv, f"{flag} {values}{' *' if row.in_preset else ''}", measured


def text(measured):
    """A paragraph per row."""
    for row, what in zip(ROWS, measured):
        point, *rest = cells(row, what)
        yield point
        yield from (f"    {name:<13} {cell}" for name, cell in zip(COLUMNS[1:], rest))


def markdown(measured):
    """A Markdown table."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "| --- " * len(COLUMNS) + "|"
    for row, what in zip(ROWS, measured):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells(row, what)) + " |"


# --- Measurement ----------------------------------------------------------------------------------------------------

def effect(row, folder):
    """What the row's choice does to the first update, in words."""
    if row.why_not:
        return f"none: {row.why_not}"
    (loss, rate, update), (paper_loss, paper_rate, paper_update) = (
        first_update(row.base + setting(row, value), folder) for value in row.settings)
    apart = np.linalg.norm(paper_update - update) / np.linalg.norm(update)
    return (f"loss {change(loss, paper_loss)}; rate {change(rate, paper_rate)}; change of the weights "
            + (f"{100 * apart:.3g} % apart" if apart else "the same"))


def change(gluoncv, paper):
    """`a -> b`, or `a` where both are the same."""
    return f"{gluoncv:.6g}" if gluoncv == paper else f"{gluoncv:.6g} -> {paper:.6g}"


def setting(row, value):
    """The words of a command line for one side of a row."""
    flag = f"--{row.flag.replace('_', '-')}"
    if row.flag == "soft_weight":
        return "--hard-weight", str(value[0]), "--soft-weight", str(value[1])
    if isinstance(value, bool):
        return (flag,) if value else ()
    return f"{flag}={value}",


@functools.cache
def first_update(words, folder):
    """`(loss, rate, change of the weights)` of a run's first update, by the script's own pieces."""
    from gluon_tricks.engines.create import create_engine
    from gluon_tricks.script import imagenet
    from gluon_tricks.script.auto_dtype import as_asked
    from gluon_tricks.script.targets import training_targets
    from gluon_tricks.training.loop import train_epoch
    from gluon_tricks.training.progress import Progress
    from gluon_tricks.tricks.low_precision import create_loss_scale

    script = load_script("train_imagenet.py")
    teacher = f"{folder / 'teacher.params'}"
    words = [word.replace("TEACHER", teacher) for word in words]
    paths = [word for part, name in (("train", "train"), ("val", "test"))
             for word in (f"--rec-{part}", str(EXCERPT_DIR / f"{name}.rec"), f"--rec-{part}-idx", str(EXCERPT_DIR / f"{name}.idx"))]
    args = script.parse_args(["--model", "resnet18_v1b", "--mode", "hybrid", "--use-rec", *paths, "--data-backend", "ours",
                              "--input-size", "64", "--batch-size", "16", "--num-training-samples", "2000", "--auto-lr",
                              "--num-epochs", "120", *words])
    engine = create_engine(0)
    data = imagenet.open_data(args, engine)
    if args.teacher and not Path(teacher).exists():
        other = script.parse_args(["--model", "resnet18_v1b", "--classes", "10", "--seed", "1"])
        other = imagenet.build_net(other, 10, as_asked(other), engine)
        other.save_parameters(teacher)
    precision = as_asked(args)
    net = imagenet.build_net(args, data.classes, precision, engine)
    trainer = engine.trainer(net, imagenet.nag(args, args.dtype))
    make_teacher = functools.partial(imagenet.build_teacher, args, data.classes, precision, engine)
    targets, loss, metric = training_targets(args, data.classes, args.dtype, make_teacher)
    before, progress = weights(net), Progress()
    train_epoch(net, FirstBatch(data.train), targets, loss, metric, trainer, imagenet.learning_rate(args), engine, progress,
                lambda meter: None, args.seed, create_loss_scale(args.loss_scale))
    return progress.loss_sum / 16, trainer.learning_rate, weights(net) - before


class FirstBatch:
    """A loader's first batch as an epoch."""

    def __init__(self, loader):
        self.loader, self.batch_size = loader, loader.batch_size

    def epoch(self, epoch, start):
        batches = self.loader.epoch(epoch, start)
        yield next(batches)
        batches.close()


def weights(net):
    """All trained parameters as one vector."""
    params = net._collect_params_with_prefix()
    return np.concatenate([params[name].data().asnumpy().ravel() for name in sorted(params)
                           if params[name].grad_req != "null"]).astype(np.float64)


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m gluon_tricks differences", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-measure", action="store_true", help="only the words")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main, prog="differences")
