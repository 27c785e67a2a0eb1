"""What the tests of several processes share: starting jobs, finding their processes, reading what they left.
"""

import importlib.util
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from tests import processes
from tests.processes import ROOT

LIMIT_S = 300                    # a test that waits longer is stuck; this is no limit on speed
NO_HOROVOD = importlib.util.find_spec("horovod") is None
NEEDS_HOROVOD = pytest.mark.skipif(NO_HOROVOD, reason="Horovod is not installed: make horovod compiles it")
ENGINES = [pytest.param("horovod", marks=NEEDS_HOROVOD), "dist_sync"]


def start(engine, workers, words, *flags, **environment):
    """`python -m gluon_tricks launch` with a script's words; a Popen."""
    command = [sys.executable, "-m", "gluon_tricks", "launch", "-n", workers, "--engine", engine, *flags,
               "--", *words]
    return processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           env={**psutil.Process().environ(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
                                **environment})


def finish(launcher, check=0, members=None):
    """Output of a job; fails if it ended otherwise than with `check` (None: with anything but 0), or left a
    process. `members` are its processes; without them it must still run, or they are not found.
    """
    members = members_of(launcher) if members is None else members
    output, _ = launcher.communicate(timeout=LIMIT_S)
    assert (launcher.returncode == check) if check is not None else launcher.returncode > 0, output
    assert not [process for process in members if alive(process)], output
    return output


def members_of(launcher):
    """The job's processes."""
    try:
        return psutil.Process(launcher.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def worker(launcher, rank):
    """The process of that rank."""
    return next(process for process in members_of(launcher)
                if alive(process) and process.environ().get("GLUON_TRICKS_RANK") == str(rank))


def alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition, launcher):
    """Wait for something that a job does while it runs."""
    end = time.time() + LIMIT_S
    while not condition():
        assert launcher.poll() is None, launcher.communicate()[0]
        assert time.time() < end
        time.sleep(0.1)


def arrays_of(path):
    """Trained parameters and statistics of a resume file, by name."""
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files if name != "meta"}


def assert_close(arrays, expected, rtol=1e-5, rtol_each=1e-3):
    """All arrays as one vector within `rtol` of its norm, and each array within `rtol_each` of its own.

    A different order of summation is that small; an image in the wrong update, a missing process or factor is
    not.
    """
    assert set(arrays) == set(expected) and arrays
    squares = {name: [(np.asarray(array, np.float64) ** 2).sum()
                      for array in (value - expected[name], expected[name])]
               for name, value in arrays.items()}
    for name, (difference, whole) in squares.items():
        assert difference <= rtol_each**2 * max(whole, 1e-6), (name, difference, whole)
    difference, whole = np.sum(list(squares.values()), axis=0)
    assert difference <= rtol**2 * whole, (difference / whole) ** 0.5
