"""Tables I to V of the CIFAR-100 follow-up, "An Improvement on the Bag of Tricks" (ResNet-56). Top-1 and
top-5 in percent.

Its settings (II): batch 256, NAG, rate 0.1 divided by 10 at epochs 30, 60 and 90 of 120, 200 epochs with
mixup (alpha 0.2), 5 epochs of warm-up with cosine decay, temperature 20; crop, flip, colours and lighting.
"""

from gluon_tricks.recipes.rows import listed, stack

SCRIPT = "train_cifar.py"
BASE = dict(dataset="cifar100", model="cifar_resnet56_v1", mode="hybrid", num_gpus=1, batch_size=256, lr=0.1,
            lr_mode="step", lr_decay_epoch="30,60,90", num_epochs=120, augment="follow-up")
COSINE = dict(BASE, lr_mode="cosine", lr_decay_epoch=None, warmup_epochs=5)
SMOOTHED = dict(COSINE, label_smoothing=True)
MIXED = dict(SMOOTHED, num_epochs=200, mix="mixup", mixup_alpha=0.2)
TEACHER = "cifar_resnext29_16x64d"
DISTILLED = dict(teacher=f"{TEACHER}:{TEACHER}.params", temperature=20)

TEACHER_NOTE = ("The teacher's parameters are those of the first row of follow-up-teachers; copy or link its "
                "file.")

TABLE_I = listed("follow-up-I", "baseline models", "Table I", [
    ("ResNet50 [1]", "", None, "75.87 92.70"),
    ("ResNet56", "", BASE, "74.92 95.66"),
], notes=["The first is ImageNet's, quoted from the Bag of Tricks paper."], script=SCRIPT)

TABLE_II = listed("follow-up-II", "optimizers", "Table II", [
    ("NAG (Baseline)", "", BASE, "75.87 92.70", "31.639 s per epoch"),
    ("Adam", "", dict(BASE, optimizer="adam", lr=0.001), "72.74 94.44", "29.902 s per epoch"),
    ("Nadam", "", dict(BASE, optimizer="nadam", lr=0.001), "73.55", "150.799 s per epoch"),
    ("Adadelta", "", dict(BASE, optimizer="adadelta"), "71.54 94.44", "71.323 s per epoch"),
    ("RMSProp", "", dict(BASE, optimizer="rmsprop", lr=0.001), "71.49 94.07", "31.308 s per epoch"),
], notes=[
    "The figures printed in the first row are ResNet50's on ImageNet (Table I); the baseline of Tables I and "
    "III is 74.92 / 95.66.",
    "The rates of the other optimizers are not printed; 0.001 is MXNet's default. Its Adadelta has no rate.",
], script=SCRIPT)

TABLE_III = stack("follow-up-III", "training refinements, one by one", "Table III", columns={"": BASE},
                  steps=[
    ("Baseline", {}, "74.92 95.66"),
    ("+ cosine decay", dict(lr_mode="cosine", lr_decay_epoch=None, warmup_epochs=5), "75.99 95.55"),
    ("+ label smoothing", dict(label_smoothing=True), "78.38 94.70"),
    ("+ mixup", dict(num_epochs=200, mix="mixup", mixup_alpha=0.2), "79.10 95.18"),
    ("+ distillation", DISTILLED, "80.34 95.75"),
], notes=[
    "The abstract's 7.73 % and the text's 7.234 % are relative gains, of 80.71 (Table V) and 80.34 over "
    "74.92: 5.79 and 5.42 points.", TEACHER_NOTE], script=SCRIPT)

STEP_20, POLY_5, COSINE_5 = (dict(BASE, lr_mode=mode, warmup_epochs=epochs)
                             for mode, epochs in (("step", 20), ("poly", 5), ("cosine", 5)))
TABLE_IV = listed("follow-up-IV", "learning rate schedules", "Table IV", [
    ("step decay", "[30, 60, 90], 20-epoch warm-up", STEP_20, "76.00"),
    ("step decay", "[40, 80], 5-epoch warm-up", dict(BASE, lr_decay_epoch="40,80", warmup_epochs=5), "76.18"),
    ("step decay", "[40, 80], 20-epoch warm-up", dict(STEP_20, lr_decay_epoch="40,80"), "76.77"),
    ("poly decay", "[30, 60, 90], 5-epoch warm-up", dict(POLY_5, lr_decay_epoch=None), "76.15"),
    ("poly decay", "[30, 60, 90], 20-epoch warm-up", dict(POLY_5, lr_decay_epoch=None, warmup_epochs=20),
     "75.88"),
    ("poly decay", "[40, 80], 5-epoch warm-up", dict(POLY_5, lr_decay_epoch="40,80"), "75.46"),
    ("cosine decay", "[30, 60, 90], 5-epoch warm-up", COSINE, "75.99"),
    ("cosine decay", "[30, 60, 90], 20-epoch warm-up", dict(COSINE, warmup_epochs=20), "76.99"),
    ("cosine decay", "[40, 80], 20-epoch warm-up", dict(COSINE_5, lr_decay_epoch="40,80", warmup_epochs=20),
     "76.54"),
], notes=["The effect of the period [40, 80] on a poly or cosine decay is not described; GluonCV's schedules "
          "ignore it there, so these commands do the same as those without it.",
          "Three cells were not collected."], script=SCRIPT)

TABLE_V = listed("follow-up-V", "interpolation and spatial mixup", "Table V", [
    (f"{name}{' w/ Distill.' if teacher else ''}", "", dict(MIXED, mix=kind, **teacher), figures)
    for teacher, rows in (({}, ("79.10 95.18", "79.50 95.50", "79.50 95.64")),
                          (DISTILLED, ("80.34 95.75", "80.71 96.03", "81.42 95.96")))
    for (name, kind), figures in zip((("Interp. Mixup", "mixup"), ("Horiz. Spatial Mixup", "horizontal"),
                                      ("Vert. Spatial Mixup", "vertical")), rows)
], notes=[TEACHER_NOTE], script=SCRIPT)

TEACHERS = listed("follow-up-teachers", "teachers", "II.B", [
    ("ResNeXt29 16x64d", "", dict(SMOOTHED, model=TEACHER), "87.17 97.53"),
    ("ResNet110 V1", "", dict(SMOOTHED, model="cifar_resnet110_v1"), "79.36 95.02"),
], notes=["Both with cosine decay and label smoothing; the second was not used."], script=SCRIPT)

TEXT = listed("follow-up-text", "figures of the text", "III.A", [
    ("20-epoch warm-up + label smoothing", "", dict(SMOOTHED, warmup_epochs=20), "78.44 94.06"),
    ("20-epoch warm-up + mixup", "", dict(MIXED, warmup_epochs=20), "78.77 95.57"),
    ("mixup off for the first 20 epochs", "", dict(MIXED, warmup_epochs=20, mixup_off_first=20),
     "79.04 95.05"),
    ("future work: tiling", "", dict(MIXED, mix="tile"), ""),
    ("future work: stitching and interpolation", "", dict(MIXED, mix="vertical+mixup"), ""),
], notes=["The last two are proposed there, not run."], script=SCRIPT)

TABLES = {table.number: table for table in (TABLE_I, TABLE_II, TABLE_III, TABLE_IV, TABLE_V, TEACHERS, TEXT)}
