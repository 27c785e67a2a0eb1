"""A process that a test starts ends with the test process."""

import subprocess
import sys

import psutil
import pytest

from tests.processes import ENDS_WITH_PARENT, ROOT

TEST = """
import sys, time
from tests.processes import start
child = start([sys.executable, "-c", "import time; print('waits', flush=True); time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not ENDS_WITH_PARENT, reason="setpriv of util-linux is not installed")
def test_a_killed_test_leaves_no_process():
    test = subprocess.Popen([sys.executable, "-c", TEST], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines = {test.stdout.readline().strip() for _ in range(2)}
    [pid] = lines - {"waits"}
    child = psutil.Process(int(pid))
    test.kill()
    test.wait()
    test.stdout.close()
    assert psutil.wait_procs([child], timeout=60)[1] == []
