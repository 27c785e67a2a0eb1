"""Create the engine for a kvstore and a number of devices."""

import functools
import os
import sys

import mxnet as mx

from gluon_tricks.engines.launcher import launched_processes
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.engines.watchdog import HEARTBEATS, Watchdog
from gluon_tricks.errors import UserError


def create_engine(num_gpus, parts_per_device=1, num_cpus=1, kvstore="device", timeout_s=120,
                  deterministic=False):
    """The engine for `--num-gpus` (0: the CPU), `--num-cpus`, `--kvstore`, `--timeout` and `--deterministic`.

    Raises
    ------
    UserError
        If MXNet sees fewer GPUs, or no launcher has started the other processes.
    """
    if num_gpus < 0:
        raise UserError(f"--num-gpus {num_gpus}: must be 0 (CPU) or more")
    make_ctx = functools.partial(devices, num_gpus, num_cpus)
    if kvstore in ("local", "device", "nccl"):
        return SingleProcess(make_ctx(0), parts_per_device, kvstore)
    rank, local_rank = (os.environ.get(f"GLUON_TRICKS_{name}") for name in ("RANK", "LOCAL_RANK"))
    if rank is not None:  # before the processes connect, so that the launcher sees which one is missing
        watchdog = Watchdog(int(rank), timeout_s, os.environ.get(HEARTBEATS))
        watchdog.start()
    if kvstore == "horovod":
        from gluon_tricks.engines.horovod import Horovod
        engine = Horovod(make_ctx, parts_per_device, launched_processes(kvstore), deterministic)
    else:
        from gluon_tricks.engines.kvstore import KVStore
        if os.environ.get("DMLC_ROLE") != "worker":
            raise UserError(f"--kvstore {kvstore}: no launcher has started this process (DMLC_ROLE is not "
                            f"set); python -m gluon_tricks launch -n 2 --engine dist_sync -- {sys.argv[0]} "
                            f"...")
        engine = KVStore(kvstore, make_ctx, parts_per_device, rank and int(rank), int(local_rank or 0),
                         deterministic)
    if rank is None and engine.world_size > 1:
        watchdog = Watchdog(engine.rank, timeout_s)
        watchdog.start()
    engine.watchdog = watchdog if engine.world_size > 1 else None
    return engine


def devices(num_gpus, num_cpus, local_rank):
    """The devices of process number `local_rank` of this machine.

    Raises
    ------
    UserError
        If MXNet sees fewer GPUs.
    """
    seen, wanted = mx.context.num_gpus(), num_gpus * (local_rank + 1)
    if num_gpus and wanted > seen:
        flag = f"--num-gpus {num_gpus}" + (f" on each of {local_rank + 1} or more processes" if local_rank
                                           else "")
        raise UserError(f"{flag}: MXNet sees {seen} GPUs; give --num-gpus {seen // (local_rank + 1)}"
                        + ("" if seen else " to train on the CPU (python -m gluon_tricks doctor says why)"))
    return [mx.gpu(i) for i in range(wanted - num_gpus, wanted)] or [mx.cpu(i) for i in range(num_cpus)]
