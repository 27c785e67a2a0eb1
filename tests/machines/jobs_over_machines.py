"""Jobs that node1 starts on node1 and node2, and what they leave."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.engines.jobs import arrays_of

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 400
RESUME = "cifar10-cifar_resnet20_v1.resume.npz"
NAME = "train_cifar10_cifar_resnet20_v1"


def cifar(folder, *more, updates=6):
    """Words of a small CIFAR training: a resume file every third update."""
    return ["train_cifar.py", "--dataset", "cifar10-excerpt", "--model", "cifar_resnet20_v1", "--mode", "hybrid",
            "--batch-size", 8, "-j", 1, "--num-epochs", 1, "--max-updates", updates, "--checkpoint-period", 3,
            "--log-interval", 1, "--deterministic", "--save-dir", folder, "--logging-dir", folder, "--save-plot-dir",
            folder, *more]


def start(network, engine, words, *flags, n=2, hosts="node1:1,node2:1", cwd=ROOT, at="node1", **environment):
    """`python -m gluon_tricks launch` on a machine; a Popen whose output goes to `job.said`."""
    command = [sys.executable, "-m", "gluon_tricks", "launch", "-n", n, "--engine", engine, "-H", hosts, "--timeout", 60,
               *flags, "--", *words]
    out = open(network.folder / "said.txt", "w+")                  # noqa: SIM115  closed with the job
    before = os.getcwd()
    os.chdir(cwd)
    try:
        job = subprocess.Popen(network.command(at, *command), stdout=out, stderr=out, start_new_session=True,
                               env={**psutil.Process().environ(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
                                    **environment})
    finally:
        os.chdir(before)
    job.said = out
    return job


def finish(network, job, check=0):
    """The output of a job, which must end with this code (None: any but 0) and leave no process on any machine."""
    try:
        job.wait(timeout=LIMIT_S)
        assert (job.returncode == check) if check is not None else job.returncode, said(job)
        end = time.monotonic() + LIMIT_S
        while any(network.processes(name) for name in network.names):
            assert time.monotonic() < end, {name: network.processes(name) for name in network.names}
            time.sleep(0.2)
        return said(job)
    finally:
        job.kill()
        job.said.close()


def said(job):
    job.said.flush()
    return Path(job.said.name).read_text()


def train(network, engine, words, *flags, check=0, **more):
    """Run a job to its end; its output."""
    return finish(network, start(network, engine, words, *flags, **more), check)


def updates_done(folder):
    """Updates that a run has logged."""
    metrics = folder / NAME / "metrics.jsonl"
    return metrics.read_text().count('"interval"') if metrics.exists() else 0


def losses(folder):
    """The loss after each update that a run has logged."""
    rows = [json.loads(line) for line in (folder / NAME / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if row["kind"] == "interval"]


def wait_until(job, condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert job.poll() is None, said(job)
        assert time.monotonic() < end, said(job)
        time.sleep(0.05)


def worker(network, name):
    """The training process of a machine."""
    return next(process for process in network.processes(name) if "GLUON_TRICKS_RANK" in process.environ())


def assert_equal_bits(folder, expected, but="nothing"):
    """All arrays of the resume files but for names with that word."""
    found, others = arrays_of(folder / RESUME), arrays_of(expected / RESUME)
    assert set(found) == set(others)
    assert not [name for name in others if but not in name and (found[name] != others[name]).any()]


@contextmanager
def undone(undo):
    """Within the block something is broken; afterwards `undo` mends it, whatever happened."""
    try:
        yield
    finally:
        undo()
