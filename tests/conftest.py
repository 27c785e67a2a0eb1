"""Shared by all tests. Importing the package first prepares the process for MXNet.

    SHOW_MEMORY=1 make test        # ends with the most memory that each worker had
"""

import ctypes
import gc
import os
import resource
import sys
from pathlib import Path

import pytest

if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
    # two workers with two threads each would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import gluon_tricks  # noqa: E402, F401

os.environ.setdefault("MPLBACKEND", "Agg")

HERE = Path(__file__).parent

# Long files, the longest first. xdist hands out files in the order of collection: none of these may be the
# last one.
LONG = ("engines/test_faults.py", "test_train_cifar.py", "test_train_imagenet.py", "test_train_cifar_lab.py",
        "engines/test_agreement.py", "studies/test_distilled_runs.py", "models/test_resnet_parity.py",
        "commands/test_export.py", "commands/test_evaluate_lab.py", "models/test_resnet.py",
        "commands/test_evaluate.py")


def pytest_collection_modifyitems(items):
    """Long files first; the order within a file stays."""
    ranks = {name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path.relative_to(HERE).as_posix(), len(ranks)))


# --- Memory -------------------------------------------------------------------------------------------------

KEPT_MB = 150        # what tests may leave before it is given back
left_mb = 0          # resident memory after it was given back for the last time


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    """After tests that took much, give memory back: nets hold each other in cycles, and malloc keeps what is
    freed."""
    global left_mb
    done = yield
    if resident_mb() > left_mb + KEPT_MB and "mxnet" in sys.modules:
        gc.collect()
        sys.modules["mxnet"].nd.waitall()
        ctypes.CDLL(None).malloc_trim(0)
        left_mb = resident_mb()
    return done


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def pytest_testnodedown(node):
    if os.environ.get("SHOW_MEMORY"):
        print(f"\n{node.gateway.id}: {getattr(node, 'workeroutput', {}).get('peak_mb', '?')} MB at most")
