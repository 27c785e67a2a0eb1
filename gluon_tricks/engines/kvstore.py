"""Several processes with MXNet's parameter server, ps-lite.

The servers only add: gradients come back summed, and every worker updates its own copy of the parameters.
MXNet's default is to update in the servers. It ignores `wd_mult` and the workers' changes of rate and
momentum.
"""

import mxnet as mx
import numpy as np
from mxnet import gluon

from gluon_tricks.engines.launcher import files_of_the_owner
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.parameters import connect

# far above the Trainer's keys, the numbers of parameters; a store takes integers only
FIRST_SUM_KEY = 1 << 20
FIRST_GRADIENT_KEY = 1 << 19


class KVStore(SingleProcess):
    """Gradients arrive *summed* over devices and processes; `trainer.step` gets the global batch size.

    Parameters
    ----------
    name : "dist_sync" or "dist_device_sync"
        The second adds this process's gradients on a GPU before they are sent.
    rank, local_rank : int or None
        The launcher's numbers. ps-lite has its own, by address; ours decide which process writes and which
        data each has.
    deterministic : bool
        Add gradients with `ReproducibleTrainer`.
    """

    def __init__(self, name, make_ctx, parts_per_device=1, rank=None, local_rank=0, deterministic=False):
        with files_of_the_owner():       # ps-lite's socket
            store = mx.kv.create(name)
        super().__init__(make_ctx(local_rank), parts_per_device, store)
        self.world_size, self.local_rank = store.num_workers, local_rank
        self.rank = store.rank if rank is None else rank
        self.is_writer, self.deterministic = self.rank == 0, deterministic
        self._keys = {}

    def trainer(self, net, optimizer):
        if not self.deterministic:
            return super().trainer(net, optimizer)
        trainer = ReproducibleTrainer(net.collect_params(), optimizer, self)
        connect(trainer)
        return trainer

    def sum(self, array):
        """The numpy array summed over processes, on every process.

        Exact for whole numbers up to 2^24, and for a number where the other processes have zero. The store
        adds in float32 (1e8 + 0.25 loses 0.25), so each number is sent as three.
        """
        rest = np.asarray(array, np.float64).ravel()
        parts = []
        for _ in range(3):                                         # 3 x 24 bits
            parts.append(rest.astype(np.float32))
            rest = rest - parts[-1]
        sent = mx.nd.array(np.stack(parts))  # a new array: the store writes its answer into it
        if sent.size not in self._keys:
            self._keys[sent.size] = FIRST_SUM_KEY + len(self._keys)
            self.kvstore.init(self._keys[sent.size], mx.nd.zeros_like(sent))
        self.kvstore.pushpull(self._keys[sent.size], sent, out=sent)
        return sent.asnumpy().astype(np.float64).sum(axis=0).reshape(np.shape(array))

    def close(self):
        mx.nd.waitall()
        self.barrier()


class ReproducibleTrainer(gluon.Trainer):
    """A Trainer whose sums over processes do not depend on which process is first.

    The server adds gradients in float32 as they arrive, so sums of three or more depend on the order. Here
    each array is sent as two arrays of whole numbers, in units of 2^-b and 2^-2b of its largest value over
    all processes. b is so small that every sum of whole numbers is exact (as in Demmel & Nguyen, Fast
    Reproducible Floating-Point Summation, 2013). The rest that is lost is below 2^-2b of the largest value:
    2^-44 for four processes.

    Parameters
    ----------
    engine : KVStore
    """

    def __init__(self, params, optimizer, engine):
        super().__init__(params, optimizer, kvstore=engine.kvstore, update_on_kvstore=False)
        self._engine, self._sent = engine, set()
        self._bits = 24 - (engine.world_size - 1).bit_length()

    def _allreduce_grads(self):
        trained = [(i, param) for i, param in enumerate(self._params) if param.grad_req != "null"]
        gradients = [_over_devices(param.list_grad()) for _, param in trained]
        largest = mx.nd.concat(*[gradient.abs().max() for gradient in gradients], dim=0).asnumpy()
        exponents = self._engine.gather(np.frexp(largest)[1]).max(axis=0).astype(int).tolist()
        sent = []
        for (i, _), gradient, exponent in zip(trained, gradients, exponents):
            pair = whole_numbers(gradient, exponent, self._bits)
            if i not in self._sent:
                self._sent.add(i)
                self._kvstore.init(FIRST_GRADIENT_KEY + i, mx.nd.zeros_like(pair))
            self._kvstore.pushpull(FIRST_GRADIENT_KEY + i, pair, out=pair, priority=-i)
            sent.append(pair)
        for (_, param), pair, exponent in zip(trained, sent, exponents):
            total = from_whole_numbers(pair, exponent, self._bits)
            for target in param.list_grad():
                target[:] = total.astype(target.dtype).as_in_context(target.context)


def whole_numbers(array, exponent, bits):
    """A float32 array of values up to 2^exponent as two arrays of whole numbers up to 2^bits, stacked."""
    scaled = array * 2.0**-exponent * 2.0**bits            # two factors: their product may not be a float32
    whole = scaled.round()
    return mx.nd.stack(whole, ((scaled - whole) * 2.0**bits).round())


def from_whole_numbers(pair, exponent, bits):
    """The float32 array of a result of `whole_numbers`, or of a sum of such results."""
    return (pair[0] + pair[1] * 2.0**-bits) * 2.0**-bits * 2.0**exponent


def _over_devices(arrays):
    """Sum of one array per device, in float32 on the CPU, in the order of the devices."""
    total, *others = [array.as_in_context(mx.cpu()).astype("float32") for array in arrays]
    return sum(others, total)
