"""Processes that tests start. They end with the test process, even if that is killed."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The kernel sends SIGTERM, upon which `tables`, `sweep` and `launch` end what they have started in turn.
# A preexec_fn would do the same, but then a process that has used MXNet really forks, and MXNet stops its threads.
ENDS_WITH_PARENT = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def start(words, **options):
    """A Popen in the repository's root, with text streams."""
    options = {"cwd": ROOT, "text": True, "env": {**os.environ, "MPLBACKEND": "Agg"}, **options}
    return subprocess.Popen([*ENDS_WITH_PARENT, *map(str, words)], **options)
