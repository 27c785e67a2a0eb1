"""Several processes with Horovod, one device each."""

import os

import mxnet as mx
import numpy as np

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError

# interval at which processes exchange what is ready; Horovod's 1 ms is for idle processors
CPU_CYCLE_MS = "10"


class Horovod(SingleProcess):
    """Gradients arrive *averaged* over processes: `trainer.step` gets the batch size of one process.

    Horovod sums, and its trainer divides by the number of processes.

    With NCCL 2.10 or later Horovod averages within the sum; `trainer.step` gets the same.

    Parameters
    ----------
    expected : int or None
        Number of processes that the launcher started.
    deterministic : bool
        Exchange gradients one by one. Horovod sends together those that are ready, and the place of a number
        in that buffer decides in which order three processes or more add it.

    Raises
    ------
    UserError
        If Horovod is not installed for MXNet, or sees another number of processes.
    """

    def __init__(self, make_ctx, parts_per_device=1, expected=None, deterministic=False):
        self._hvd = hvd = import_horovod()
        if deterministic:
            os.environ["HOROVOD_FUSION_THRESHOLD"] = "0"
        if make_ctx(0)[0].device_type == "cpu":
            os.environ.setdefault("HOROVOD_CYCLE_TIME", CPU_CYCLE_MS)
        hvd.init()
        super().__init__(make_ctx(hvd.local_rank()), parts_per_device, None)
        self.rank, self.local_rank, self.world_size = hvd.rank(), hvd.local_rank(), hvd.size()
        self.is_writer = self.rank == 0
        if expected is not None and expected != self.world_size:
            raise UserError(f"--kvstore horovod: the launcher started {expected} processes, Horovod sees "
                            f"{self.world_size}; under mpirun it must have been compiled with MPI: use "
                            f"python -m gluon_tricks launch")

    def trainer(self, net, optimizer):
        return self._hvd.DistributedTrainer(net.collect_params(), optimizer)

    def step_size(self, local_batch):
        return local_batch

    def sum(self, array):
        array = np.asarray(array, np.float64)
        sent = mx.nd.array(array.ravel(), dtype="float64")
        return self._hvd.allreduce(sent, average=False,
                                   name=f"sum of {array.size}").asnumpy().reshape(array.shape)

    def close(self):
        mx.nd.waitall()
        self.barrier()                 # a process that leaves early breaks the others' exchange
        self._hvd.shutdown()


def import_horovod():
    """Import `horovod.mxnet`.

    Raises
    ------
    UserError
        If it is missing or compiled for another MXNet.
    """
    try:
        import horovod.mxnet as hvd
    except (ImportError, OSError) as error:
        raise UserError(f"--kvstore horovod: Horovod for MXNet does not import "
                        f"({str(error).splitlines()[0]}); make horovod compiles it, or use --kvstore "
                        f"dist_sync") from error
    return hvd
