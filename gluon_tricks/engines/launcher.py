"""The kvstore, the number of processes and the devices of each, from a launcher's variables and the flags."""

import os
from contextlib import contextmanager

KVSTORES = ("local", "device", "nccl", "dist_sync", "dist_device_sync", "horovod")


def kvstore_of_launcher(environ):
    """The launcher's kvstore: "horovod" (horovodrun, mpirun), "dist_sync" (ps-lite), or None without one."""
    if "HOROVOD_RANK" in environ or "OMPI_COMM_WORLD_RANK" in environ:
        return "horovod"
    return "dist_sync" if environ.get("DMLC_ROLE") == "worker" else None


def launched_processes(kvstore, environ=os.environ):
    """Number of processes that the launcher started; 1 for a kvstore of one process."""
    if kvstore == "horovod":
        return int(environ.get("HOROVOD_SIZE") or environ.get("OMPI_COMM_WORLD_SIZE") or 1)
    return int(environ.get("DMLC_NUM_WORKER", 1)) if kvstore.startswith("dist") else 1


def devices_per_process(num_gpus, num_cpus):
    """Number of devices of one process, by --num-gpus and --num-cpus."""
    return max(num_gpus, num_cpus)


@contextmanager
def files_of_the_owner():
    """Within the block this process makes files and sockets that no other user may open."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
