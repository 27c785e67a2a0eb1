"""Ends a process of a distributed job that waits for ever, and lets the launcher see how each process fares.

When a process dies or freezes, ps-lite lets the others wait without end. So does Horovod when one is stuck in Python, for
its stall check does not work with gloo. Python cannot interrupt a wait inside MXNet; a thread can end the process.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from gluon_tricks.files import atomic_write

HEARTBEATS = "GLUON_TRICKS_HEARTBEATS"       # folder of the launcher on this machine, for `rank.json`
TIMEOUT = "GLUON_TRICKS_TIMEOUT"             # the launcher's --timeout, for all its processes
INTERVAL_S = 0.5
EXIT_CODE = 1

STAGES = {"starting": "while starting", "loading": "while loading images", "computing": "while computing",
          "waiting": "while waiting for the other processes", "saving": "while saving"}


class Watchdog(threading.Thread):
    """Counts the seconds since the last `beat`, and writes a heartbeat file twice a second.

    Seconds in which the whole process was stopped do not count: a paused or suspended machine is no hang.

    Parameters
    ----------
    rank : int
    timeout_s : float
        Without a beat for so long, the process says where it stands and exits with 1. Counted from the first beat, for data
        may be prepared before it.
    folder : path or None
        Where heartbeat files go.
    """

    def __init__(self, rank, timeout_s, folder=None):
        super().__init__(name="watchdog", daemon=True)
        self.rank, self.timeout_s = rank, timeout_s
        self.path = Path(folder) / f"{rank}.json" if folder else None
        self.stage, self.num_update, self.quiet_s = "starting", 0, 0.0
        self._told = False

    def beat(self, stage, num_update=None):
        """The run has come to `stage` (a key of STAGES)."""
        self.stage, self.quiet_s = stage, 0.0
        if num_update is not None:
            self.num_update = num_update

    def run(self):
        before = time.monotonic()
        while True:
            self._write()
            time.sleep(INTERVAL_S)
            now = time.monotonic()
            self.quiet_s += min(now - before, 2 * INTERVAL_S)
            before = now
            if self.stage != "starting" and self.quiet_s > self.timeout_s:
                self._write()
                leave(f"rank {self.rank}: no progress for {self.quiet_s:.0f} s {STAGES[self.stage]}, after update "
                      f"{self.num_update}; another process has probably died or hangs (--timeout {self.timeout_s:g})",
                      EXIT_CODE)

    def _write(self):
        if self.path:
            try:
                atomic_write(self.path, json.dumps({"stage": self.stage, "num_update": self.num_update,
                                                    "quiet_s": round(self.quiet_s, 1), "beats": time.monotonic()}))
            except OSError:            # the launcher has tidied up; that must not end the training
                self.path = None


def leave(sentence, code):
    """Say something and end the process at once: at a normal exit ps-lite would wait for the others in its destructor."""
    print(sentence, file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(code)
