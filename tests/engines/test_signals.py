"""Signals are handled for a while, and then as before; what nohup ignores stays so."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_tricks.engines.signals import handled_by
from gluon_tricks.launching.job import passed_on_signals


@pytest.fixture
def hangup():
    """SIGHUP's handler may be changed by a test."""
    before = signal.getsignal(signal.SIGHUP)
    yield signal.SIGHUP
    signal.signal(signal.SIGHUP, before)


def test_a_handler_is_called_within_the_block_only(hangup):
    outer, inner = [], []
    signal.signal(hangup, lambda number, frame: outer.append(number))
    with pytest.raises(ZeroDivisionError), handled_by(lambda number, frame: inner.append(number), hangup):
        os.kill(os.getpid(), hangup)
        raise ZeroDivisionError
    os.kill(os.getpid(), hangup)
    assert (inner, outer) == ([hangup], [hangup])


@pytest.mark.parametrize("ignored", [False, True])
def test_under_nohup_the_launcher_does_not_notice_a_lost_terminal(hangup, ignored):
    signal.signal(hangup, signal.SIG_IGN if ignored else signal.SIG_DFL)
    with passed_on_signals() as noted:
        os.kill(os.getpid(), hangup)
    assert noted == ([] if ignored else [hangup])


HANG = """
import collections, itertools, signal
from gluon_tricks.engines.signals import handled_once
with handled_once(lambda number, frame: print("noted", flush=True), signal.SIGTERM, signal.SIGINT):
    print("ready", flush=True)
    if {in_python}:
        while True:
            pass
    collections.deque(itertools.repeat(None), maxlen=0)        # for ever, and Python calls no handler
"""


@pytest.mark.parametrize("in_python, numbers", [(True, [signal.SIGTERM, signal.SIGINT]),
                                                (False, [signal.SIGTERM, signal.SIGTERM])])
def test_a_second_signal_ends_a_process_that_hangs(in_python, numbers):
    process = subprocess.Popen([sys.executable, "-c", HANG.format(in_python=in_python)],
                               cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(numbers[0])
        if in_python:
            assert process.stdout.readline() == "noted\n"
        else:
            wait_until_delivered(process, numbers[0])
        assert process.poll() is None
        process.send_signal(numbers[1])
        assert process.wait(60) == -numbers[1]
    finally:
        process.kill()


def wait_until_delivered(process, number):
    """Wait until a signal of a process is no longer pending."""
    bit, status = 1 << number - 1, Path(f"/proc/{process.pid}/status")
    while any(int(line.split()[1], 16) & bit for line in status.read_text().splitlines()
              if line.startswith(("SigPnd", "ShdPnd"))):
        os.sched_yield()
