"""Make a CIFAR net by the flags of train_cifar.py. Importing this file does not import MXNet."""

from gluon_tricks.errors import UserError, reason_of
from gluon_tricks.models.registry import get_model


def make_net(model, classes, keywords, **more):
    """Make a net by its name, not yet initialised; `keywords` are the user's, `more` the caller's.

    Of `keywords`, `use_gn` stands for GroupNorm as the net's `norm_layer`.

    Raises
    ------
    UserError
        As `get_model`; or if the model cannot be made with the values in `keywords`.
    """
    import mxnet as mx

    from gluon_tricks.models.blocks import GroupNorm

    arguments = {name: value for name, value in keywords.items() if name != "use_gn"}
    norm = {"norm_layer": GroupNorm} if keywords.get("use_gn") else {}
    try:
        return get_model(model, classes=classes, **arguments, **norm, **more)
    except UserError:
        raise
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, mx.MXNetError) as error:
        if not keywords:
            raise
        words = " ".join(f"{name}={value}" for name, value in keywords.items())
        raise UserError(f"--model-kwargs {words}: model {model} cannot be made so "
                        f"({reason_of(error)})") from error
