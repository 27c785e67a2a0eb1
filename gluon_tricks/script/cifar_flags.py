"""Flags of train_cifar.py that GluonCV's scripts lack; their completion and checks."""

import argparse

from gluon_tricks.data.cifar_sets import DATASETS, Augmentation
from gluon_tricks.data.masks import MASKS
from gluon_tricks.errors import UserError
from gluon_tricks.models.loading import SUFFIXES
from gluon_tricks.optim.lr_schedule import MODES, WARMUPS
from gluon_tricks.optim.optimizers import NAMES
from gluon_tricks.recipes.flags import recipe_defaults, without_effect
from gluon_tricks.script.engine_flags import settled_kvstore
from gluon_tricks.script.fine_tuning_flags import check_fine_tuning
from gluon_tricks.script.flags import add_loss_scale_flag, check_common, completed, flag_name, keywords
from gluon_tricks.tricks.cutmix import LABELS
from gluon_tricks.tricks.mixing import ALPHAS, KINDS, REVERSED
from gluon_tricks.tricks.mixup import CIFAR_OFF_EPOCHS

NO_MODEL = "resnet"          # GluonCV's default of --model, which is no model


def add_image_flags(group):
    """Add the flags of the images."""
    group.add_argument("--augment", choices=("gluoncv", "follow-up"), default="gluoncv",
                       help="follow-up: also brightness, saturation, hue and lighting, with ImageNet's mean "
                            "and deviation (default gluoncv)")
    group.add_argument("--random-crop", action=argparse.BooleanOptionalAction, default=True,
                       help="pad by 4 pixels and crop (default: yes)")
    group.add_argument("--random-flip", action=argparse.BooleanOptionalAction,
                       help="mirror with probability 1/2 (default: yes, except for mnist and kmnist)")
    group.add_argument("--dual-cutout", action="store_true",
                       help="two views of each image, with different squares (--cutout, or 16); the loss "
                            "compares them")
    group.add_argument("--dual-cutout-alpha", type=float, default=0.1,
                       help="weight of the views' difference in the loss (default 0.1)")
    for mask in MASKS.values():
        group.add_argument(flag_name(mask.flag), **mask.argument)


def add_target_flags(group):
    """Add the flags of the targets."""
    group.add_argument("--mix", choices=KINDS, metavar="KIND",
                       help=f"way to mix images, instead of --mixup: {', '.join(KINDS)}")
    group.add_argument("--mixup-alpha", type=float, metavar="A",
                       help="parameter of the Beta distribution (default 1; for stitched and tiled images "
                            "0.2, for ricap 0.3)")
    group.add_argument("--mixup-off-epoch", type=int, metavar="N",
                       help="final epochs without mixing (default 20 with --mixup, 0 with --mix)")
    group.add_argument("--mixup-off-first", type=int, default=0, metavar="N",
                       help="first epochs without mixing (default 0)")
    group.add_argument("--mixup-partners", choices=("reversed", "random"),
                       help="order of the second images (default reversed; for tile, cutmix and ricap "
                            "random)")
    group.add_argument("--cutmix-label", choices=LABELS, default="area",
                       help="label weight of a clipped box: area (paper) or drawn (collection) (default "
                            "area)")
    group.add_argument("--label-smoothing", action="store_true", help="label smoothing")
    group.add_argument("--label-smoothing-eps", type=float, default=0.1,
                       help="strength of the smoothing (default 0.1)")
    group.add_argument("--teacher", metavar="[NAME:]FILE",
                       help="distil from the net with these parameters; its name is not needed next to the "
                            "record of its training")
    group.add_argument("--temperature", type=float, default=20.0,
                       help="temperature of the distillation (default 20)")
    group.add_argument("--hard-weight", type=float, default=0.5,
                       help="weight of the labels in the loss; 1 minus this for the teacher (default 0.5)")


def add_optimizer_flags(group):
    """Add the flags of the optimizer and the schedule."""
    group.add_argument("--optimizer", choices=NAMES, default="nag",
                       help="with adadelta, --lr has no effect (default nag)")
    group.add_argument("--lars-coefficient", type=float, default=1.0,
                       help="coefficient of lars: 0.001 in its paper, 1 in the collection (default 1)")
    group.add_argument("--final-lr", type=float, default=0.1, help="limit of adabound's bounds (default 0.1)")
    group.add_argument("--no-wd", action="store_true", help="no weight decay on biases, gammas and betas")
    group.add_argument("--clip-gradient", type=float, default=0.0,
                       help="clip each gradient element to this magnitude (default: no)")
    add_loss_scale_flag(group)
    group.add_argument("--accumulate", type=int, default=1, metavar="N",
                       help="passes of --batch-size per update; gradients are summed, BatchNorm sees one "
                            "pass (ghost BatchNorm) (default 1)")
    group.add_argument("--lr-mode", choices=(*MODES, "sgdr"), default="step",
                       help="shape of the decay (default step)")
    group.add_argument("--warmup-epochs", type=int, default=0, help="epochs of warm-up from 0 (default 0)")
    group.add_argument("--warmup", choices=WARMUPS, default="linear",
                       help="shape of the warm-up (default linear)")
    group.add_argument("--cycle-epochs", type=int, default=10,
                       help="sgdr: epochs of the first cycle (default 10)")
    group.add_argument("--cycle-factor", type=int, default=1,
                       help="sgdr: factor from one cycle's length to the next (default 1)")


def without_effect_lines(args):
    """Yield warnings about flags without effect. They are no errors: a sweep may give a flag to every run."""
    for name, need in without_effect(vars(args)):
        value = getattr(args, name)
        if need.words and value != recipe_defaults(cifar=True)[name]:
            yield f"warning: {flag_name(name)} {value} has no effect without {need.words}"


def settled(args):
    """The parsed flags with the defaults that depend on other flags.

    In the result `mixup` is True if images are mixed, and `mix` is the kind.

    Raises
    ------
    UserError
        For unusable values and for flags that exclude each other.
    """
    if args.init_params:
        # here: NumPy is not needed for --help
        from gluon_tricks.script.init_record import with_cifar_record
        args = with_cifar_record(args, NO_MODEL)
    if args.mix and args.mixup:
        raise UserError(f"--mix {args.mix} and --mixup: give one; --mixup means --mix mixup with the "
                        f"defaults of train_mixup_cifar10.py")
    mix, off_epoch, alpha = args.mix or "mixup", args.mixup_off_epoch, args.mixup_alpha
    if off_epoch is None:
        off_epoch = 0 if args.mix else CIFAR_OFF_EPOCHS
    partners = args.mixup_partners or ("reversed" if mix in REVERSED else "random")
    flip = DATASETS[args.dataset].flip if args.random_flip is None else args.random_flip
    cutout = (args.cutout or 16) if args.dual_cutout else args.cutout
    args = completed(args, mixup=bool(args.mix or args.mixup), mix=mix, mixup_off_epoch=off_epoch,
                     mixup_alpha=ALPHAS[mix] if alpha is None else alpha, mixup_partners=partners,
                     random_flip=flip, cutout=cutout, kvstore=settled_kvstore(args))
    check(args)
    return args


def check(args):
    """Raise UserError for unusable values, before any file is opened."""
    check_common(args)
    # raises UserError for grey images
    Augmentation(colors=args.augment == "follow-up").normalisation(args.dataset)
    side = DATASETS[args.dataset].side
    if args.cutout > side:
        raise UserError(f"--cutout {args.cutout}: images of {args.dataset} have {side} pixels a side; give "
                        f"fewer")
    if args.teacher and ":" not in args.teacher and not args.teacher.endswith(SUFFIXES):
        raise UserError(f"--teacher {args.teacher}: give NAME:FILE, as "
                        f"{args.teacher}:params/{args.teacher}.params")
    if args.warmup == "exponential" and not args.warmup_epochs:
        raise UserError("--warmup exponential: give --warmup-epochs too")
    if args.mix in ("tile", "ricap") and args.mixup_partners == "reversed":
        raise UserError(f"--mixup-partners reversed: --mix {args.mix} needs four images; leave the flag out")
    if args.resume and args.resume_from:
        raise UserError("--resume and --resume-from: give one; --resume continues a run, --resume-from "
                        "starts a new one")
    check_fine_tuning(args)
    _refuse_for_mxnet(args)
    keywords("--model-kwargs", args.model_kwargs)


def _refuse_for_mxnet(args):
    """Raise UserError for what MXNet's iterator lacks: it only crops and flips RGB images."""
    if args.data_backend != "mxnet":
        return
    asked = [flag for flag, is_so in (
        ("--augment follow-up", args.augment != "gluoncv"), ("--no-random-crop", not args.random_crop),
        ("--no-random-flip", not args.random_flip),
        *((flag_name(name), getattr(args, name)) for name in MASKS),
        (f"--dataset {args.dataset}", DATASETS[args.dataset].channels == 1)) if is_so]
    if asked:
        raise UserError(f"--data-backend mxnet: cannot do {', '.join(asked)}; use --data-backend ours")
