"""Facts about this machine and process: versions, processor, memory, command line."""

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
from gluon_tricks.files import PACKAGE, ROOT
from gluon_tricks.program import command_words

VERSIONS_OF = ("mxnet", "mxnet-cu112", "numpy", "opencv-python", "gluoncv", "horovod")


def command():
    """The command line of this process."""
    return shlex.join(command_words())


def resume_command():
    """The command line that goes on with this process's run."""
    return shlex.join(resuming(command_words()))


def resuming(words):
    """The words of a command with `--resume auto` in the place of `--overwrite` and any other `--resume`."""
    kept, skip = [], False
    for word in words:
        if not (skip or word in ("--overwrite", "--resume") or word.startswith("--resume=")):
            kept.append(word)
        skip = word == "--resume"
    return [*kept, "--resume", "auto"]


def environment():
    """Versions, commit, processor, GPUs and threads of this process, as a dict for run records."""
    versions = {"gluon_tricks": __version__, "python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"versions": versions, "commit": _commit(), "processor": processor(), "gpus": gpus(),
            "cpus": len(os.sched_getaffinity(0)), "threads": operator_threads(),
            "platform": platform.platform()}


def operator_threads():
    """The value of OMP_NUM_THREADS, as text; usually set by `compat`."""
    return os.environ.get("OMP_NUM_THREADS", "MXNet's own number of")


def resident_memory():
    """Memory of this process in MiB: now, and the peak since it started."""
    unit = 1 if sys.platform == "darwin" else 1024     # bytes
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    now = psutil.Process().memory_info().rss
    return {"rss_mib": now / 2**20, "peak_rss_mib": max(highest, now) / 2**20}    # the peak is updated late


def processor():
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def gpus():
    """Names of this machine's GPUs from nvidia-smi; an empty list without it."""
    try:
        found = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
                               capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return found.stdout.split("\n")[:-1] if found.returncode == 0 else []


def _commit():
    """The checkout's commit, with `+` if files differ from it; None outside a checkout.

    A package in site-packages may lie within another project's checkout, whose commit is not the package's.
    So ROOT must be the top of a checkout, and git must know the package's own `__init__.py`.
    """
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != ROOT or not _git("ls-files", PACKAGE / "__init__.py"):
        return None
    head = _git("rev-parse", "HEAD")
    return head and head + ("+" if _git("status", "--porcelain", "-uno") else "")


def _git(*words):
    """What git prints about ROOT; None if it fails or is missing."""
    try:
        done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
