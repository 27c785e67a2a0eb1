"""The engine of one process with one or several devices, and base of the engines of several processes."""

import mxnet as mx
import numpy as np
from mxnet import gluon

from gluon_tricks.parameters import connect, is_statistic, named_parameters


class SingleProcess:
    """Gradients arrive *summed* over this process's devices; `trainer.step` gets the global batch size.

    Parameters
    ----------
    ctx : list of mxnet.Context
        Devices; each gets an equal part of every batch.
    parts_per_device : int
        Number of pieces that each device computes of its part, one after another. BatchNorm and mixup see one
        piece; gradients are summed over all. With `--emulate-gpus` a piece is a device's part, with
        `--accumulate` a batch that fits into memory.
    kvstore : "device", "local" or "nccl"
        MXNet's way of summing over the devices.
    """

    rank, local_rank, world_size, is_writer = 0, 0, 1, True
    watchdog = None

    def __init__(self, ctx, parts_per_device=1, kvstore="device"):
        self.ctx, self.parts_per_device, self.kvstore = ctx, parts_per_device, kvstore

    def trainer(self, net, optimizer):
        """A Trainer that updates on the devices, not in the kvstore.

        Updates in the store would ignore multipliers of rate and decay (hence "no bias decay"), and its state
        cannot be saved. The store gets the parameters now, not at the first step as in MXNet. After a
        forward, some workers got wrong weights from ps-lite (probably where a convolution had reordered them
        for oneDNN), and several devices lost the first update's statistics.
        """
        trainer = gluon.Trainer(net.collect_params(), optimizer, kvstore=self.kvstore,
                                update_on_kvstore=False)
        connect(trainer)
        return trainer

    def step_size(self, local_batch):
        """The argument of `trainer.step`, for `local_batch` images on each process."""
        return local_batch * self.world_size

    def split(self, array):
        """The parts of the array in order, each on its device; a batch smaller than their number stays whole.

        A list already has one part for each device.
        """
        if isinstance(array, list):
            pieces = [min(self.parts_per_device, len(whole)) for whole in array]
            return [part for whole, n in zip(array, pieces)
                    for part in gluon.utils.split_data(whole, n, even_split=False)]
        devices = [ctx for ctx in self.ctx for _ in range(self.parts_per_device)]
        if len(devices) == 1 or len(array) < len(devices):
            return [array.as_in_context(self.ctx[0])]
        return gluon.utils.split_and_load(array, devices, even_split=False)

    def passes(self, batch):
        """The batch as a sequence of passes: lists of (data, label), one for each device."""
        parts = list(zip(self.split(batch.data), self.split(batch.label)))
        for number in range(self.parts_per_device):
            if shares := parts[number::self.parts_per_device]:
                yield shares

    # --- exchange between processes: every process must make these calls, in the same order -----------------

    def sum(self, array):
        """The numpy array summed over processes, on each process: float64, same shape, exact for integers."""
        return np.asarray(array, np.float64)

    def gather(self, row):
        """One row of numbers of each process: float64, shape (world_size, len(row)), on every process."""
        table = np.zeros((self.world_size, len(row)))
        table[self.rank] = row
        return self.sum(table)

    def barrier(self):
        """Wait until every process has called this."""
        self.sum([0])

    def broadcast_parameters(self, net):
        """Give every process the parameters of rank 0; all shapes must be known."""
        for param in named_parameters(net).values() if self.world_size > 1 else ():
            value = param.list_data()[0].asnumpy()
            value = self.sum(value if self.rank == 0 else np.zeros_like(value))  # adding zeros changes no bit
            for target in param.list_data():
                target[:] = mx.nd.array(value, dtype=target.dtype)

    def average_statistics(self, net, average=None):
        """Give every process the mean of the processes' BatchNorm statistics, before evaluation and saving.

        During training they are local. Each is a moving average, so the mean over processes is the moving
        average of the processes' means: the number of calls changes rounding only. GluonCV's Horovod script
        evaluates each rank with its own statistics and saves those of the rank that writes last.

        Parameters
        ----------
        average : ParameterAverage, optional
            Its averages of the statistics are averaged too.
        """
        if self.world_size == 1:
            return
        params = named_parameters(net)
        names = [name for name, param in params.items() if is_statistic(param)]
        arrays = [array for name in names for array in params[name].list_data()]
        arrays += [average.arrays[name] for name in names] if average else []
        if not arrays:
            return
        mx.nd.waitall()  # on CPUs the dependency engine does not know that backward writes statistics
        flat = np.concatenate([array.asnumpy().ravel() for array in arrays])
        flat, start = self.gather(flat).mean(axis=0), 0  # in the order of the ranks: always the same bits
        for array in arrays:
            array[:] = mx.nd.array(flat[start:start + array.size].reshape(array.shape), dtype=array.dtype)
            start += array.size

    def beat(self, stage, num_update=None):
        """Report progress to the watchdog, if there is one."""
        if self.watchdog:
            self.watchdog.beat(stage, num_update)

    def close(self):
        """End together with the other processes."""
