"""LARS and AdaBound; MXNet has LARS in another form and no AdaBound."""

import math

import mxnet as mx
from mxnet import nd


class _Rule(mx.optimizer.Optimizer):
    """Common to both: rate, decay and the clipped gradient of the mean loss."""

    def _prepare(self, index, grad):
        self._update_count(index)
        grad = grad * self.rescale_grad
        if self.clip_gradient is not None:
            grad = grad.clip(-self.clip_gradient, self.clip_gradient)
        return self._get_lr(index), self._get_wd(index), grad


class LARS(_Rule):
    """Layer-wise adaptive rate scaling (You et al. 2017, arXiv 1708.03888).

        v = m v + lr local (g + wd w),   w = w - v,   local = c |w| / (|g| + wd |w| + eps)

    and local = 1 where |w| is below `threshold`: arrays that start at 0 would never move. The paper's
    coefficient c is about 0.001; the CIFAR-10 collection has none, c = 1, with rates a thousandth as high.

    MXNet's LARS differs. It scales the momentum where the rate changes, in the first few arrays of each
    update only. It exempts biases and BatchNorm by their names, which Gluon's Trainer does not pass on. It
    has no threshold.
    """

    def __init__(self, momentum=0.9, coefficient=1.0, threshold=1e-2, epsilon=1e-9, **kwargs):
        super().__init__(**kwargs)
        self.momentum, self.coefficient = momentum, coefficient
        self.threshold, self.epsilon = threshold, epsilon

    def create_state(self, index, weight):
        return nd.zeros(weight.shape, ctx=weight.context, dtype=weight.dtype)

    def update(self, index, weight, grad, state):
        lr, wd, grad = self._prepare(index, grad)
        weight_norm, grad_norm = weight.norm(), grad.norm()  # (1,) each; nothing waits for them
        local = self.coefficient * weight_norm / (grad_norm + wd * weight_norm + self.epsilon)
        local = nd.where(weight_norm < self.threshold, nd.ones_like(local), local)
        state[:] = self.momentum * state + nd.broadcast_mul(grad + wd * weight,
                                                            lr * local.reshape((1,) * weight.ndim))
        weight[:] -= state


class AdaBound(_Rule):
    """Adam with rates between bounds that converge to SGD's (Luo et al. 2019, arXiv 1902.09843).

        rate = clip(lr sqrt(1 - b2^t) / (1 - b1^t) / (sqrt(v) + eps), lower, upper),   w = w - rate m
        lower = F (1 - 1 / (gamma t + 1)),   upper = F (1 + 1 / (gamma t)),   F = final_lr x lr / (first lr)

    The decay is added to the gradient, as in the authors' code.
    """

    def __init__(self, learning_rate=0.001, final_lr=0.1, beta1=0.9, beta2=0.999, gamma=1e-3, epsilon=1e-8,
                 **kwargs):
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
