"""What a launcher tells a training process: kvstore, number of processes, devices of each."""

import os

KVSTORES = ("local", "device", "nccl", "dist_sync", "dist_device_sync", "horovod")


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
