"""Optimizers by name: MXNet's, and two of this kit.

    nag, sgd          rate inside the momentum (v = m v + lr g), unlike PyTorch's form
    adam, rmsprop     MXNet's; weight decay is added to the gradient
    nadam             MXNet's. Its product of momentum factors should grow once per update but grows once per
                      update and array. After a few updates it is 0 and the first bias correction has no
                      effect. Kept because the follow-up's results were made with it
    adadelta          MXNet's. It has no rate: --lr has no effect, and weight decay is wd x weight, not lr x
                      wd x weight
    lars, adabound    optim/own_rules.py

Adam, Nadam and AdaBound count updates; `checkpoint.load_resume` restores their count.
"""

NAMES = ("nag", "sgd", "adam", "nadam", "adadelta", "rmsprop", "lars", "adabound")


def create_optimizer(name, lr, momentum=0.9, wd=0.0, dtype="float32", clip_gradient=None,
                     lars_coefficient=1.0, final_lr=0.1):
    """An optimizer for `Trainer`.

    Parameters
    ----------
    name : one of NAMES
    lr : float
        The peak rate; the schedule sets the rate before each update.
    momentum : float
        Of nag, sgd and lars.
    wd : float
    dtype : str
        With float16 it keeps float32 masters.
    clip_gradient : float, optional
        Each element of the gradient (of the mean loss) is clipped to [-clip, clip].
    lars_coefficient, final_lr : float
        See `LARS`, `AdaBound`.
    """
    import mxnet as mx

    from gluon_tricks.optim.own_rules import LARS, AdaBound

    common = dict(learning_rate=lr, wd=wd, multi_precision=dtype == "float16", clip_gradient=clip_gradient)
    if name == "lars":
        return LARS(momentum=momentum, coefficient=lars_coefficient, **common)
    if name == "adabound":
        return AdaBound(final_lr=final_lr, **common)
    return mx.optimizer.create(name, **({"momentum": momentum} if name in ("nag", "sgd") else {}), **common)
