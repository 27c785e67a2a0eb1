"""The studies of the CIFAR-10 experiment collection (hysts/pytorch_image_classification, README at 993089a3).

`collection.csv` has their rows: errors in percent at the last epoch as printed, the number of runs, and the
flags of train_cifar.py. Optimizer, decay and crop are the collection's defaults (NAG 0.9, 1e-4, pad 4) unless
a table names others.
"""

import csv
from pathlib import Path

from gluon_tricks.recipes.rows import Figures, Row, Table

SCRIPT = "train_cifar.py"
COMMON = {"mode": "hybrid", "num_gpus": 1}
OURS = ("Initialisation (Xavier), deviations (GluonCV's) and the end of the cosine (0, not 0.001 of the "
        "rate) are this kit's.")
TITLES = {
    "residual-units": ("three switches of the pre-activated unit",
                       "ResNet-preact-56; the rate steps at epochs 80 and 120 "
                       "of 160, the collection's default (150 and 225 of 300)."),
    "smoothing-mixup-ricap": ("label smoothing, mixup, RICAP and Dual-Cutout",
                              "RICAP crops by itself, so the random crop "
                              "is off unless the row names it."),
    "linear-scaling": ("batch size and rate by the linear rule",
                       "Batch 8 was run with 0.006125, a slip for 0.00625. Where "
                       "the multistep rate steps is not printed: here at half and three quarters."),
    "longer-training": ("the linear rule with more epochs", ""),
    "initial-lr": ("the first rate at each batch size", ""),
    "good-lr": ("good rates and longer training", ""),
    "lars": ("LARS compared with SGD", "Without the trust coefficient, hence rates a thousandth as high."),
    "ghost-bn": ("ghost BatchNorm", "A ghost batch is one pass of --accumulate. Two cells are empty in the "
                 "original."),
    "no-bn-decay": ("no weight decay on BatchNorm",
                    "The collection's switch takes the decay from nearly all arrays: it "
                    "looks for the name conv.weight and its convolutions are called conv1.weight. Here "
                    "--no-wd exempts BatchNorm and biases only, so these rows measure something else."),
    "precision": ("float32, float16 and mixed precision",
                  "Mixed is float16 with float32 masters, on a GPU. Pure float16 "
                  "has no command: this kit always keeps masters."),
    "cifar10-mixing": ("cutout, mixup, RICAP and Dual-Cutout on large nets",
                       "WRN-28-10 was trained with batch 64 where the "
                       "paper has 128; the other settings of these rows are not printed."),
    "fashion-mnist": ("Fashion-MNIST", ""),
    "mnist": ("MNIST", ""),
    "kmnist": ("KMNIST", ""),
}


def _value(name, text):
    if name == "model_kwargs":
        return text.split(";")
    return {"True": True, "False": False}.get(text, text)


def _flags(text):
    flags = {name: _value(name, value) for name, _, value in (word.partition("=") for word in text.split())}
    for name, kind in (("batch_size", int), ("num_epochs", int), ("accumulate", int), ("cutout", int),
                       ("lr", float),
                       ("wd", float), ("mixup_alpha", float), ("label_smoothing_eps", float),
                       ("num_gpus", int)):
        if name in flags:
            flags[name] = kind(flags[name])
    return {**COMMON, **flags} if flags else None


def _tables():
    rows = {name: [] for name in TITLES}
    with open(Path(__file__).with_name("collection.csv"), encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            own, error = rows[line["study"]], line["error_pct"]
            own.append(Row(len(own) + 1, line["row"], "", _flags(line["flags"]), Figures(),
                           f"error {error} % ({line['note']})" if error else line["note"], SCRIPT))
    return {name: Table(name, title, "CIFAR-10 collection", tuple(rows[name]),
                        tuple(filter(None, (note, OURS))))
            for name, (title, note) in TITLES.items()}


TABLES = _tables()
