"""A moving average of a net's parameters, also evaluated and saved. Not in the paper, not in GluonCV."""

from contextlib import contextmanager

from mxnet import nd

from gluon_tricks.parameters import fixed_names, named_parameters, settle_weights


class ParameterAverage:
    """Average of parameters and running statistics over the updates, in float32, on the first device.

        average = d average + (1 - d) parameter,   d = min(decay, (1 + n) / (10 + n)) after n updates

    so the first updates lose their weight soon (the rule of TensorFlow's ExponentialMovingAverage).

    Parameters
    ----------
    net : HybridBlock, initialised, shapes known
    decay : float in (0, 1)
    """

    def __init__(self, net, decay):
        self.net, self.decay = net, decay
        self.arrays = {name: param.list_data()[0].astype("float32") for name,
                       param in named_parameters(net).items()}
        # rounding would move the averages of constants
        self.moving = {name: param for name, param in named_parameters(net).items()
                       if name not in fixed_names(net)}

    def update(self, num_update):
        """Include the parameters after update `num_update`, counted from 1."""
        decay = min(self.decay, (1 + num_update) / (10 + num_update))
        for name, param in self.moving.items():
            average, value = self.arrays[name], param.list_data()[0].astype("float32", copy=False)
            nd.elemwise_add(average * decay, value * (1 - decay), out=average)

    def restore(self, arrays):
        """Continue from saved arrays, by structural name."""
        for name, value in arrays.items():
            self.arrays[name][:] = nd.array(value, dtype="float32")

    @contextmanager
    def applied(self):
        """Within the `with` block the net has the averaged parameters."""
        params = named_parameters(self.net)
        own = {name: [value.copy() for value in param.list_data()] for name, param in params.items()}
        for name, param in params.items():
            for value in param.list_data():
                value[:] = self.arrays[name].as_in_context(value.context)
        settle_weights(self.net)
        try:
            yield
        finally:
            for name, param in params.items():
                for value, before in zip(param.list_data(), own[name]):
                    value[:] = before
            settle_weights(self.net)
