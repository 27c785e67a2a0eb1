"""What a run leaves behind besides parameters: GluonCV's log, metrics.jsonl, run.json, a plot, TensorBoard scalars."""

import json
import logging
import math
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
from gluon_tricks.files import atomic_write

VERSIONS_OF = ("mxnet", "mxnet-cu112", "numpy", "opencv-python", "gluoncv", "horovod")


def open_log(path, prefix="%(levelname)s:%(name)s:", overwrite=False):
    """Send the root logger to stderr and to a file, as GluonCV's scripts do; `prefix` stands before each line.

    The file is appended to; a half line that a killed run left at its end is closed first.
    """
    path = Path(path)
    if path.exists() and not overwrite and path.read_bytes()[-1:] not in (b"", b"\n"):
        with open(path, "ab") as stream:
            stream.write(b"\n")
    logger = logging.getLogger()
    logger.setLevel(logging.INFO)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    for handler in (logging.StreamHandler(), logging.FileHandler(path, mode="w" if overwrite else "a")):
        handler.setFormatter(logging.Formatter(f"{prefix}%(message)s"))
        logger.addHandler(handler)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)      # its notes on fonts are no part of a run's log
    return logger


def quiet_log():
    """The root logger of a process that does not write: warnings and errors on stderr, nothing else."""
    logger = logging.getLogger()
    logger.setLevel(logging.WARNING)
    return logger


class NoMetrics:
    """What a process that does not write has instead of `Metrics`."""

    def write(self, kind, num_update, **numbers):
        pass

    def close(self):
        pass


class Metrics:
    """`metrics.jsonl`: a JSON object per log interval (`"kind": "interval"`) and per epoch (`"kind": "epoch"`).

    Parameters
    ----------
    path : path
    resume_from : Progress, optional
        Records of what this run will do again are dropped from the file.
    overwrite : bool
    tensorboard_dir : path, optional
        The same numbers as TensorBoard scalars.
    """

    def __init__(self, path, resume_from=None, overwrite=False, tensorboard_dir=None):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if overwrite:
            atomic_write(self.path, "")
        elif resume_from is not None and self.path.exists():
            atomic_write(self.path, "".join(_still_true(self.path, resume_from)))
        self._stream = open(self.path, "a", encoding="utf-8")      # noqa: SIM115  closed by close()
        self._board = None
        if tensorboard_dir:
            from tensorboardX import SummaryWriter

            purge = resume_from.num_update + 1 if resume_from is not None else None
            self._board = SummaryWriter(str(tensorboard_dir), purge_step=purge)

    def write(self, kind, num_update, **numbers):
        """Add a record; numbers carry their unit in their name."""
        self._stream.write(json.dumps(_json({"kind": kind, "num_update": num_update, **numbers}), allow_nan=False) + "\n")
        self._stream.flush()
        if self._board:
            for name, value in numbers.items():
                self._board.add_scalar(f"{kind}/{name}", value, num_update)

    def close(self):
        self._stream.close()
        if self._board:
            self._board.close()


def _json(value):
    """The value without numbers that JSON has not, such as the accuracy of no image: null."""
    if isinstance(value, dict):
        return {name: _json(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _still_true(path, progress):
    """Lines of a metrics file that the resumed run does not write again; a half line at the end is dropped."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["kind"] == "epoch" and record["epoch"] >= progress.epoch:
            continue
        if record["num_update"] <= progress.num_update:
            yield line


def write_run_json(path, facts):
    """`run.json`: the command and what it ran on, enough to repeat it."""
    atomic_write(path, json.dumps({"command": command(), **facts, **environment()}, indent=1) + "\n")


def command(*more):
    """The command line of this process, with more words appended."""
    words = ["python", *sys.argv] if sys.argv[0].endswith(".py") else list(sys.argv)
    return shlex.join([*words, *more])


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
    root = Path(__file__).resolve().parents[1]
    try:
        head = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
        changed = subprocess.run(["git", "-C", root, "status", "--porcelain", "-uno"], capture_output=True, text=True,
                                 timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "") if head.returncode == 0 else None


def plot_history(path, history, title):
    """Training and validation figures per epoch, as a PNG.

    Parameters
    ----------
    history : list of dict
        `epoch`, `train`, `val` (accuracies; `train` an RMSE with mixup), `loss`, `lr` and `train_metric`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from gluon_tricks.files import atomic_path

    epochs = [row["epoch"] for row in history]
    figure, (errors, losses) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    is_rmse = history[-1]["train_metric"] == "rmse"
    errors.plot(epochs, [row["train"] if is_rmse else 1 - row["train"] for row in history],
                label="training RMSE" if is_rmse else "training error", color="tab:blue")
    errors.plot(epochs, [1 - row["val"] for row in history], label="validation error", color="tab:orange")
    errors.set(xlabel="epoch", ylabel="error (fraction)", ylim=(0, None), title=title)
    losses.plot(epochs, [row["loss"] for row in history], label="training loss", color="tab:blue")
    losses.set(xlabel="epoch", ylabel="loss per sample", ylim=(0, None))
    rates = losses.twinx()
    rates.plot(epochs, [row["lr"] for row in history], label="learning rate", color="tab:green", drawstyle="steps-post")
    rates.set(ylabel="learning rate", yscale="log" if min(row["lr"] for row in history) > 0 else "linear")
    for axes in (errors, losses):
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right")
    rates.legend(loc="lower left")
    with atomic_path(path) as part:
        figure.savefig(part, dpi=100, format="png")
    plt.close(figure)
