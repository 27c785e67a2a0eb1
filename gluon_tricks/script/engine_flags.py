"""Flags of several devices and processes."""

import os

from gluon_tricks.engines.launcher import KVSTORES, kvstore_of_launcher
from gluon_tricks.engines.watchdog import TIMEOUT
from gluon_tricks.errors import UserError


def add_engine_flags(group):
    """Add the flags of devices and processes, except --num-gpus."""
    # With choices, because mx.kv.create accepts any name, such as horovod, and makes a store for one process
    group.add_argument("--kvstore", choices=KVSTORES,
                       help="what sums the gradients. One process: local, device, nccl. Several: dist_sync, "
                            "dist_device_sync (ps-lite), horovod (default: as launched; one process: device)")
    group.add_argument("--num-cpus", type=int, default=1,
                       help="CPU devices in this process, each with --batch-size images (default 1)")
    group.add_argument("--check-sync", type=int, default=1000, metavar="N",
                       help="updates between comparisons of the processes' parameters; 0: at the start only "
                            "(default 1000)")
    group.add_argument("--deterministic", action="store_true",
                       help="sum gradients in a fixed order; slower, and needed for equal bits with three or "
                            "more processes only")
    group.add_argument("--timeout", type=float, default=os.environ.get(TIMEOUT, 120), metavar="S",
                       help="several processes: seconds without progress after which a process ends (default "
                            "120)")


def settled_kvstore(args):
    """The name of the kvstore, from the flags and the launcher.

    Raises
    ------
    UserError
        For combinations that no engine supports.
    """
    kvstore, launched = args.kvstore, kvstore_of_launcher(os.environ)
    if kvstore in (None, launched):
        kvstore = kvstore or launched or "device"
    elif launched and not ("dist" in kvstore and "dist" in launched):
        raise UserError(f"--kvstore {kvstore}: this process was launched for {launched}, and every process "
                        f"would train alone; leave the flag out")
    if args.num_cpus > 1 and args.num_gpus:
        raise UserError(f"--num-cpus {args.num_cpus} and --num-gpus {args.num_gpus}: give one of them")
    if kvstore == "nccl" and not args.num_gpus:
        raise UserError("--kvstore nccl: needs GPUs; give --num-gpus, or use device")
    if kvstore == "horovod" and max(args.num_cpus, args.num_gpus) > 1:
        raise UserError(f"--kvstore horovod: supports one device per process; give --num-gpus "
                        f"{min(1, args.num_gpus)} and start more processes")
    return kvstore
