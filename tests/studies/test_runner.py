"""Stopping the rows of a table: at whatever moment a signal comes, no process is left and the answer is one
sentence."""

import os
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest

from gluon_tricks.engines.signals import handled_by
from gluon_tricks.errors import UserError
from gluon_tricks.studies import runner

SLEEP = "import time; time.sleep(100)"


def row(code=SLEEP):
    return SimpleNamespace(slug="row", title="a row", updates=1, words=[], command=lambda out,
                           more: ["-c", code], log=lambda out: out / "row" / "train.log",
                           is_finished=lambda out: False)


@pytest.fixture(autouse=True)
def as_in_a_terminal():
    """Handlers as a shell's foreground has them, also where these tests run under nohup or in the
    background."""
    with handled_by(signal.default_int_handler, signal.SIGINT), handled_by(signal.SIG_DFL, signal.SIGTERM,
                                                                           signal.SIGHUP):
        yield


@pytest.fixture
def started(monkeypatch):
    """The processes that the runner starts."""
    class Noted(subprocess.Popen):
        during_start = None

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            found.append(self)
            if self.during_start:
                os.kill(os.getpid(), self.during_start)
                # the handler is called here, before the runner has the process
                time.sleep(0.01)
    found = []
    monkeypatch.setattr(runner.subprocess, "Popen", Noted)
    yield Noted, found
    for process in found:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_process_starts_ends_that_process(tmp_path, started, number):
    popen, found = started
    popen.during_start = number
    before = signal.getsignal(number)
    with pytest.raises(UserError, match="stopped in a row; the same command goes on from there"):
        runner.run_rows([row()], tmp_path)
    assert [process.poll() for process in found] == [-signal.SIGTERM]
    assert signal.getsignal(number) == before


def test_a_signal_between_two_rows_is_answered_in_a_sentence(tmp_path, started, monkeypatch):
    def interrupted(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr(runner, "summary", interrupted)
    with pytest.raises(UserError, match="stopped in a row"):
        runner.run_rows([row("raise SystemExit(3)")], tmp_path)
    assert [process.poll() for process in started[1]] == [3]


def test_what_nohup_ignores_stays_ignored(tmp_path, started):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    started[0].during_start = signal.SIGHUP
    assert runner.run_rows([row("raise SystemExit(3)")], tmp_path)["row"]
