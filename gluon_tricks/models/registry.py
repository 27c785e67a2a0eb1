"""Models by name: this kit's own first, GluonCV's zoo for every other name."""

import difflib
import inspect
import re

from gluon_tricks.errors import UserError
from gluon_tricks.models import cifar_resnet, cifar_resnext, cifar_wideresnet

MODELS = {**cifar_resnet.MODELS, **cifar_wideresnet.MODELS, **cifar_resnext.MODELS}  # name -> callable(classes=, ...)

GLUONCV_REQUIREMENT = "gluoncv==0.10.5.post0"


def list_models():
    """Names of this kit's own models. `get_model` knows GluonCV's as well."""
    return list(MODELS)


def get_model(name, classes=None, **kwargs):
    """A net by its name, not yet initialised.

    Parameters
    ----------
    name : str
        One of `list_models()` or of GluonCV's zoo, in any case.
    classes : int
        Width of the classifier; None takes the model's own: 10 for CIFAR, 1000 for ImageNet.
    kwargs
        What the model takes besides: `drop_rate` of cifar_wideresnet*, `last_gamma` of GluonCV's resnet*.
        `pretrained` stands for GluonCV's downloaded weights; this kit's own models have none.

    Returns
    -------
    HybridBlock

    Raises
    ------
    UserError
        If no model has that name, if the model takes no such keyword or value, or if only GluonCV could have the model
        and GluonCV cannot be imported.
    """
    name = name.lower()
    if classes is not None:
        if classes < 1:
            raise UserError(f"classes must be at least 1, got {classes}")
        kwargs["classes"] = classes
    return _own_model(name, kwargs) if name in MODELS else _gluoncv_model(name, kwargs)


def _own_model(name, kwargs):
    if kwargs.pop("pretrained", False):
        raise UserError(f"pretrained: {name} has no weights to download; leave it out and load a .params file "
                        "(GluonCV's fits)")
    _check_keywords(name, kwargs, inspect.signature(MODELS[name]).parameters)
    return MODELS[name](**kwargs)


def _gluoncv_model(name, kwargs):
    zoo = _import_gluoncv_zoo(name)
    zoo_names = zoo.get_model_list()
    if name not in zoo_names:
        raise UserError(f"model {name} is unknown; {_nearest(name, {*MODELS, *zoo_names})}")
    try:
        net = zoo.get_model(name, **kwargs)
    except TypeError as error:
        refused = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if refused is None:
            raise
        raise _unknown_keyword(name, refused[1]) from error
    if isinstance(net, zoo.ResNetV1b):  # resnet*_v1b to v1s drop what they do not know: a mistyped trick would be lost
        _check_keywords(name, kwargs, {"pretrained", "root", "ctx", *inspect.signature(type(net)).parameters})
    return net


def _import_gluoncv_zoo(name):
    """GluonCV's `model_zoo`, imported only when a name needs it."""
    try:
        from gluoncv import model_zoo
    except Exception as error:  # not only ImportError: an unfit numpy or MXNet raises all kinds on GluonCV's import
        raise UserError(f"model {name} is not one of this kit's own ({_nearest(name, MODELS)}), and GluonCV, which may "
                        f"have it, cannot be imported ({type(error).__name__}: {error}); "
                        f"install it with: pip install {GLUONCV_REQUIREMENT}") from error
    return model_zoo


def _nearest(name, known):
    nearest = difflib.get_close_matches(name, known, n=3)
    return f"nearest: {', '.join(nearest)}" if nearest else f"known here: {', '.join(MODELS)}"


def _check_keywords(name, keywords, accepted):
    for keyword in keywords:
        if keyword not in accepted:
            raise _unknown_keyword(name, keyword)


def _unknown_keyword(name, keyword):
    return UserError(f"model {name} takes no {keyword}; leave it out")
