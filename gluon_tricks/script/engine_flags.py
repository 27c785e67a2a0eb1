"""Flags of several devices and processes."""

import os

from gluon_tricks.engines.launcher import KVSTORES, kvstore_of_launcher
from gluon_tricks.engines.watchdog import TIMEOUT
from gluon_tricks.errors import UserError


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


def settled_kvstore(args):
    """The kvstore that flags and launcher ask for.

    Raises
    ------
    UserError
        For combinations that no engine has.
    """
    kvstore, launched = args.kvstore, kvstore_of_launcher(os.environ)
    if kvstore in (None, launched):
        kvstore = kvstore or launched or "device"
    elif launched and not ("dist" in kvstore and "dist" in launched):
        raise UserError(f"--kvstore {kvstore}: the launcher of this process is for {launched}, and every process would "
                        f"train alone; leave the flag out")
    if args.num_cpus > 1 and args.num_gpus:
        raise UserError(f"--num-cpus {args.num_cpus} and --num-gpus {args.num_gpus}: give one of them")
    if kvstore == "nccl" and not args.num_gpus:
        raise UserError("--kvstore nccl: adds up on GPUs; give --num-gpus, or use device")
    if kvstore == "horovod" and max(args.num_cpus, args.num_gpus) > 1:
        raise UserError(f"--kvstore horovod: has one device per process; give --num-gpus {min(1, args.num_gpus)} and start "
                        f"more processes")
    return kvstore
