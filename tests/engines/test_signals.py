"""Signals are handled for a while, and then as before; what nohup ignores stays so."""

import os
import signal

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
