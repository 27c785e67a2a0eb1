"""Groups of flags that train_cifar.py has beyond GluonCV's scripts: images, targets, optimizer and schedule."""

import argparse

from gluon_tricks.data.cifar_sets import DATASETS, Augmentation
from gluon_tricks.errors import UserError
from gluon_tricks.models.from_flags import DROPS
from gluon_tricks.optim.lr_schedule import MODES, WARMUPS
from gluon_tricks.optim.optimizers import NAMES
from gluon_tricks.script.flags import at_least, keywords
from gluon_tricks.tricks.cutmix import LABELS
from gluon_tricks.tricks.mixing import ALPHAS, KINDS, REVERSED
from gluon_tricks.tricks.mixup import CIFAR_OFF_EPOCHS
from gluon_tricks.tricks.random_erasing import FILLS


def add_image_flags(group):
    """What the net sees."""
    group.add_argument("--augment", choices=("gluoncv", "follow-up"), default="gluoncv",
                       help="follow-up: brightness, saturation, hue and lighting besides crop and flip, and ImageNet's mean "
                            "and deviation (default gluoncv)")
    group.add_argument("--random-crop", action=argparse.BooleanOptionalAction, default=True,
                       help="pad 4 pixels and crop (default: yes)")
    group.add_argument("--random-flip", action=argparse.BooleanOptionalAction,
                       help="mirror every second image (default: not for mnist and kmnist)")
    group.add_argument("--cutout", type=int, default=0, metavar="SIZE", help="a square of zeros in every image, say 16")
    group.add_argument("--dual-cutout", action="store_true",
                       help="two views of each image with squares of their own (--cutout, else 16), kept alike by the loss")
    group.add_argument("--dual-cutout-alpha", type=float, default=0.1, help="weight of their difference (default 0.1)")
    group.add_argument("--random-erasing", nargs="?", choices=FILLS, const="value", metavar="value|pixels",
                       help="a rectangle in every second image, of one value as in the CIFAR-10 collection (default) or of "
                            "random pixels as in the paper")


def add_target_flags(group):
    """What the net is told."""
    group.add_argument("--mix", choices=KINDS, metavar="KIND", help=f"mix images otherwise than --mixup: {', '.join(KINDS)}")
    group.add_argument("--mixup-alpha", type=float, metavar="A",
                       help="of the Beta distribution (default 1; of what is stitched or tiled 0.2, of ricap 0.3)")
    group.add_argument("--mixup-off-epoch", type=int, metavar="N",
                       help="final epochs without mixing (default 20 with --mixup, 0 with --mix)")
    group.add_argument("--mixup-off-first", type=int, default=0, metavar="N", help="first epochs without mixing (default 0)")
    group.add_argument("--mixup-partners", choices=("reversed", "random"),
                       help="who is mixed with whom (default reversed; random for tile, cutmix and ricap)")
    group.add_argument("--cutmix-label", choices=LABELS, default="area",
                       help="weight of a clipped box: its area, as in the paper, or as drawn, as in the collection")
    group.add_argument("--label-smoothing", action="store_true", help="smooth the targets")
    group.add_argument("--label-smoothing-eps", type=float, default=0.1, help="by so much (default 0.1)")
    group.add_argument("--teacher", metavar="NAME:FILE", help="learn from this net with these parameters too")
    group.add_argument("--temperature", type=float, default=20.0, help="of the distillation (default 20)")
    group.add_argument("--hard-weight", type=float, default=0.5,
                       help="weight of the labels; the teacher has the rest (default 0.5)")


def add_optimizer_flags(group):
    """What moves the net, and how fast."""
    group.add_argument("--optimizer", choices=NAMES, default="nag",
                       help="adadelta has no rate of its own: --lr is without effect (default nag)")
    group.add_argument("--lars-coefficient", type=float, default=1.0,
                       help="of lars; 0.001 in its paper, none (1) in the collection (default 1)")
    group.add_argument("--final-lr", type=float, default=0.1, help="where adabound's bounds meet (default 0.1)")
    group.add_argument("--no-wd", action="store_true", help="no decay on biases, gammas and betas")
    group.add_argument("--clip-gradient", type=float, default=0.0, help="clip each gradient element (default: no)")
    group.add_argument("--accumulate", type=int, default=1, metavar="N",
                       help="N passes of --batch-size per update: BatchNorm sees one of them (ghost BatchNorm), "
                            "gradients are summed (default 1)")
    group.add_argument("--lr-mode", choices=(*MODES, "sgdr"), default="step", help="shape of the decay (default step)")
    group.add_argument("--warmup-epochs", type=int, default=0, help="warm-up from 0 (default 0)")
    group.add_argument("--warmup", choices=WARMUPS, default="linear", help="shape of the warm-up (default linear)")
    group.add_argument("--cycle-epochs", type=int, default=10, help="of sgdr: length of the first cycle (default 10)")
    group.add_argument("--cycle-factor", type=int, default=1, help="of sgdr: growth of the cycles (default 1)")


# flag -> (its default, what it needs, whether that is on)
NEEDS = {
    "label_smoothing_eps": (0.1, "--label-smoothing", lambda args: args.label_smoothing),
    "mixup_alpha": (ALPHAS["mixup"], "--mixup or --mix", lambda args: args.mixup),
    "cutmix_label": ("area", "--mix cutmix", lambda args: args.mixup and args.mix == "cutmix"),
    "dual_cutout_alpha": (0.1, "--dual-cutout", lambda args: args.dual_cutout),
    "temperature": (20.0, "--teacher", lambda args: args.teacher),
    "hard_weight": (0.5, "--teacher", lambda args: args.teacher),
    "lars_coefficient": (1.0, "--optimizer lars", lambda args: args.optimizer == "lars"),
    "final_lr": (0.1, "--optimizer adabound", lambda args: args.optimizer == "adabound"),
    "cycle_epochs": (10, "--lr-mode sgdr", lambda args: args.lr_mode == "sgdr"),
    "cycle_factor": (1, "--lr-mode sgdr", lambda args: args.lr_mode == "sgdr"),
    "drop_rate": (0.0, "a cifar_wideresnet* or cifar_densenet*", lambda args: args.model.lower().startswith(DROPS)),
}


def without_effect(args):
    """Warnings about flags that do nothing for want of another. No errors: a sweep may give them to every run."""
    for name, (default, other, is_on) in NEEDS.items():
        value = getattr(args, name)
        if value != default and not is_on(args):
            yield f"warning: --{name.replace('_', '-')} {value} has no effect without {other}"


def settle(args):
    """Fill in the defaults that depend on other flags, and refuse what cannot be.

    Afterwards `args.mixup` says whether anything is mixed, and `args.mix` how.

    Raises
    ------
    UserError
    """
    if args.mix and args.mixup:
        raise UserError(f"--mix {args.mix} and --mixup: give one; --mixup is --mix mixup as train_mixup_cifar10.py has it")
    if args.mixup_off_epoch is None:
        args.mixup_off_epoch = 0 if args.mix else CIFAR_OFF_EPOCHS
    args.mixup, args.mix = bool(args.mix or args.mixup), args.mix or "mixup"
    if args.mixup_alpha is None:
        args.mixup_alpha = ALPHAS[args.mix]
    if args.mixup_partners is None:
        args.mixup_partners = "reversed" if args.mix in REVERSED else "random"
    if args.random_flip is None:
        args.random_flip = DATASETS[args.dataset].flip
    if args.dual_cutout:
        args.cutout = args.cutout or 16
    Augmentation(colors=args.augment == "follow-up").normalisation(args.dataset)         # refuses it of grey images
    side = DATASETS[args.dataset].side
    if args.cutout > side:
        raise UserError(f"--cutout {args.cutout}: images of {args.dataset} have {side} pixels a side; give fewer")
    at_least(args, {"mixup_off_first": 0, "cutout": 0, "accumulate": 1, "cycle_epochs": 1, "cycle_factor": 1,
                    "clip_gradient": 0, "lars_coefficient": 0, "final_lr": 0, "dual_cutout_alpha": 0})
    if not 0 <= args.label_smoothing_eps < 1:
        raise UserError(f"--label-smoothing-eps {args.label_smoothing_eps}: must be in [0, 1)")
    if args.hard_weight < 0 or args.temperature <= 0:
        raise UserError(f"--hard-weight {args.hard_weight}, --temperature {args.temperature}: must not be negative, and "
                        f"positive")
    if args.teacher and ":" not in args.teacher:
        raise UserError(f"--teacher {args.teacher}: give NAME:FILE, as {args.teacher}:params/{args.teacher}.params")
    if args.warmup == "exponential" and not args.warmup_epochs:
        raise UserError("--warmup exponential: give --warmup-epochs too")
    if args.mix in ("tile", "ricap") and args.mixup_partners == "reversed":
        raise UserError(f"--mixup-partners reversed: --mix {args.mix} needs four images, leave the flag out")
    _refuse_for_mxnet(args)
    keywords("--model-kwargs", args.model_kwargs)


def _refuse_for_mxnet(args):
    """MXNet's iterator crops and flips RGB images as GluonCV's script does, and nothing else."""
    if args.data_backend != "mxnet":
        return
    asked = [flag for flag, is_so in (
        ("--augment follow-up", args.augment != "gluoncv"), ("--no-random-crop", not args.random_crop),
        ("--no-random-flip", not args.random_flip), ("--cutout", args.cutout), ("--random-erasing", args.random_erasing),
        (f"--dataset {args.dataset}", DATASETS[args.dataset].channels == 1)) if is_so]
    if asked:
        raise UserError(f"--data-backend mxnet: cannot do {', '.join(asked)}; use --data-backend ours")
