"""Files of GluonCV's published weights; GluonCV downloads, caches and checks them."""

import textwrap

from gluon_tricks.errors import UserError

DEFAULT_ROOT = "~/.mxnet/models"


def published_file(what, name, tag=True, root=DEFAULT_ROOT):
    """The path of the weights that GluonCV publishes under a net's name, downloaded if they are not there.

    Parameters
    ----------
    what : str
        The flag or argument that asks for them, for messages.
    name : str
        The net's name in the registry, which is GluonCV's.
    tag : True or str
        A string is the hash of one version of the weights.
    root : path
        Where the files are kept.

    Raises
    ------
    UserError
        If GluonCV cannot be imported, has no weights of that name or cannot fetch them.
    """
    remedy = f"leave {what} out and load a .params file of yours or of GluonCV's"
    try:
        from gluoncv.model_zoo import model_store
    # not only ImportError: an unfit numpy or MXNet raises all kinds on GluonCV's import
    except Exception as error:
        raise UserError(f"{what}: the weights of {name} come through GluonCV, which cannot be imported "
                        f"({type(error).__name__}: {error}); install it or {remedy}") from error
    if tag is True and name not in model_store.pretrained_model_list():
        raise UserError(f"{what}: GluonCV publishes no weights of {name}; {remedy}")
    try:
        return model_store.get_model_file(name, tag=tag, root=root)
    except Exception as error:  # no network, no such version, a full disk, ...
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", width=160)
        raise UserError(f"{what}: the weights of {name} cannot be fetched ({reason}); "
                        f"{remedy}") from error
