"""Fine-tuning by the flags of a training script: first parameters, frozen parts, the head's rate."""

import math

from gluon_tricks.errors import UserError
from gluon_tricks.models.fine_tuning import BACKBONE, freeze, head_names, set_rate
from gluon_tricks.models.loading import load_params
from gluon_tricks.models.pretrained import published_file
from gluon_tricks.parameters import is_frozen, named_parameters
from gluon_tricks.saved.described import rounded, same_normalisation
from gluon_tricks.saved.names import check_same_classes
from gluon_tricks.script.init_record import ZOO, check_net, init_run


def fine_tune(args, net, make, published, engine, resumed, own):
    """Load --init-params into an initialised net, and freeze parts; call it before the net is compiled.

    Parameters
    ----------
    make : callable, (classes=) -> HybridBlock
    published : str
        The net's name in GluonCV's zoo.
    resumed : bool
        The parameters will come from a resume file, so --init-params is not read.
    own : NetFacts
        Of the net in training.

    Returns
    -------
    list of str
        Lines for the log.

    Raises
    ------
    UserError
        If the file does not fit, or a flag does not fit the model.
    """
    lines = []
    if args.init_params and resumed:
        lines.append(f"--init-params {args.init_params}: not read again; parameters are those of the resume "
                     f"file")
    elif args.init_params:
        what, path = "--init-params", args.init_params
        lines += record_lines(path, own)
        if path == ZOO:
            path = published_file(f"{what} {ZOO}", published)
        kept = load_params(net, what, path, engine.ctx, head_names(make))
        engine.broadcast_parameters(net)
        lines.append(f"--init-params {args.init_params}: {loaded(net, kept)}")
    return lines + [sentence for _, sentence in apply_freezing(args, net, make)]


def record_lines(path, own):
    """Yield the log lines on the record of --init-params.

    Parameters
    ----------
    path : path or "zoo"
    own : NetFacts
        Of the net in training.

    Raises
    ------
    UserError
        If the record is of another net.
    """
    run = init_run(path)
    if run is None:
        return
    net, what = run.net, f"--init-params {path}"
    check_net("--init-params", path, run, own.model, own.switches)
    yield f"{what}: of a {net.model} for {net.classes} classes, as {run.path} says"
    for name, theirs, ours in (
            ("--input-size", net.input_size, own.input_size),
            ("--crop-ratio", net.crop_ratio, own.crop_ratio), ("crop", net.crop, own.crop)):
        if theirs != ours:
            yield f"warning: {what}: was trained with {name} {theirs}, this run has {ours}"
    if not same_normalisation(net, own.rgb_mean, own.rgb_std):
        theirs, ours = (f"mean {rounded(one.rgb_mean)} and deviation {rounded(one.rgb_std)}" for one in
                        (net, own))
        yield f"warning: {what}: was trained with {theirs}, this run has {ours}"
    if net.classes == own.classes:
        try:
            check_same_classes(what, net.class_names, "the training set", own.class_names)
        except UserError as error:
            yield f"warning: {error}; its last layer is loaded all the same"


def plan_rows(args, net, make):
    """Yield the rows of --dry-run on the start of a fine-tuning; shapes must be known. Reads no file."""
    if args.init_params:
        yield "start", (f"--init-params {args.init_params}; a last layer for another number of classes is "
                        f"left as drawn")
    yield from apply_freezing(args, net, make)


def loaded(net, kept):
    """What a parameter file gave a net, in words; `kept` is what `load_params` returned."""
    params = named_parameters(net)
    words = f"{len(params) - len(kept)} of {len(params)} arrays loaded"
    if not kept:
        return f"{words}, the last layer too"
    new = ", ".join(f"{name} {tuple(params[name].shape)}" + (f" (in the file {shape})" if shape else "")
                    for name, shape in kept.items())
    return f"{words}; left as drawn: {new}"


def apply_freezing(args, net, make):
    """Freeze the parts of a net that the flags name and set the head's rate; `(word, sentence)` rows."""
    head = head_names(make) if BACKBONE in args.freeze or args.head_lr != 1 else []
    freeze(net, args.freeze, head, args.freeze_norm)
    set_rate(net, head, args.head_lr)
    params = named_parameters(net).values()
    frozen = [param for param in params if is_frozen(param)]
    rows = []
    if frozen:
        values = sum(math.prod(param.shape) for param in frozen)
        trained = sum(param.grad_req != "null" for param in params)
        statistics = "stay as they are" if args.freeze_norm else "follow the images"
        rows.append(("frozen", f"{len(frozen)} arrays frozen, {values:,} values; {trained} trained; running "
                               f"statistics {statistics}"))
    if args.head_lr != 1:
        rows.append(("head", f"learning rate of {', '.join(head)}: {args.head_lr:g} x the schedule's"))
    return rows
