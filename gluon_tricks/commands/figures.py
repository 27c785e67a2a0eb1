"""Figures 3 and 4 of the paper, drawn again: learning-rate schedules, and outputs with label smoothing.

    python -m gluon_tricks figures                                      from published logs alone
    python -m gluon_tricks figures --step-log tables/table6-full/01-efficient-resnet-50-d/train.log \\
        --cosine-log tables/table6-full/04-cosine-decay-resnet-50-d/train.log
    python -m gluon_tricks figures --params-plain plain.params --params-smooth smooth.params \\
        --model resnet50_v1d --rec-val ~/.mxnet/datasets/imagenet/rec/val.rec

figure3.png   a  step and cosine decay with warm-up, batch 1024, over 120 epochs
              b  validation accuracy with both: from the logs given, else from published ones (no published
                 log of a ResNet has step decay, so a VGG and a ResNet are plotted, which cannot be compared)
figure4.png   a  the gap between the highest output and the others at the optimum of label smoothing (Eq. 5)
              b  the gap that two parameter files have over validation images; left out if none are given

The values of each picture are written next to it as .csv.
"""

import argparse
from pathlib import Path

import numpy as np

from gluon_tricks import pictures
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write, make_folder
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.optim.lr_schedule import lr_schedule
from gluon_tricks.published.catalogue import TRAIN_IMAGES, curve
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.studies.text import csv_text
from gluon_tricks.training.status import progress_bar
from gluon_tricks.tricks.label_smoothing import optimal_gap

CLASSES = 1000
EPSILONS = np.round(np.arange(0.01, 1.0, 0.01), 2)
PUBLISHED = {"step": "vgg16_bn", "cosine": "resnet50_v1d"}
COLORS = {"step": pictures.RUN, "cosine": pictures.PUBLISHED, "plain": pictures.RUN,
          "smooth": pictures.PUBLISHED}
DASHES = {"step": "--", "cosine": "-"}


def main(argv=None):
    args = parse_args(argv)
    out = make_folder("--out", args.out)
    rates = schedules()
    curves = {"step": accuracies(args.step_log, "step"), "cosine": accuracies(args.cosine_log, "cosine")}
    gaps = measured_gaps(args) if args.params_plain else {}
    atomic_write(out / "figure3a.csv",
                 csv_text(("epoch", *rates), zip(range(len(rates["step"])), *rates.values())))
    accuracy_rows = [(kind, name, epoch, f"{top1:.4f}")
                     for kind, (name, points) in curves.items() for epoch, top1 in points]
    atomic_write(out / "figure3b.csv", csv_text(("decay", "run", "epoch", "top1_pct"), accuracy_rows))
    atomic_write(out / "figure4a.csv", csv_text(
        ("eps", "gap"), ((eps, f"{optimal_gap(eps, CLASSES, 'paper'):.6f}") for eps in EPSILONS)))
    if gaps:
        atomic_write(out / "figure4b.csv", csv_text(
            ("parameters", "image", "gap"),
            ((kind, i, f"{gap:.6f}") for kind, values in gaps.items() for i, gap in enumerate(values))))
    draw_figure_3(curves, out / "figure3.png")
    draw_figure_4(gaps, args.eps, args.classes or CLASSES, out / "figure4.png")
    print("\n".join(summary_lines(rates, curves, gaps)))
    print(f"written: {out}/figure3.png, figure4.png and their values as .csv")
    return 0


# --- Values -------------------------------------------------------------------------------------------------

def schedules():
    """Figure 3a: the rates of Table 6's first two rows, "Efficient" and "+ cosine decay", at the start of
    each epoch.

    Returns
    -------
    dict
        "step" and "cosine" -> list of rates, one per epoch of 120, and the last update's.
    """
    rates = {}
    for kind in ("step", "cosine"):
        rate, per_epoch, epochs = schedule(kind)
        rates[kind] = [rate(epoch * per_epoch) for epoch in range(epochs)] + [rate(epochs * per_epoch - 1)]
    return rates


def schedule(kind):
    """`(rate of an update, updates per epoch, epochs)` of Table 6's row with "step" or "cosine" decay."""
    name = {"step": "Efficient", "cosine": "+ cosine decay"}[kind]
    flags = next(row.flags for row in TABLES[6].rows if row.name == name)
    per_epoch = TRAIN_IMAGES["imagenet"] // (flags["batch_size"] * flags["num_gpus"])
    decay = [int(epoch) for epoch in (flags["lr_decay_epoch"] or "").split(",") if epoch]
    return lr_schedule(kind, flags["lr"], flags["num_epochs"], per_epoch, flags["warmup_epochs"],
                       decay_epochs=decay, formula="paper"), per_epoch, flags["num_epochs"]


def accuracies(log, kind):
    """Figure 3b: `(name, [(epoch, top-1 in percent)])` of a log, or of the published one for "step" or
    "cosine"."""
    if log is None:
        return f"published {PUBLISHED[kind]}", _top1(curve(PUBLISHED[kind]))
    run = read_log(log)
    found = run.args.get("lr_mode", "step")
    if found != kind:
        raise UserError(f"--{kind}-log {log}: its header says --lr-mode {found}; give the log of a run with "
                        f"{kind} decay")
    return f"{run.args.get('model')}, {log}", _top1(run.epochs)


def _top1(records):
    return [(r.epoch, 100 * (1 - r.val_err_top1)) for r in records if r.val_err_top1 is not None]


def gap_of(outputs):
    """The gap between the highest output and the average of the others, per image (§5.2).

    Parameters
    ----------
    outputs : float array, shape (N, classes)
        Before the softmax.

    Returns
    -------
    float array, shape (N,)
    """
    highest = outputs.max(axis=1)
    return highest - (outputs.sum(axis=1) - highest) / (outputs.shape[1] - 1)


def measured_gaps(args):
    """Figure 4b: "plain" and "smooth" -> gaps over the validation images."""
    # imported here: the other pictures need no MXNet
    from gluon_tricks.data.imagenet_augment import ImagenetTestTransform
    from gluon_tricks.data.images import PhotographLoader, RecordImages
    from gluon_tricks.engines.create import create_engine
    from gluon_tricks.models.ready import load_params, make_ready
    from gluon_tricks.models.registry import get_model

    if not args.rec_val.is_file():
        raise UserError(f"--rec-val {args.rec_val}: does not exist; give a validation record file")
    engine, gaps = create_engine(args.num_gpus), {}
    batch_size = args.batch_size * max(1, args.num_gpus)
    transform = ImagenetTestTransform(args.input_size)
    loader = PhotographLoader(RecordImages(args.rec_val), transform, batch_size, None, "keep",
                              args.num_workers)
    for kind in ("plain", "smooth"):
        net = get_model(args.model, classes=args.classes)
        load_params(net, f"--params-{kind}", getattr(args, f"params_{kind}"), engine)
        make_ready(net, args.input_size, "float32", "hybrid", engine, what=f"--model {args.model}")
        found = []
        with progress_bar(loader.batches_per_epoch, kind, "batch") as bar:
            for batch in loader.epoch(0):
                found += [gap_of(net(part).asnumpy().astype(np.float64)) for part in engine.split(batch.data)]
                bar.update()
        gaps[kind] = np.concatenate(found)
    return gaps


# --- Printing and pictures ----------------------------------------------------------------------------------

def summary_lines(rates, curves, gaps):
    """The numbers in the pictures, as lines."""
    step, cosine = rates["step"], rates["cosine"]
    yield (f"3a  peak rate {max(step):g} after 5 epochs; at epoch 60 step {step[60]:g}, "
           f"cosine {cosine[60]:.4f}")
    for kind, (name, points) in curves.items():
        yield f"3b  {kind}: {name}, top-1 {points[-1][1]:.2f} % in epoch {points[-1][0]}"
    gap = optimal_gap(0.1, CLASSES, "paper")
    yield f"4a  gap at eps 0.1 for {CLASSES} classes: {gap:.3f} (about 9.1 in the paper)"
    if not gaps:
        yield "4b  left out: give --params-plain, --params-smooth, --model and --rec-val"
    for kind, values in gaps.items():
        yield (f"4b  {kind}: gap {values.mean():.2f} on average, deviation {values.std():.2f}, highest "
               f"{values.max():.2f}, over {len(values)} images")


def draw_figure_3(curves, path):
    """Rates in the upper panel, accuracies in the lower one."""
    figure, (top, bottom) = pictures.panels((6.8, 8), rows=2, title="Figure 3: step and cosine decay")
    for kind in curves:
        rate, per_epoch, epochs = schedule(kind)
        updates = range(0, epochs * per_epoch, per_epoch // 50)            # fine enough for vertical steps
        top.plot([n / per_epoch for n in updates], [rate(n) for n in updates], color=COLORS[kind],
                 linestyle=DASHES[kind], label=f"{kind} decay")
    pictures.label(top, "epochs done", "(a) learning rate, batch 1024")
    for kind, (name, points) in curves.items():
        bottom.plot(*zip(*points), color=COLORS[kind], linestyle=DASHES[kind], label=f"{kind} decay: {name}",
                    **pictures.marker(len(points)))
    differ = all(name.startswith("published") for name, _ in curves.values())
    pictures.label(bottom, f"epoch{' (two different nets: not comparable)' * differ}",
                   "(b) validation accuracy, top-1, %")
    save(figure, (top, bottom), path)


def draw_figure_4(gaps, eps, classes, path):
    """The optimal gap, and below it the measured gaps if there are any."""
    figure, panels = pictures.panels((6.8, 8 if gaps else 4.4), rows=1 + bool(gaps),
                                     title="Figure 4: outputs with label smoothing")
    top = panels[0]
    top.plot(EPSILONS, [optimal_gap(eps, CLASSES, "paper") for eps in EPSILONS], color=COLORS["smooth"])
    top.plot([0.1], [optimal_gap(0.1, CLASSES, "paper")], "o", color=COLORS["plain"],
             label=f"eps 0.1: {optimal_gap(0.1, CLASSES, 'paper'):.2f}")
    pictures.label(top, "eps", f"(a) optimal gap, {CLASSES} classes")
    for kind, values in gaps.items():
        panels[1].hist(values, bins=60, density=True, alpha=0.55, color=COLORS[kind],
                    label={"plain": "without label smoothing", "smooth": "with label smoothing"}[kind])
    if gaps:
        optimum = optimal_gap(eps, classes, "gluoncv")
        panels[1].axvline(optimum, color="black", linewidth=0.8,
                          label=f"optimum, eps {eps:g}: {optimum:.2f}")
        pictures.label(panels[1], "gap of a validation image", "(b) density")
    save(figure, panels, path)


def save(figure, axes, path):
    for each in axes:
        pictures.legend(each, 1 if len(each.get_legend_handles_labels()[0]) > 2 else 2)
    pictures.save(figure, path, dpi=120)


# --- Flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path("figures"),
                        help="folder (default figures)")
    parser.add_argument("--step-log", type=Path, metavar="LOG", help="log of a run with step decay, for 3b")
    parser.add_argument("--cosine-log", type=Path, metavar="LOG",
                        help="log of a run with cosine decay, for 3b")
    parser.add_argument("--params-plain", type=Path, metavar="FILE",
                        help="trained without label smoothing, for 4b")
    parser.add_argument("--params-smooth", type=Path, metavar="FILE", help="trained with label smoothing")
    parser.add_argument("--model", help="the net of both files")
    parser.add_argument("--rec-val", type=Path, metavar="FILE", help="validation records")
    parser.add_argument("--classes", type=int, help="outputs of the net (default: the net's own)")
    parser.add_argument("--eps", type=float, default=0.1,
                        help="eps of the label smoothing in training (default 0.1)")
    parser.add_argument("--input-size", type=int, default=224, help="side of the crop (default 224)")
    parser.add_argument("--batch-size", type=int, default=32, help="images per device (default 32)")
    parser.add_argument("--num-gpus", type=int, default=0, help="(default 0: CPU)")
    parser.add_argument("-j", "--num-data-workers", dest="num_workers", type=int, default=2,
                        help="decoding threads")
    args = parser.parse_args(argv)
    needed = ("params_plain", "params_smooth", "model", "rec_val")
    missing = [f"--{name.replace('_', '-')}" for name in needed if getattr(args, name) is None]
    if missing and len(missing) < len(needed):
        raise UserError(f"{', '.join(missing)}: figure 4b needs all of --params-plain, --params-smooth, "
                        "--model, --rec-val")
    check_numbers(args, COMMAND_FLAGS)
    return args


if __name__ == "__main__":
    run_main(main, prog="figures")
