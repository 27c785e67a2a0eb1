"""Models by name: this kit's own first, GluonCV's zoo for every other name."""

import difflib
import inspect
import re
import textwrap

from gluon_tricks.errors import UserError
from gluon_tricks.models.loading import load_pretrained
from gluon_tricks.models.names import MODELS
from gluon_tricks.models.pretrained import DEFAULT_ROOT

GLUONCV_REQUIREMENT = "gluoncv==0.10.5.post0"

# Where `last_gamma` is not zero gamma in GluonCV
LAST_GAMMA_IGNORED = {"resnet18_v1b", "resnet34_v1b"}
LAST_GAMMA_INVERTED = re.compile(r"(se_)?resnext\d")  # given, the last gammas start at 1; not given, at 0

# GluonCV's classes that ignore unknown keywords: a mistyped trick, or the number of classes, would have no
# effect
DROP_KEYWORDS = {"ResNetV1b", "HighResolutionClsNet"}


def list_models():
    """Names of this kit's own models. `get_model` knows GluonCV's as well."""
    return list(MODELS)


def get_model(name, classes=None, fix_last_gamma=None, fix_use_se=False, **kwargs):
    """A net by its name, not yet initialised.

    Parameters
    ----------
    name : str
        One of `list_models()` or of GluonCV's zoo, in any case.
    classes : int
        Width of the classifier; None takes the model's own: 10 for CIFAR, 1000 for ImageNet.
    fix_last_gamma : bool, optional
        GluonCV inverts `last_gamma` in its ResNeXts, so that their published runs went without zero gamma,
        and ignores it in some other nets. True: the last gamma of each residual block starts at 0 if
        `last_gamma` is given and at 1 if not, or the model is refused. False: what GluonCV does, in this
        kit's own resnet18_v1b and resnet34_v1b too. None: True for this kit's own nets, False for GluonCV's.
    fix_use_se : bool
        GluonCV's `resnext*` ignore `use_se`; True makes them the `se_resnext*` of the same size.
    kwargs
        The model's other arguments: `last_gamma` and `dilated` of the ResNets, `drop_rate` of
        cifar_wideresnet*, ... `pretrained` loads GluonCV's published weights, `root` is the folder of their
        files, `ctx` their devices.

    Returns
    -------
    HybridBlock

    Raises
    ------
    UserError
        If no model has that name or the model does not take a keyword or value. If only GluonCV can have the
        model and cannot be imported. If there are no such weights.
    """
    name = name.lower()
    if classes is not None:
        if classes < 1:
            raise UserError(f"classes must be at least 1, got {classes}")
        kwargs["classes"] = classes
    if name in MODELS:
        if fix_last_gamma is False and name in LAST_GAMMA_IGNORED:
            kwargs.pop("last_gamma", None)
        return _own_model(name, **kwargs)
    published = published_name(name, fix_use_se and kwargs.get("use_se", False))
    if published != name:
        del kwargs["use_se"]
    return _gluoncv_model(published, fix_last_gamma, kwargs)


def published_name(name, use_se=False):
    """The name under which GluonCV publishes a net; with `use_se`, that of a ResNeXt with such blocks."""
    name = name.lower()
    return f"se_{name}" if use_se and name.startswith("resnext") else name


def _own_model(name, pretrained=False, root=DEFAULT_ROOT, ctx=None, **kwargs):
    build = MODELS[name].builder()
    accepted = inspect.signature(build).parameters
    _check_keywords(name, kwargs, accepted)
    published = accepted["classes"].default
    if pretrained and kwargs.get("classes", published) != published:
        raise UserError(f"pretrained: GluonCV's weights of {name} are for {published} classes, not "
                        f"{kwargs['classes']}; the training scripts' --init-params zoo loads all but the "
                        f"last layer")
    net = build(**kwargs)
    if pretrained:
        load_pretrained(net, name, pretrained, root, ctx)
    return net


def _gluoncv_model(name, fix_last_gamma, kwargs):
    zoo = _import_gluoncv_zoo(name)
    zoo_names = zoo.get_model_list()
    if name not in zoo_names:
        raise UserError(f"model {name} is unknown; {_nearest(name, {*MODELS, *zoo_names})}")
    zero_gamma = kwargs.get("last_gamma", False)
    if fix_last_gamma and LAST_GAMMA_INVERTED.match(name):
        kwargs["last_gamma"] = not zero_gamma
    if name.endswith("resnext101e_64x4d"):
        kwargs.setdefault("pretrained", False)  # GluonCV requires the key
    try:
        net = zoo.get_model(name, **kwargs)
    except (TypeError, Warning) as error:  # darknet53 raises a bare Warning
        refused = re.search(r"argument '(\w+)'", str(error))
        if refused is not None and refused[1] in kwargs:
            raise _unknown_keyword(name, refused[1]) from error
        if refused is not None or isinstance(error, Warning):
            raise UserError(f"model {name} cannot take all of {', '.join(kwargs)}: {error}") from error
        raise
    except OSError as error:  # a failed download
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", width=160)
        raise UserError(f"model {name}: its weights cannot be fetched ({reason}); leave pretrained "
                        f"out") from error
    if type(net).__name__ in DROP_KEYWORDS:
        _check_keywords(name, kwargs, {"pretrained", "root", "ctx", *inspect.signature(type(net)).parameters})
    if fix_last_gamma and zero_gamma and not _has_zero_gamma(net):
        raise UserError(f"model {name} ignores last_gamma; leave it out")
    return net


def _has_zero_gamma(net):
    return any(parameter.init == "zeros" for parameter in net.collect_params(".*gamma").values())


def _import_gluoncv_zoo(name):
    """GluonCV's `model_zoo`, imported only when a name needs it."""
    try:
        from gluoncv import model_zoo
    # not only ImportError: an unfit numpy or MXNet raises all kinds on GluonCV's import
    except Exception as error:
        raise UserError(f"model {name} is not one of this kit's own ({_nearest(name, MODELS)}), and "
                        f"GluonCV, which may have it, cannot be imported ({type(error).__name__}: {error}); "
                        f"install it with: pip install {GLUONCV_REQUIREMENT}") from error
    return model_zoo


def _nearest(name, known):
    nearest = difflib.get_close_matches(name, known, n=3)
    if nearest:
        return f"nearest: {', '.join(nearest)}"
    return "python -m gluon_tricks models lists this kit's own"


def _check_keywords(name, keywords, accepted):
    for keyword in keywords:
        if keyword not in accepted:
            raise _unknown_keyword(name, keyword)


def _unknown_keyword(name, keyword):
    return UserError(f"model {name} takes no {keyword}; leave it out")
