"""The pictures of the cards in docs/tricks, made by the package's own functions; see cards.py --pictures."""

import csv
import re

import numpy as np
from mxnet import autograd, init, nd

from gluon_tricks import pictures
from gluon_tricks.commands import show_augment
from gluon_tricks.models.registry import get_model
from gluon_tricks.optim.lr_schedule import lr_schedule
from gluon_tricks.published.catalogue import catalogue, published_run
from gluon_tricks.recipes import TABLES
from gluon_tricks.tricks.label_smoothing import smooth_one_hot
from gluon_tricks.tricks.linear_scaling import linear_scaled_lr
from gluon_tricks.tricks.lr_warmup import FORMULAS, warmup_factor

BLUE, RED, GREY = "#4c6a92", "#d1495b", "#777777"
SHEETS = {"mixup": "plain,mixup", "spatial_mixup": "plain,horizontal,vertical,tile", "cutmix": "plain,cutmix",
          "ricap": "plain,ricap", "cutout": "plain,cutout,dual-cutout",
          "random_erasing": "plain,random-erasing,random-erasing-pixels"}
SIZES = "gluon_tricks/models/sizes.csv"


def draw_all(folder):
    """Write every picture into `folder`."""
    for name, draw in {"linear_scaling": linear_scaling, "lr_warmup": lr_warmup, "zero_gamma": zero_gamma,
                       "low_precision": low_precision, "resnet_d": resnet_d, "cosine_decay": cosine_decay,
                       "label_smoothing": label_smoothing, "distillation": distillation}.items():
        figure, [axes] = pictures.panels((6.4, 3.2))
        draw(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=9)
        pictures.save(figure, folder / f"{name}.png", dpi=100)
    for name, rows in SHEETS.items():
        show_augment.main(["--only", rows, "--images", "4", "--seed", "1", "--out",
                           str(folder / f"{name}.png")])


def linear_scaling(axes):
    """The rule as a line, published runs as points."""
    runs = [run for run in catalogue().values() if run.script == "train_imagenet.py"]
    models = {(run.global_batch_size, float(run.args["lr"])): run.model for run in runs}
    batches = np.array([130, 2400])
    axes.plot(batches, [linear_scaled_lr(batch) for batch in batches], color=BLUE, label="0.1 x batch / 256")
    axes.plot(*zip(*models), "o", color=RED, label="published ImageNet logs")
    axes.set(xscale="log", yscale="log", xlabel="global batch size, images", ylabel="peak learning rate")
    axes.set_xticks([256, 512, 1024, 2048], [256, 512, 1024, 2048])
    axes.minorticks_off()
    for (batch, rate), model in models.items():
        if rate != linear_scaled_lr(batch):
            axes.annotate(model, (batch, rate), fontsize=8, textcoords="offset points", xytext=(-7, -3),
                          ha="right")
    ticks = [0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 2.6]
    axes.set_yticks(ticks, ticks)


def lr_warmup(axes):
    """The three formulas of a short warm-up."""
    updates = np.arange(14)
    for formula, color, mark in zip(FORMULAS, (RED, GREY, BLUE), "osv"):
        axes.plot(updates + 1, [warmup_factor(n, 10, formula) for n in updates], marker=mark, color=color,
                  label=f"--lr-formula {formula}")
    axes.set(xlabel="update, from 1", ylabel="share of the peak rate")


def zero_gamma(axes):
    """The deviation of the outputs of the blocks of two untrained nets."""
    image = nd.array(np.random.default_rng(0).standard_normal((4, 3, 96, 96)))
    for last_gamma, color, label in ((False, GREY, "gamma 1"), (True, BLUE, "gamma 0 (--last-gamma)")):
        net = get_model("resnet50_v1b", classes=10, last_gamma=last_gamma)
        np.random.seed(0)
        net.initialize(init.MSRAPrelu())
        x = net.maxpool(net.relu(net.bn1(net.conv1(image))))
        spreads = []
        with autograd.train_mode():
            for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
                for block in stage:
                    x = block(x)
                    spreads.append(float(np.std(x.asnumpy())))
        axes.plot(range(1, len(spreads) + 1), spreads, "o-", color=color, label=label)
    axes.set(xlabel="residual block", ylabel="standard deviation of outputs", ylim=(0, None),
             xticks=(1, 4, 8, 14, 16))


def low_precision(axes):
    """Ranges of normal numbers, as powers of ten."""
    types = {"float16": (2.0**-14, 65504.0, 2.0**-10), "bfloat16": (2.0**-126, 3.39e38, 2.0**-7),
             "float32": (2.0**-126, 3.4e38, 2.0**-23)}
    for place, (least, greatest, step) in enumerate(types.values()):
        low, high = np.log10(least), np.log10(greatest)
        axes.barh(place, high - low, left=low, color=BLUE, height=0.5)
        axes.text(high + 2, place, f"relative step {step:.1g}", va="center", fontsize=9)
    axes.set(yticks=range(3), yticklabels=types, xlabel="power of ten", xlim=(-42, 72))


def resnet_d(axes):
    """Accuracy by multiply-adds: Table 5, and the published logs."""
    with open(SIZES, encoding="utf-8", newline="") as stream:
        operations = {row["model"]: int(row["multiply_adds"]) / 1e9 for row in csv.DictReader(stream)}
    table = {re.sub(r"-([BCD])$", lambda m: f"b{m[1].lower()}", row.name): row for row in TABLES[5].rows}
    names = [f"resnet50_v1{letter}" for letter in ("", "b", "c", "d")]
    for figures, color, mark, label in (
            ([float(row.paper.top1) for row in table.values()], BLUE, "o", "paper, Table 5"),
            ([100 * (1 - published_run(name).final["val_err_top1"]) for name in names], RED, "s",
             "GluonCV's logs")):
        axes.plot([operations[name] for name in names], figures, mark, color=color, label=label)
        for name, figure, letter in zip(names, figures, ("", "B", "C", "D")):
            axes.annotate(f"ResNet-50{letter and '-' + letter}", (operations[name], figure), fontsize=8,
                          textcoords="offset points", xytext=(6, -3) if letter != "C" else (-62, -3))
    axes.set(xlabel="multiply-adds, G", ylabel="top-1 accuracy, %", xlim=(3.8, 4.5))


def cosine_decay(axes):
    """The rates of Table 6's first two rows."""
    for row, color in zip((row for row in TABLES[6].rows if row.column == "ResNet-50-D"), (RED, BLUE)):
        flags, per_epoch = row.flags, 1251
        steps = [int(epoch) for epoch in (flags["lr_decay_epoch"] or "").split(",") if epoch]
        rate = lr_schedule(flags["lr_mode"], flags["lr"], flags["num_epochs"], per_epoch,
                           flags["warmup_epochs"], decay_epochs=steps, formula="paper")
        updates = range(0, flags["num_epochs"] * per_epoch, 25)
        axes.plot([n / per_epoch for n in updates], [rate(n) for n in updates], color=color,
                  label=f"--lr-mode {flags['lr_mode']}")
    axes.set(xlabel="epoch", ylabel="learning rate")


def label_smoothing(axes):
    """Targets of one image of class 3, on a scale that shows the small ones."""
    for rule, color, shift in (("gluoncv", RED, -0.2), ("paper", BLUE, 0.2)):
        targets = smooth_one_hot(nd.array([3]), 10, 0.1, rule).asnumpy()[0]
        axes.bar(np.arange(10) + shift, targets, 0.4, color=color,
                 label=f"{rule}: {targets[3]:.3f} and {targets[0]:.4f}")
    axes.set(xlabel="class", ylabel="target", xticks=range(10), yscale="log", ylim=(0.005, 2))


def distillation(axes):
    """Softened probabilities of four example outputs."""
    outputs, names = nd.array([12.0, 8.0, 3.0, -2.0]), ("12", "8", "3", "−2")
    for temperature, color, shift in ((1, RED, -0.27), (5, GREY, 0), (20, BLUE, 0.27)):
        axes.bar(np.arange(4) + shift, (outputs / temperature).softmax().asnumpy(), 0.27, color=color,
                 label=f"T = {temperature}")
    axes.set(xlabel="the teacher's output for a class", ylabel="probability", xticks=range(4),
             xticklabels=names)
