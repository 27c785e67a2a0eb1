"""Optimizers by name. MXNet's own where they do what their papers say; two of ours.

    nag, sgd          rate inside the momentum (v = m v + lr g), unlike PyTorch's form
    adam, rmsprop     MXNet's; weight decay is added to the gradient
    nadam             MXNet's. Its product of momentum factors is meant to grow once per update but does so once per update
                      and array, so after a few updates it is 0 and the first bias correction is gone. Kept, for the
                      follow-up's figures were made with it
    adadelta          MXNet's. It has no rate: --lr is without effect, and weight decay is wd x weight, not lr x wd x weight
    lars, adabound    here

Adam, Nadam and AdaBound count updates; `checkpoint.load_resume` gives them the count of the run that goes on.
"""

import math

import mxnet as mx
from mxnet import nd

NAMES = ("nag", "sgd", "adam", "nadam", "adadelta", "rmsprop", "lars", "adabound")


def create_optimizer(name, lr, momentum=0.9, wd=0.0, dtype="float32", clip_gradient=None, lars_coefficient=1.0,
                     final_lr=0.1):
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
        Each element of the gradient (of the mean loss) is cut to [-clip, clip].
    lars_coefficient, final_lr : float
        See `LARS`, `AdaBound`.
    """
    common = dict(learning_rate=lr, wd=wd, multi_precision=dtype == "float16", clip_gradient=clip_gradient)
    if name == "lars":
        return LARS(momentum=momentum, coefficient=lars_coefficient, **common)
    if name == "adabound":
        return AdaBound(final_lr=final_lr, **common)
    return mx.optimizer.create(name, **({"momentum": momentum} if name in ("nag", "sgd") else {}), **common)


class _Own(mx.optimizer.Optimizer):
    """What our rules have in common: rate, decay and the gradient of the mean loss, clipped."""

    def _prepare(self, index, grad):
        self._update_count(index)
        grad = grad * self.rescale_grad
        if self.clip_gradient is not None:
            grad = grad.clip(-self.clip_gradient, self.clip_gradient)
        return self._get_lr(index), self._get_wd(index), grad


class LARS(_Own):
    """Layer-wise adaptive rate scaling (You et al. 2017, arXiv 1708.03888).

        v = m v + lr local (g + wd w),   w = w - v,   local = c |w| / (|g| + wd |w| + eps)

    and local = 1 where |w| is below `threshold`: arrays that start at 0 would never move. The paper's coefficient c is
    about 0.001; the CIFAR-10 collection has none, c = 1, with rates a thousandth as high.

    MXNet's LARS differs: it scales the momentum where the rate changes, in the first few arrays of each update only; it
    leaves biases and BatchNorm alone by their names, which Gluon's Trainer does not tell it; and it has no threshold.
    """

    def __init__(self, momentum=0.9, coefficient=1.0, threshold=1e-2, epsilon=1e-9, **kwargs):
        super().__init__(**kwargs)
        self.momentum, self.coefficient, self.threshold, self.epsilon = momentum, coefficient, threshold, epsilon

    def create_state(self, index, weight):
        return nd.zeros(weight.shape, ctx=weight.context, dtype=weight.dtype)

    def update(self, index, weight, grad, state):
        lr, wd, grad = self._prepare(index, grad)
        weight_norm, grad_norm = weight.norm(), grad.norm()                         # (1,) each; nothing waits for them
        local = self.coefficient * weight_norm / (grad_norm + wd * weight_norm + self.epsilon)
        local = nd.where(weight_norm < self.threshold, nd.ones_like(local), local)
        state[:] = self.momentum * state + nd.broadcast_mul(grad + wd * weight, lr * local.reshape((1,) * weight.ndim))
        weight[:] -= state


class AdaBound(_Own):
    """Adam whose rate per weight is kept between bounds that close in on SGD's (Luo et al. 2019, arXiv 1902.09843).

        rate = clip(lr sqrt(1 - b2^t) / (1 - b1^t) / (sqrt(v) + eps), lower, upper),   w = w - rate m
        lower = F (1 - 1 / (gamma t + 1)),   upper = F (1 + 1 / (gamma t)),   F = final_lr x lr / (lr at the start)

    The decay is added to the gradient, as the authors' code has it.
    """

    def __init__(self, learning_rate=0.001, final_lr=0.1, beta1=0.9, beta2=0.999, gamma=1e-3, epsilon=1e-8, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.first_lr, self.final_lr, self.gamma = learning_rate, final_lr, gamma
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def create_state(self, index, weight):
        return tuple(nd.zeros(weight.shape, ctx=weight.context, dtype=weight.dtype) for _ in range(2))

    def update(self, index, weight, grad, state):
        lr, wd, grad = self._prepare(index, grad)
        grad = grad + wd * weight
        t, (mean, square) = self._index_update_count[index], state
        mean[:] = self.beta1 * mean + (1 - self.beta1) * grad
        square[:] = self.beta2 * square + (1 - self.beta2) * grad * grad
        final = self.final_lr * lr / self.first_lr
        lower, upper = final * (1 - 1 / (self.gamma * t + 1)), final * (1 + 1 / (self.gamma * t))
        step = lr * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        weight[:] -= (step / (square.sqrt() + self.epsilon)).clip(lower, upper) * mean
