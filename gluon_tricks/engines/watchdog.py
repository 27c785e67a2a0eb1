"""End a process of a job that waits forever, and report each process's progress to the launcher.

When a process dies or freezes, the others wait forever in ps-lite. In Horovod they do when one is stuck in
Python, because its stall check does not work with gloo. Python cannot interrupt a wait inside MXNet, but a
thread can end the process.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from gluon_tricks.files import atomic_write

HEARTBEATS = "GLUON_TRICKS_HEARTBEATS"       # the launcher's folder on this machine, for files `RANK.json`
TIMEOUT = "GLUON_TRICKS_TIMEOUT"             # the launcher's --timeout, for all its processes
INTERVAL_S = 0.5
EXIT_CODE = 1

STAGES = {"starting": "while starting", "loading": "while loading images", "computing": "while computing",
          "waiting": "while waiting for the other processes", "saving": "while saving"}


class Watchdog(threading.Thread):
    """Count the seconds since the last `beat`, and write a heartbeat file twice a second.

    Seconds in which the whole process was stopped do not count: a suspended machine is not a hang.

    Parameters
    ----------
    rank : int
    timeout_s : float
        After so long without a beat the process prints its stage and exits with 1. Counted from the first
        beat, because data may be prepared before it.
    folder : path or None
        Folder for heartbeat files.
    """

    def __init__(self, rank, timeout_s, folder=None):
        super().__init__(name="watchdog", daemon=True)
        self.rank, self.timeout_s = rank, timeout_s
        self.path = Path(folder) / f"{rank}.json" if folder else None
        self.stage, self.num_update, self.quiet_s = "starting", 0, 0.0

    def beat(self, stage, num_update=None):
        """Report that the run has reached `stage` (a key of STAGES)."""
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
                leave(f"rank {self.rank}: no progress for {self.quiet_s:.0f} s {STAGES[self.stage]}, after "
                      f"update {self.num_update}; another process has probably died or hangs (--timeout "
                      f"{self.timeout_s:g})",
                      EXIT_CODE)

    def _write(self):
        if self.path:
            try:
                atomic_write(self.path, json.dumps({"stage": self.stage, "num_update": self.num_update,
                                                    "quiet_s": round(self.quiet_s, 1),
                                                    "beats": time.monotonic()}))
            except OSError:            # the launcher has removed its folder; that must not end the training
                self.path = None


def leave(sentence, code):
    """Print a sentence and end the process at once: ps-lite's destructor would wait for the others."""
    print(sentence, file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(code)
