"""A process of a distributed job, whose output is read and which never outlives the launcher."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path

PR_SET_PDEATHSIG = 1
LAST_LINES = 20
LIBC = ctypes.CDLL(None)         # loaded before any fork


class Process:
    """A role's process, in a session of its own.

    Must be made by the main thread: the kernel kills the process when the *thread* that started it ends.

    Parameters
    ----------
    role : Role
    heartbeats : path
        Folder for the heartbeat files of this machine's workers.
    show : callable (line, is_error)
        Gets each line of the process's output.
    """

    silent_s = 0.0               # since the last sign of the machine where it runs: this one

    def __init__(self, role, heartbeats, show):
        self.role, self.last_lines, self._show = role, deque(maxlen=LAST_LINES), show
        self._beat_file = Path(heartbeats) / f"{role.rank}.json"
        pipe = subprocess.PIPE
        self._popen = subprocess.Popen(self._command(), env=self._environment(heartbeats), stdin=pipe,
                                       stdout=pipe, stderr=pipe, text=True, errors="replace", bufsize=1,
                                       start_new_session=True, preexec_fn=die_with_parent)
        self._readers = [threading.Thread(target=self._read, args=streams, daemon=True)
                         for streams in ((self._popen.stdout, False), (self._popen.stderr, True))]
        for reader in self._readers:
            reader.start()

    def _command(self):
        return self.role.command

    def _environment(self, heartbeats):
        return self.role.full_environment(heartbeats)

    def _read(self, source, is_error):
        for line in source:
            self._heard(line, is_error)

    def _heard(self, line, is_error):
        if line.strip():
            self.last_lines.append(line.rstrip())
        self._show(line.rstrip(), is_error)

    @property
    def pid(self):
        return self._popen.pid

    @property
    def exit_code(self):
        """None while it runs; negative if a signal killed it."""
        return self._popen.poll()

    @property
    def is_stopped(self):
        """Whether a signal such as SIGSTOP has stopped it."""
        try:
            with open(f"/proc/{self.pid}/stat") as stream:
                return stream.read().rpartition(")")[2].split()[0] in ("T", "t")
        except OSError:
            return False

    def heartbeat(self):
        """What the worker's watchdog has reported last; {} before the first time."""
        try:
            return json.loads(self._beat_file.read_text())
        except (OSError, ValueError):
            return {}

    def attend(self, seconds):
        """What is to be done regularly; `seconds` have passed since the last time."""

    def ask_to_stop(self):
        """SIGTERM, upon which a training saves its state."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self):
        """SIGKILL to the process and everything it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        for reader in self._readers:
            reader.join(timeout=2)

    @property
    def last_words(self):
        """Its last line, of any stream."""
        if self.exit_code is not None:             # its last output may not be read yet
            for reader in self._readers:
                reader.join(timeout=0.5)
        return self.last_lines[-1].strip() if self.last_lines else ""


def die_with_parent():
    """Runs in the new process: the kernel is to kill it when the launcher ends, however that ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
