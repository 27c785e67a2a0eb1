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
from xdist.scheduler import LoadFileScheduling

if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
    # two workers with two threads each would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# oneDNN's primitives of each shape of each net that a test makes would stay, some 3 GB in the end
os.environ.setdefault("MXNET_MKLDNN_CACHE_NUM", "32")
os.environ.setdefault("DNNL_PRIMITIVE_CACHE_CAPACITY", "64")

import gluon_tricks  # noqa: E402, F401

os.environ.setdefault("MPLBACKEND", "Agg")

# Long files, roughly the longest first. A file is one worker's: none of these may be the last one. Those with
# several processes at a time are not neighbours.
LONG = ("engines/test_faults.py", "test_train_cifar_lab.py", "parity/test_training_loops.py",
        "engines/test_agreement.py", "studies/test_distilled_runs.py", "test_train_cifar.py",
        "test_train_imagenet.py", "transfer/test_processes.py", "commands/test_evaluate_lab.py",
        "test_package.py", "benching/test_sides.py", "models/test_resnet_parity.py",
        "commands/test_evaluate.py", "transfer/test_backbone_parity.py", "transfer/test_scripts.py",
        "commands/test_export.py", "commands/test_replay.py", "commands/test_compare.py",
        "published/test_published.py", "commands/test_sweep.py", "commands/test_tables.py",
        "models/test_resnet.py", "data_prep/test_imagenet.py", "data_prep/test_kill_prepare.py",
        "commands/test_doctor.py", "benching/test_scaling.py", "script/test_auto_dtype.py")


class LongFilesFirst(LoadFileScheduling):
    """xdist hands out files with many tests first; here those in LONG come before."""

    def _assign_work_unit(self, node):
        self.workqueue.move_to_end(min(self.workqueue, key=rank_of), last=False)
        super()._assign_work_unit(node)


def rank_of(file):
    """Place of a file of tests/ in LONG; the others come after."""
    name = file.partition("/")[2]
    return LONG.index(name) if name in LONG else len(LONG)


def pytest_xdist_make_scheduler(config, log):
    return LongFilesFirst(config, log) if config.getvalue("dist") == "loadfile" else None


# --- Memory -------------------------------------------------------------------------------------------------

gc.disable()         # until all modules are imported: they stay
KEPT_MB = 150        # what tests may leave before it is given back
left_mb = 0          # resident memory after it was given back for the last time


def pytest_collection_finish():
    """What is there now stays: the collector need not look at it again, which takes it 0.1 s a time."""
    gc.enable()
    gc.collect()
    gc.freeze()


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
