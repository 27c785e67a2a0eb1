"""The arguments of a CIFAR net by the flags of train_cifar.py. Importing this file does not import MXNet."""

from gluon_tricks.errors import UserError
from gluon_tricks.models.names import MODELS

HAS_A_FLAG = {"classes": "--dataset", "in_channels": "--dataset", "drop_rate": "--drop-rate"}
DROPS = ("cifar_wideresnet", "cifar_densenet")       # the models that take --drop-rate


def net_keywords(model, channels=3, model_kwargs=None, drop_rate=0.0):
    """Keywords of `get_model` other than the name and the number of classes.

    Parameters
    ----------
    model : str
    channels : int
        Of the images. GluonCV's nets take colour images only, and no such keyword.
    model_kwargs : dict, optional
        Those of --model-kwargs.
    drop_rate : float

    Raises
    ------
    UserError
        If the model takes no grey images, or --model-kwargs repeats another flag.
    """
    given = dict(model_kwargs or {})
    for name, flag in HAS_A_FLAG.items():
        if name in given:
            raise UserError(f"--model-kwargs {name}={given[name]}: leave it out, {flag} sets it")
    if channels != 3 and not (model.lower() in MODELS and model.lower().startswith("cifar_")):
        raise UserError(f"--model {model}: takes colour images only; the cifar_* nets of this kit take grey "
                        f"ones too")
    if model.lower().startswith(DROPS):
        given["drop_rate"] = drop_rate
    return {**given, **({"in_channels": channels} if channels != 3 else {})}
