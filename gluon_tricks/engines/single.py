"""One process with one CPU or several GPUs."""

import mxnet as mx
from mxnet import gluon

from gluon_tricks.errors import UserError


class SingleProcess:
    """Gradients arrive *summed* over the devices of this process; `trainer.step` therefore gets the global batch size.

    Parameters
    ----------
    ctx : list of mxnet.Context
        Devices; each gets an equal part of every batch.
    parts_per_device : int
        Each device computes its part in so many pieces, one after another: BatchNorm and mixup see a piece, gradients are
        summed over all. With `--emulate-gpus` each piece stands for a device of its own, with `--accumulate` for a batch
        that fits into memory.
    """

    rank, local_rank, world_size, is_writer = 0, 0, 1, True

    def __init__(self, ctx, parts_per_device=1):
        self.ctx, self.parts_per_device = ctx, parts_per_device

    def trainer(self, net, optimizer):
        """A Trainer that updates on the devices, not in the kvstore, so that the optimizer's state can be saved."""
        return gluon.Trainer(net.collect_params(), optimizer, kvstore="device", update_on_kvstore=False)

    def split(self, array):
        """The parts of the array, in order, each on its device; a batch smaller than their number stays whole.

        A list has a part for each device already.
        """
        if isinstance(array, list):
            pieces = [min(self.parts_per_device, len(whole)) for whole in array]
            return [part for whole, n in zip(array, pieces) for part in gluon.utils.split_data(whole, n, even_split=False)]
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


def create_engine(num_gpus, parts_per_device=1):
    """The engine for `--num-gpus`, where 0 means the CPU.

    Raises
    ------
    UserError
        If MXNet sees fewer GPUs.
    """
    if num_gpus < 0:
        raise UserError(f"--num-gpus {num_gpus}: must be 0 (CPU) or more")
    seen = mx.context.num_gpus()
    if num_gpus > seen:
        raise UserError(f"--num-gpus {num_gpus}: MXNet sees {seen} GPUs; give --num-gpus {seen}"
                        + ("" if seen else " to train on the CPU (python -m gluon_tricks doctor says why)"))
    return SingleProcess([mx.gpu(i) for i in range(num_gpus)] or [mx.cpu()], parts_per_device)
