"""Who computes, and what sum of gradients arrives."""

import functools
import os
import sys

import mxnet as mx

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.engines.watchdog import HEARTBEATS, TIMEOUT, Watchdog
from gluon_tricks.errors import UserError

KVSTORES = ("local", "device", "nccl", "dist_sync", "dist_device_sync", "horovod")


def add_engine_flags(group):
    """The flags that say who computes, beside --num-gpus."""
    # argparse refuses other names: mx.kv.create takes any, horovod among them, and gives a store of this process alone
    group.add_argument("--kvstore", choices=KVSTORES,
                       help="who adds up gradients. In one process local, device, nccl; over several dist_sync, "
                            "dist_device_sync (ps-lite) or horovod (default: what the launcher started, else device)")
    group.add_argument("--num-cpus", type=int, default=1,
                       help="so many CPU devices in this process, each with --batch-size images (default 1)")
    group.add_argument("--check-sync", type=int, default=1000, metavar="N",
                       help="compare the processes' parameters at the start and every N updates (default 1000; 0: no more)")
    group.add_argument("--deterministic", action="store_true",
                       help="three processes and more: the same bits whatever the timing, at the price of a slower exchange "
                            "(fewer processes give them anyway)")
    group.add_argument("--timeout", type=float, default=os.environ.get(TIMEOUT, 120), metavar="S",
                       help="several processes: end a process that waits so many seconds for progress (default 120)")


def check_engine_flags(args):
    """Refuse combinations that no engine has, and settle on --kvstore."""
    launched = kvstore_of_launcher(os.environ)
    if args.kvstore in (None, launched):
        args.kvstore = args.kvstore or launched or "device"
    elif launched and not ("dist" in args.kvstore and "dist" in launched):
        raise UserError(f"--kvstore {args.kvstore}: the launcher of this process is for {launched}, and every process would "
                        f"train alone; leave the flag out")
    if args.num_cpus < 1:
        raise UserError(f"--num-cpus {args.num_cpus}: must be at least 1")
    if args.num_cpus > 1 and args.num_gpus:
        raise UserError(f"--num-cpus {args.num_cpus} and --num-gpus {args.num_gpus}: give one of them")
    if args.kvstore == "nccl" and not args.num_gpus:
        raise UserError("--kvstore nccl: adds up on GPUs; give --num-gpus, or use device")
    if args.kvstore == "horovod" and max(args.num_cpus, args.num_gpus) > 1:
        raise UserError(f"--kvstore horovod: has one device per process; give --num-gpus {min(1, args.num_gpus)} and start "
                        f"more processes")
    if args.check_sync < 0:
        raise UserError(f"--check-sync {args.check_sync}: must be at least 0")
    if not args.timeout > 0:
        raise UserError(f"--timeout {args.timeout}: must be positive")


def kvstore_of_launcher(environ):
    """What a process was started for: "horovod" (horovodrun, mpirun), "dist_sync" (ps-lite), or None."""
    if "HOROVOD_RANK" in environ or "OMPI_COMM_WORLD_RANK" in environ:
        return "horovod"
    return "dist_sync" if environ.get("DMLC_ROLE") == "worker" else None


def launched_processes(kvstore, environ=os.environ):
    """How many processes the launcher speaks of; 1 for an engine of one process."""
    if kvstore == "horovod":
        return int(environ.get("HOROVOD_SIZE") or environ.get("OMPI_COMM_WORLD_SIZE") or 1)
    return int(environ.get("DMLC_NUM_WORKER", 1)) if kvstore.startswith("dist") else 1


def devices_per_process(args):
    """Devices of one process, by --num-gpus and --num-cpus."""
    return max(args.num_gpus, args.num_cpus)


def create_engine(num_gpus, parts_per_device=1, num_cpus=1, kvstore="device", timeout_s=120, deterministic=False):
    """The engine for `--num-gpus`, where 0 means the CPU, `--num-cpus`, `--kvstore`, `--timeout` and `--deterministic`.

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
    if rank is not None:                   # before the processes meet, so that the launcher sees who does not come
        watchdog = Watchdog(int(rank), timeout_s, os.environ.get(HEARTBEATS))
        watchdog.start()
    if kvstore == "horovod":
        from gluon_tricks.engines.horovod import Horovod
        engine = Horovod(make_ctx, parts_per_device, launched_processes(kvstore), deterministic)
    else:
        from gluon_tricks.engines.kvstore import KVStore
        if os.environ.get("DMLC_ROLE") != "worker":
            raise UserError(f"--kvstore {kvstore}: no launcher has started this process (DMLC_ROLE is not set); "
                            f"python -m gluon_tricks launch -n 2 --engine dist_sync -- {sys.argv[0]} ...")
        engine = KVStore(kvstore, make_ctx, parts_per_device, rank and int(rank), int(local_rank or 0), deterministic)
    if rank is None and engine.world_size > 1:
        watchdog = Watchdog(engine.rank, timeout_s)
        watchdog.start()
    engine.watchdog = watchdog if engine.world_size > 1 else None
    return engine


def devices(num_gpus, num_cpus, local_rank):
    """The devices of the process that is number `local_rank` on its machine."""
    seen, wanted = mx.context.num_gpus(), num_gpus * (local_rank + 1)
    if num_gpus and wanted > seen:
        told = f"--num-gpus {num_gpus}" + (f" on each of {local_rank + 1} or more processes" if local_rank else "")
        raise UserError(f"{told}: MXNet sees {seen} GPUs; give --num-gpus {seen // (local_rank + 1)}"
                        + ("" if seen else " to train on the CPU (python -m gluon_tricks doctor says why)"))
    return [mx.gpu(i) for i in range(wanted - num_gpus, wanted)] or [mx.cpu(i) for i in range(num_cpus)]
