"""Several processes with MXNet's parameter server, ps-lite.

The servers only add: gradients come back summed and every worker updates its own copy of the parameters. MXNet's default,
updates in the servers, silently drops `wd_mult` and leaves the workers' learning rate and momentum behind.
"""

import mxnet as mx
import numpy as np

from gluon_tricks.engines.single import SingleProcess

FIRST_SUM_KEY = 1 << 20          # far above the Trainer's keys, which count parameters; a store takes whole numbers only


class KVStore(SingleProcess):
    """Gradients arrive *summed* over devices and processes; `trainer.step` therefore gets the global batch size.

    Parameters
    ----------
    name : "dist_sync" or "dist_device_sync"
        The second adds up this process's gradients on a GPU before they are sent.
    rank, local_rank : int or None
        The launcher's numbers. ps-lite has its own, by address; only who writes and who has which data depends on ours.
    """

    def __init__(self, name, make_ctx, parts_per_device=1, rank=None, local_rank=0):
        store = mx.kv.create(name)
        super().__init__(make_ctx(local_rank), parts_per_device, store)
        self.world_size, self.local_rank = store.num_workers, local_rank
        self.rank = store.rank if rank is None else rank
        self.is_writer = self.rank == 0
        self._keys = {}

    def sum(self, array):
        array = np.asarray(array, np.float64)
        sent = mx.nd.array(array.ravel(), dtype="float64")         # a new one: the store answers into what was sent
        if array.size not in self._keys:
            self._keys[array.size] = FIRST_SUM_KEY + len(self._keys)
            self.kvstore.init(self._keys[array.size], mx.nd.zeros(array.size, dtype="float64"))
        self.kvstore.pushpull(self._keys[array.size], sent, out=sent)
        return sent.asnumpy().reshape(array.shape)

    def close(self):
        mx.nd.waitall()
        self.barrier()
