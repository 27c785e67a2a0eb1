"""Facts of this machine and process: versions, processor, memory, command line."""

import os
import platform
import resource
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import psutil

from gluon_tricks import __version__
from gluon_tricks.files import ROOT

VERSIONS_OF = ("mxnet", "mxnet-cu112", "numpy", "opencv-python", "gluoncv", "horovod")


def command():
    """The command line of this process."""
    return shlex.join(_words())


def resume_command():
    """The command line that goes on with this process's run."""
    return shlex.join(resuming(_words()))


def resuming(words):
    """The words of a command with `--resume auto` in the place of `--overwrite` and any other `--resume`."""
    kept, skip = [], False
    for word in words:
        if not (skip or word in ("--overwrite", "--resume") or word.startswith("--resume=")):
            kept.append(word)
        skip = word == "--resume"
    return [*kept, "--resume", "auto"]


def _words():
    return ["python", *sys.argv] if sys.argv[0].endswith(".py") else list(sys.argv)


def environment():
    """Versions, processor and threads of this process."""
    versions = {"gluon_tricks": __version__, "python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"versions": versions, "commit": _commit(), "processor": processor(), "gpus": gpus(),
            "cpus": len(os.sched_getaffinity(0)), "threads": operator_threads(), "platform": platform.platform()}


def operator_threads():
    """What OMP_NUM_THREADS says, as text; `compat` has set it unless the user or a late import stood in the way."""
    return os.environ.get("OMP_NUM_THREADS", "MXNet's own number of")


def resident_memory():
    """This process's memory in MiB, loader threads included: now, and the highest since it started."""
    unit = 1 if sys.platform == "darwin" else 1024     # bytes
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    now = psutil.Process().memory_info().rss
    return {"rss_mib": now / 2**20, "peak_rss_mib": max(highest, now) / 2**20}    # Linux updates it late


def processor():
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def gpus():
    """The names of this machine's GPUs, as nvidia-smi has them; empty without."""
    try:
        found = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True,
                               timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return found.stdout.split("\n")[:-1] if found.returncode == 0 else []


def _commit():
    """The checkout's commit, with `+` if files differ from it; None outside a checkout."""
    try:
        head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
        changed = subprocess.run(["git", "-C", ROOT, "status", "--porcelain", "-uno"], capture_output=True, text=True,
                                 timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "") if head.returncode == 0 else None
