"""What standard error shows during work: the status line, the opening table, and a line for each case."""

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from gluon_tricks.script.opening import rate_words
from gluon_tricks.training import status
from gluon_tricks.training.progress import Progress
from gluon_tricks.training.record import open_log

ROOT = Path(__file__).resolve().parents[2]


class Terminal(io.StringIO):
    """Standard error of a terminal, which keeps what is written."""
    encoding = "utf-8"

    def isatty(self):
        return True

    def seen(self):
        """The lines in the order in which they were drawn."""
        return [line for line in re.split(r"[\r\n]+", self.getvalue()) if line.strip()]


@pytest.fixture
def open_terminal(monkeypatch):
    """Makes standard error a terminal when called; pytest sets its own between the fixtures and the test."""
    def made(**environ):
        for name, value in {"TERM": "xterm", **environ}.items():
            monkeypatch.setenv(name, value)
        found = Terminal()
        monkeypatch.setattr(sys, "stderr", found)
        return found
    return made


@pytest.fixture
def clock(monkeypatch):
    """The seconds of the module's clock, to be set; tqdm's own clock goes on."""
    seconds = [0.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: seconds[0])
    return seconds


@pytest.mark.parametrize("seconds, words", [
    (0.9, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min"),
    (86399, "23 h 59 min"), (86400, "1 d 0 h"), (1e6, "11 d 13 h")])
def test_durations_have_their_two_largest_units(seconds, words):
    assert status.duration(seconds) == words


@pytest.mark.parametrize("batches", [(10, 10, 10), (10, 11, 9)])
def test_the_line_of_a_training_has_position_rate_loss_and_what_is_left(open_terminal, clock, batches):
    terminal = open_terminal()
    progress = Progress()
    line = status.TrainingLine(progress, lambda epoch: batches[epoch], 3, 50)
    assert terminal.seen()[-1].startswith("epoch 1 of 3, before its first update (reading images, compiling)")
    lines = []
    line._bar.set_description_str = lambda text, refresh=True: lines.append(text)
    for update, seconds, loss in ((1, 100, None), (2, 102, 2.5), (6, 110, 2.0)):
        progress.batch = progress.num_update = update
        clock[0] = seconds
        line.update(loss)
    # the first update compiles: its 100 s say nothing about the others, which take 2 s
    assert lines == ["epoch 1 of 3, update 1 of 10",
                     "epoch 1 of 3, update 2 of 10, 25 images/s, loss 2.500; left: epoch 16 s, run 56 s",
                     "epoch 1 of 3, update 6 of 10, 25 images/s, loss 2.000; left: epoch 8 s, run 48 s"]
    line.phase("validation")
    assert lines[-1] == "epoch 1 of 3, validation; left: run 48 s"


@pytest.mark.parametrize("name, value, shown", [("TERM", "dumb", False), ("TERM", "xterm", True),
                                                ("NO_COLOR", "1", True)])
def test_a_line_is_drawn_only_where_it_can_be_drawn_again_and_without_colour(open_terminal, name, value, shown):
    terminal = open_terminal(**{name: value})
    with status.progress_bar(3, "three", "images") as bar:
        bar.update(3)
    status.show_table([("model", "a net")])
    assert ("three" in terminal.getvalue(), "model        a net\n" in terminal.getvalue()) == (shown, shown)
    assert "\x1b[" not in terminal.getvalue().replace("\x1b[A", "")


def test_a_pipe_gets_neither_bar_nor_table_but_a_line_for_each_case(capsys, clock):
    with status.progress_bar(3, "three", "images") as bar:
        bar.update(3)
    status.show_table([("model", "a net")])
    status.announce("loading ...")
    with status.Cases([10, 10, 30, 50], "run") as cases:
        cases.begin("finished", before=10)       # by an earlier command: no line, and no time of this one
        cases.end()
        cases.begin("half finished", before=5)
        clock[0] = 20
        cases.end()
        cases.begin("new")
        clock[0] = 140                           # 35 units in 140 s
        cases.end()
        cases.begin("last")
    assert capsys.readouterr().err.splitlines() == [
        "run 2 of 4: half finished", "run 3 of 4: new; about 5 min 20 s left", "run 4 of 4: last; about 3 min 20 s left"]


def test_within_a_case_the_remaining_time_goes_down_on_a_terminal(open_terminal, clock):
    terminal = open_terminal()
    with status.Cases([10, 10], "run") as cases:
        cases.begin("first")
        clock[0] = 4
        cases.advance(2)
    assert "run 1 of 2: first; about 36 s left" in terminal.getvalue()


@pytest.mark.parametrize("rates, words", [
    ([0.1] * 4, "0.1"), ([0.1, 0.1, 0.01, 0.01], "0.1; 0.01 from epoch 3"),
    ([0.0, 0.4, 0.2, 0.0], "0 at first, 0.4 in epoch 2, 0.05 at last")])
def test_a_schedule_in_words(rates, words):
    last = {39: 0.05} if rates[0] == 0 else {}
    assert rate_words(lambda update: last.get(update, rates[update // 10]), [0, 10, 20, 30, 40]) == words


def test_the_namespace_goes_to_the_file_and_to_a_pipe_but_not_to_a_terminal(tmp_path, open_terminal, monkeypatch):
    terminal = open_terminal()

    def opened(path):
        log = open_log(path)
        log.info("Namespace(lr=0.1)", extra={"file_only": True})
        log.info("warning: slow")
        return path.read_text()

    assert opened(tmp_path / "a.log") == "INFO:root:Namespace(lr=0.1)\nINFO:root:warning: slow\n"
    assert terminal.getvalue() == "INFO:root:warning: slow\n"
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    assert opened(tmp_path / "b.log") == pipe.getvalue()


def in_terminal(words):
    """What a pseudo-terminal shows of `python WORDS`."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    environ = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environ, stdin=theirs, stdout=theirs,
                               stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):           # Linux's answer at the end of a terminal
        while part := os.read(ours, 1 << 16):
            shown += part
    os.close(ours)
    assert process.wait() == 0, shown
    return shown.decode()


def test_a_training_in_a_terminal_and_its_log(tmp_path):
    text = in_terminal(["train_cifar.py", "--dataset", "cifar10-excerpt", "--model", "cifar_resnet20_v1",
                        "--mode", "hybrid", "--batch-size", "100", "-j", "0", "--num-epochs", "1",
                        "--max-updates", "3", "--save-dir", f"{tmp_path}/params", "--logging-dir",
                        str(tmp_path), "--save-plot-dir", str(tmp_path)])
    assert text.startswith("loading MXNet, images and net ...\r\n") and "Namespace(" not in text
    data = "cifar10-excerpt: 2,000 training and 500 validation images"
    assert re.search(rf"^data +{data}\r$", text, re.MULTILINE)
    assert re.search(r"^updates +20 in the first epoch, 20 in 1 epoch\r$", text, re.MULTILINE)
    assert re.search(r"epoch 1 of 1, update 3 of 20, [\d,]+ images/s, loss \d\.\d+; left: epoch \d+ s, run ",
                     text)
    log = (tmp_path / "train_cifar10_cifar_resnet20_v1.log").read_bytes()
    assert log.startswith(b"INFO:root:Namespace(") and b"\r" not in log and b"images/s" not in log
