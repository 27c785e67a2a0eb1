"""A process of a distributed job, whose output is read and which never outlives the launcher."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections import deque

PR_SET_PDEATHSIG = 1
LAST_LINES = 20
LIBC = ctypes.CDLL(None)         # loaded before any fork


class Process:
    """A role's process, in a session of its own; its lines come out with its name before them.

    Must be made by the main thread: the kernel kills the process when the *thread* that started it ends.

    Parameters
    ----------
    role : Role
    """

    def __init__(self, role):
        self.role, self.last_lines = role, deque(maxlen=LAST_LINES)
        self.killed_by_us = False
        pipe = subprocess.PIPE
        self._popen = subprocess.Popen(role.argv(), env=role.full_environment(), stdin=pipe, stdout=pipe,
                                       stderr=pipe, text=True, errors="replace", bufsize=1,
                                       start_new_session=True, preexec_fn=die_with_parent)
        self._readers = [threading.Thread(target=self._copy, args=streams, daemon=True)
                         for streams in ((self._popen.stdout, sys.stdout), (self._popen.stderr, sys.stderr))]
        for reader in self._readers:
            reader.start()

    def _copy(self, source, target):
        label = f"[{self.role.rank if self.role.is_worker else self.role.name}]"
        for line in source:
            if line.strip():
                self.last_lines.append(line.rstrip())
            with contextlib.suppress(BrokenPipeError):
                target.write(f"{label} {line.rstrip()}\n")
                target.flush()

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

    def ask_to_stop(self):
        """SIGTERM, upon which a training saves its state; to another machine, Ctrl-C through ssh's
        terminal."""
        if self.role.is_local:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        else:
            with contextlib.suppress(OSError):
                self._popen.stdin.write("\x03")
                self._popen.stdin.flush()

    def kill(self):
        """SIGKILL to the process and everything it started."""
        self.killed_by_us = self.killed_by_us or self.exit_code is None
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
