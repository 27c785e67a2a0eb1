"""A contact sheet of every augmentation on real images, with the training labels.

    python -m gluon_tricks show-augment                       augmentations.png, on the embedded images
    python -m gluon_tricks show-augment --dataset cifar100 --seed 3 --out sheet.png
    python -m gluon_tricks show-augment --only cutmix,ricap --images 6

The first images of eight classes are augmented by train_cifar.py's functions, with the random numbers of
epoch 0 and update 0. Below each image is its class; below a mixed one are its classes and their shares.
"""

import argparse
from pathlib import Path

import numpy as np
from mxnet import nd

from gluon_tricks import pictures
from gluon_tricks.data.cifar import find_cifar, open_cifar, train_transform
from gluon_tricks.data.cifar_sets import DATASETS, Augmentation
from gluon_tricks.data.masks import MASKS
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import make_folder
from gluon_tricks.randomness import MIXUP, generator
from gluon_tricks.recipes.flags import COMMAND_FLAGS
from gluon_tricks.script.flags import check_numbers
from gluon_tricks.script.prepare import prepare
from gluon_tricks.tricks.mixing import ALPHAS, KINDS, mix

PLAIN = Augmentation(crop=False, flip=False)
# name -> (title, Augmentation); titles of MIXED and of most others are flags of train_cifar.py
SINGLE = {
    "plain": ("unchanged", PLAIN),
    "gluoncv": ("crop and flip", Augmentation()),
    "follow-up": ("--augment follow-up", Augmentation(colors=True)),
    **{name: (title, PLAIN._replace(masks=((mask.flag, setting),)))
       for mask in MASKS.values() for name, (title, setting) in mask.samples.items()},
    "dual-cutout": ("--dual-cutout\n(both views)", PLAIN._replace(masks=(("cutout", 16),), dual=True)),
}
MIXED = {kind: f"--mix {kind}" for kind in KINDS}
NAMES = (*SINGLE, *MIXED)


def main(argv=None):
    args = parse_args(argv)
    out = Path(args.out).expanduser()
    make_folder("--out", out.parent)
    data = open_cifar(find_cifar(args.dataset, args.data_dir, prepare), "ours", 1, args.seed, 1)
    positions = one_of_each_class(data.train.images.labels, args.images)
    names = args.only.split(",") if args.only else names_for(args.dataset)
    rows = [row(name, data, positions, args) for name in names]
    alpha = f"{args.alpha:g}"
    title = (f"Augmentations of train_cifar.py on {args.dataset}, seed {args.seed}; mixed images have shares "
             f"from Beta({alpha}, {alpha})")
    draw(rows, data.classes, out, title)
    print(f"{len(rows)} rows of {len(positions)} images: {out}")
    return 0


def names_for(dataset):
    """The augmentations for a data set; follow-up changes colours, so grey images do not have it."""
    return [name for name in NAMES if DATASETS[dataset].channels == 3 or name != "follow-up"]


def one_of_each_class(labels, count):
    """Positions of the first image of each of the first `count` classes."""
    _, first = np.unique(labels, return_index=True)
    return first[:count]


def row(name, data, positions, args):
    """`(title, images, targets)` of one augmentation: images in 0..1, (N, H, W, C); targets, (N, classes)."""
    title, augmentation = SINGLE.get(name, (MIXED.get(name), PLAIN))
    pixels, labels = data.train.images.read(positions)
    images = train_transform(augmentation, args.dataset, args.seed, data.train.records)(pixels, positions, 0)
    targets = np.eye(len(data.classes), dtype=np.float32)[labels]
    if name in MIXED:
        mixed = mix(name, nd.array(images), nd.array(targets), args.alpha,
                    generator(args.seed, MIXUP, 0, KINDS.index(name)))
        images, targets = (array.asnumpy() for array in mixed)
    return title, visible(images, *augmentation.normalisation(args.dataset)), targets


def visible(images, mean, std):
    """Undo the normalisation: float32, (N, C, H, W) -> (N, H, W, C) in 0..1; two views side by side."""
    channels = len(mean)
    views = np.concatenate(np.split(images, images.shape[1] // channels, axis=1), axis=3)
    pixels = views * np.float32(std).reshape(1, -1, 1, 1) + np.float32(mean).reshape(1, -1, 1, 1)
    return np.clip(pixels, 0, 1).transpose(0, 2, 3, 1)


def label_text(target, classes):
    """A row of class probabilities in words: `cat 62 %`, `dog 38 %`, a line for each; a whole one: `cat`."""
    order = [k for k in np.argsort(-target, kind="stable") if target[k] > 0]
    return "\n".join(f"{classes[k]}{f' {100 * target[k]:.0f} %' if target[k] < 1 else ''}".replace("_", " ")
                     for k in order)


def draw(rows, classes, path, title):
    """Write the sheet: a title and the images in each row."""
    columns = 1 + len(rows[0][1])
    lines = sum(max(label_text(target, classes).count("\n") + 1 for target in targets)
                for _, _, targets in rows)
    size = 1.9 + 1.5 * (columns - 1), 0.7 + 1.55 * len(rows) + 0.17 * lines
    figure, panels = pictures.panels(size, len(rows), columns, title, (1.25, *[1] * (columns - 1)))
    for line, (name, images, targets) in enumerate(rows):
        head, *cells = panels[line * columns:(line + 1) * columns]
        head.text(0, 0.5, name, fontsize=pictures.LABEL, va="center", fontweight="bold")
        head.axis("off")
        for axes, image, target in zip(cells, images, targets):
            shown = image if image.shape[2] == 3 else image[..., 0]
            axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_xlabel(label_text(target, classes), fontsize=pictures.LABEL, labelpad=3)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    pictures.save(figure, path, dpi=85)


def parse_args(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=tuple(DATASETS), default="cifar10-excerpt",
                        help="(default cifar10-excerpt)")
    parser.add_argument("--data-dir", help="folder of the prepared data (default "
                                           "~/.mxnet/datasets/DATASET/rec)")
    parser.add_argument("--only", metavar="NAME,NAME", help=f"rows, of {', '.join(NAMES)} (default all)")
    parser.add_argument("--images", type=int, default=8,
                        help="images per row, each of another class (default 8)")
    parser.add_argument("--alpha", type=float, default=4.0,
                        help="parameter of the Beta distribution (default 4: shares are seldom near 0 or 1; "
                             f"in training "
                        f"{', '.join(f'{kind} {alpha:g}' for kind, alpha in ALPHAS.items())})")
    parser.add_argument("--seed", type=int, default=0, help="(default 0)")
    parser.add_argument("--out", default="augmentations.png", help="PNG to write (default augmentations.png)")
    args = parser.parse_args(argv)
    unknown = [name for name in (args.only.split(",") if args.only else ()) if name not in NAMES]
    if unknown:
        raise UserError(f"--only {unknown[0]}: there are {', '.join(NAMES)}")
    check_numbers(args, COMMAND_FLAGS)
    return args


if __name__ == "__main__":
    run_main(main, prog="show-augment")
