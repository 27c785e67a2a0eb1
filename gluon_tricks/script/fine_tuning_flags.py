"""Flags of fine-tuning, for train_imagenet.py and train_cifar.py; GluonCV lacks them."""

from gluon_tricks.errors import UserError
from gluon_tricks.script.flags import flag_name

OTHER_STARTS = ("use_pretrained", "resume_params", "resume_from")    # flags that set the first parameters


def add_fine_tuning_flags(group):
    """Add the flags of fine-tuning."""
    group.add_argument("--init-params", metavar="FILE|zoo",
                       help="start from these parameters, or from the zoo's (downloaded); a last layer for "
                            "another number of classes is left as drawn")
    group.add_argument("--freeze", nargs="+", action="extend", default=[], metavar="PREFIX|backbone",
                       help="do not train the parameters whose names in .params files begin so; backbone: "
                            "all but the last layer")
    group.add_argument("--freeze-norm", action="store_true",
                       help="do not train BatchNorm; it uses its running statistics, which stay as they are")
    group.add_argument("--head-lr", type=float, default=1.0, metavar="FACTOR",
                       help="the last layer's learning rate is FACTOR x --lr and its schedule (default 1)")


def check_fine_tuning(args):
    """Raise UserError for flags of fine-tuning that contradict others."""
    starts = [name for name in OTHER_STARTS if getattr(args, name, None)]
    if args.init_params is not None and not args.init_params.strip():
        raise UserError(f"--init-params {args.init_params!r}: give a file or zoo, or leave it out")
    if args.init_params and starts:
        raise UserError(f"--init-params {args.init_params} and {flag_name(starts[0])}: give one; both set "
                        f"the first parameters")
    asked = [f"--freeze {' '.join(args.freeze)}"] * bool(args.freeze) + ["--freeze-norm"] * args.freeze_norm
    if asked and not (args.init_params or starts):
        raise UserError(f"{asked[0]}: would keep drawn parameters as they are; give --init-params FILE")


def fine_tuning_facts(args):
    """The facts in which a resumed run must agree: dict."""
    return {name: getattr(args, name) for name in ("init_params", "freeze", "freeze_norm")}
