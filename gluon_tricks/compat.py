"""What MXNet 1.9.1 needs from the process before it is imported."""

import os


def prepare():
    """Set the process up for MXNet; does not import it. Calling it again changes nothing."""
    set_thread_count()


def set_thread_count():
    """Let operators use every CPU this process may run on.

    Without OMP_NUM_THREADS MXNet takes half of the CPUs, assuming that the rest are hyper-threads.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
