"""A job in which a process dies, freezes, hangs or fails ends, names the process, and can be resumed."""

import signal
import time
from pathlib import Path

import psutil
import pytest
from jobs import (
    ENGINES,
    LIMIT_S,
    NEEDS_HOROVOD,
    NO_HOROVOD,
    alive,
    arrays_of,
    finish,
    members_of,
    start,
    wait_until,
    worker,
)

pytestmark = pytest.mark.slow
SCRIPT = ["train_cifar.py"]
FAULTY = ["tests/engines/faulty.py"]
# --timeout where it must run out: longer than a busy machine takes for an update, because an earlier end would
# be another one's
RUNS_OUT_S = "15"


def flags(folder, *more):
    return ["--dataset", "cifar10-excerpt", "--model", "cifar_resnet20_v1", "--mode", "hybrid",
            "--batch-size", "4",
            "-j", "1", "--num-epochs", "2", "--lr-decay-epoch", "1", "--checkpoint-period", "6",
            "--log-interval", "1",
            "--save-dir", folder, "--logging-dir", folder, "--save-plot-dir", folder, *more]


def resume_file(folder):
    return folder / "cifar10-cifar_resnet20_v1.resume.npz"


def log(folder):
    return (folder / "train_cifar10_cifar_resnet20_v1.log").read_text()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_worker_is_named_and_a_restart_ends_with_the_same_parameters(engine, tmp_path):
    # of three, the order of a sum matters
    updates = ["--max-updates", "15", "--checkpoint-period", "3", "--deterministic"]
    finish(start(engine, 3, SCRIPT + flags(tmp_path / "whole", *updates)))
    job = start(engine, 3, SCRIPT + flags(tmp_path / "killed", *updates), "--restarts", "1")
    wait_until(resume_file(tmp_path / "killed").exists, job)
    worker(job, 1).kill()
    output = finish(job)
    assert "launch: rank 1 was killed by SIGKILL" in output
    assert "launch: restart 1 of 1, with --resume auto" in output
    assert "resumed at epoch 0, batch" in log(tmp_path / "killed")
    whole, killed = (arrays_of(resume_file(tmp_path / name)) for name in ("whole", "killed"))
    # BatchNorm's statistics are averaged at each checkpoint and written back, so they too are the same bits
    assert set(whole) == set(killed) and all((whole[name] == killed[name]).all() for name in whole)


@pytest.fixture(scope="module")
def stuck(tmp_path_factory):
    """Jobs that go on to their --timeout, all at the same time: name -> (launcher, its processes)."""
    found = {}
    for engine in ["dist_sync"] if NO_HOROVOD else ["horovod", "dist_sync"]:
        folder = tmp_path_factory.mktemp(engine)
        job = start(engine, 2, SCRIPT + flags(folder), "--timeout", RUNS_OUT_S)
        wait_until(resume_file(folder).exists, job)
        found[engine] = job, members_of(job)
        worker(job, 0).suspend()
    job = start("dist_sync", 2, FAULTY + flags(tmp_path_factory.mktemp("hang")), "--timeout", RUNS_OUT_S,
                FAULT="hang", FAULT_RANK="1", FAULT_AT="3")
    wait_until(lambda: len(members_of(job)) == 4, job)
    found["hang"] = job, members_of(job)
    yield found
    for job, _ in found.values():
        if job.poll() is None:
            job.terminate()
        job.communicate()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_frozen_worker_is_named(engine, stuck):
    job, members = stuck[engine]
    assert len(members) == (2 if engine == "horovod" else 4)
    assert "launch: rank 0 is frozen" in finish(job, check=None, members=members)


def test_a_hanging_worker_is_named(stuck):
    job, members = stuck["hang"]
    assert "launch: rank 1 hangs" in finish(job, check=1, members=members)


@pytest.mark.parametrize("fault, engine, check, says", [
    pytest.param("raise", "horovod", 3, "RuntimeError: a bug in a worker", marks=NEEDS_HOROVOD),
    ("user error", "dist_sync", 2, "error: --data-dir: is not on this machine"),
    ("differ", "dist_sync", 1, "parameters differ from the other ranks' after update 4"),
    pytest.param("differ at the end", "horovod", 1, "parameters differ from the other ranks' after update 4",
                 marks=NEEDS_HOROVOD),
    ("other seed", "dist_sync", 2, "the processes differ in --seed (--seed of rank 0: 0; rank 1: 1)"),
])
def test_what_goes_wrong_on_one_rank_ends_the_job(fault, engine, check, says, tmp_path):
    more = ["--max-updates", "4", "--check-sync", "0" if fault == "differ at the end" else "2"]
    output = finish(start(engine, 2, FAULTY + flags(tmp_path, *more), "--timeout", "60", FAULT=fault,
                          FAULT_RANK="1", FAULT_AT="3"), check)
    assert says in output and "rank 1" in output, output


@pytest.mark.parametrize("engine", ENGINES)
def test_a_signal_while_processes_start_leaves_none_waiting(engine, tmp_path):
    job = start(engine, 2, SCRIPT + flags(tmp_path))
    wait_until(lambda: len(members_of(job)) >= 2, job)
    job.send_signal(signal.SIGTERM)
    finish(job, check=None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_launcher_saves_and_ends_with_0(number, tmp_path):
    job = start("dist_sync", 2, SCRIPT + flags(tmp_path))
    wait_until(resume_file(tmp_path).exists, job)
    job.send_signal(number)
    finish(job)
    assert "stopped by SIGTERM at epoch 0" in log(tmp_path)


def test_a_killed_launcher_leaves_no_process(tmp_path):
    job = start("dist_sync", 2, SCRIPT + flags(tmp_path))
    wait_until(resume_file(tmp_path).exists, job)
    members = members_of(job)
    assert len(members) == 4
    sockets = [Path("/tmp", process.environ()["PORT"]) for process in members]      # which nobody removes now
    job.kill()
    job.wait()
    end = time.time() + LIMIT_S
    while any(alive(process) for process in members):
        assert time.time() < end, [psutil.Process(process.pid).cmdline() for process in members
                                   if alive(process)]
        time.sleep(0.1)
    for path in sockets:
        path.unlink()
