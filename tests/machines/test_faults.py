"""Faults of networks and machines: a job goes on, or ends in bounded time, names the machine, leaves no process
anywhere, and its restart has the bits of the job that nobody disturbed."""

import re
import shutil
import subprocess
import time

import pytest
from jobs_over_machines import (
    ROOT,
    assert_equal_bits,
    cifar,
    finish,
    start,
    train,
    undone,
    updates_done,
    wait_until,
    worker,
)
from network import Network

from tests.engines.jobs import ENGINES

pytestmark = pytest.mark.slow
UPDATES = 12


@pytest.fixture(scope="module")
def whole(network, tmp_path_factory):
    """The folder of a job that nobody disturbed, by engine."""
    folders = {}

    def folder(engine):
        if engine not in folders:
            folders[engine] = tmp_path_factory.mktemp(engine)
            train(network, engine, cifar(folders[engine], updates=UPDATES))
        return folders[engine]
    return folder


def begun(network, engine, folder, *flags, updates=UPDATES, **more):
    """A job that has made its third update and a resume file."""
    job = start(network, engine, cifar(folder, updates=updates), *flags, **more)
    wait_until(job, lambda: updates_done(folder) >= 3)
    return job


@pytest.mark.parametrize("engine", ENGINES)
def test_a_link_cut_for_five_seconds_changes_nothing(engine, network, whole, tmp_path):
    job = begun(network, engine, tmp_path)
    with undone(lambda: network.mend("node2")):
        network.cut("node2")
        time.sleep(5)
    finish(network, job)
    assert_equal_bits(tmp_path, whole(engine))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_link_cut_for_ever_ends_the_job_and_a_restart_has_the_same_bits(engine, network, whole, tmp_path):
    job = begun(network, engine, tmp_path, "--timeout", 15)
    with undone(lambda: network.mend("node2")):
        network.cut("node2")
        output = finish(network, job, check=None)      # while the link is cut, no process is left on either side
    assert "on node2 is not heard of any more" in output
    train(network, engine, cifar(tmp_path, "--resume", "auto", updates=UPDATES))
    assert_equal_bits(tmp_path, whole(engine))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bad_link_changes_nothing(engine, network, whole, tmp_path):
    """1 % of packets lost, 10 Mbit/s."""
    with undone(lambda: (network.at("node2", "nft", "delete", "table", "ip", "loss"), network.slow("node2", "10gbit"))):
        network.lose("node2", 1)
        network.slow("node2", "10mbit")
        train(network, engine, cifar(tmp_path, updates=UPDATES))
    assert_equal_bits(tmp_path, whole(engine))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_slow_path_changes_nothing(engine, network, tmp_path):
    """200 ms in each direction: with Horovod an update takes half a minute there, the end of a run two."""
    train(network, engine, cifar(tmp_path / "near", updates=1))
    with Network(tmp_path / "net", ("node1", "node2"), {"node2": 0.2}) as far:
        train(far, engine, cifar(tmp_path / "far", updates=1), "--timeout", 300)
    assert_equal_bits(tmp_path / "far", tmp_path / "near")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_frozen_machine_is_named_and_left_clean_when_it_thaws(engine, network, tmp_path):
    job = begun(network, engine, tmp_path, "--timeout", 15, updates=100)
    with undone(lambda: network.thaw("node2")):
        network.freeze("node2")
        job.wait(timeout=300)
    assert "on node2 is not heard of any more" in finish(network, job, check=None)


def test_a_killed_ssh_server_ends_the_job_or_nothing(network, whole, tmp_path):
    """Its listener is not needed once all have logged in; the session's is the connection."""
    job = begun(network, "dist_sync", tmp_path / "listener")
    with undone(lambda: network.at("node2", "/usr/sbin/sshd", "-f", "/etc/ssh/sshd_config")):
        network.at("node2", "pkill", "-f", "sshd: /usr/sbin/sshd")
        finish(network, job)
    assert_equal_bits(tmp_path / "listener", whole("dist_sync"))
    job = begun(network, "dist_sync", tmp_path / "session", updates=100)
    network.at("node2", "pkill", "-9", "-f", "sshd: root@notty")
    assert "on node2 is lost: its ssh connection ended" in finish(network, job, check=None)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_process_elsewhere_is_named_and_a_restart_has_the_same_bits(engine, network, whole, tmp_path):
    job = begun(network, engine, tmp_path, "--restarts", 1)
    worker(network, "node2").kill()
    output = finish(network, job)
    assert re.search("launch: rank 1 on node2 was (killed|ended) by SIGKILL", output)
    assert_equal_bits(tmp_path, whole(engine))


def test_a_killed_agent_takes_its_process_along(network, tmp_path):
    job = begun(network, "dist_sync", tmp_path, updates=100)
    agent = next(process for process in network.processes("node2") if "gluon_tricks.launching.agent" in process.cmdline())
    agent.kill()
    assert "on node2 is lost: its ssh connection ended" in finish(network, job, check=None)


def test_a_killed_launcher_takes_all_processes_along(network, tmp_path):
    job = begun(network, "dist_sync", tmp_path, updates=100)
    launcher = next(process for process in network.processes("node1") if "launch" in process.cmdline())
    launcher.kill()
    finish(network, job, check=None)


def test_a_signal_is_passed_on_and_the_state_saved(network, whole, tmp_path):
    job = begun(network, "dist_sync", tmp_path)
    next(process for process in network.processes("node1") if "launch" in process.cmdline()).terminate()
    finish(network, job)
    assert updates_done(tmp_path) < UPDATES
    train(network, "dist_sync", cifar(tmp_path, "--resume", "auto", updates=UPDATES))
    # BatchNorm's statistics are averaged over the processes where state is saved, here once more
    assert_equal_bits(tmp_path, whole("dist_sync"), but="running")


def test_a_full_disk_on_the_writers_machine_is_one_sentence(network):
    """The other machine's disk does not matter: only the first one writes."""
    disk = network.own / "disk"
    for name in ("node1", "node2"):
        network.at(name, "mkdir", disk)
    with undone(lambda: network.at("node1", "umount", disk)):
        network.at("node1", "mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk)
        output = train(network, "dist_sync", cifar(disk), check=1)
    assert "resume.npz cannot be written (No space left on device); stopped at epoch 0" in output
    assert "launch: rank 0 ended with exit code 1" in output and "Traceback" not in output


def test_a_clock_an_hour_ahead_changes_nothing(network, whole, tmp_path):
    if not shutil.which("faketime"):
        pytest.skip("needs faketime (Debian: faketime)")
    wrapper = tmp_path / "python"
    wrapper.write_text('#!/bin/sh\nexec faketime -f "+1h" ' + f'{network.python} "$@"\n')
    wrapper.chmod(0o755)
    train(network, "dist_sync", cifar(tmp_path / "out", updates=UPDATES), "--python", wrapper)
    assert_equal_bits(tmp_path / "out", whole("dist_sync"))


@pytest.mark.parametrize("engine", ENGINES)
def test_other_code_on_one_machine_is_refused_before_the_first_update(engine, network, tmp_path):
    kit = tmp_path / "kit"
    shutil.copytree(ROOT, kit, ignore=shutil.ignore_patterns(".git", ".venv*", "site"))
    with open(kit / "gluon_tricks" / "tricks" / "mixup.py", "a") as stream:
        stream.write("# another version\n")
    output = train(network, engine, cifar(tmp_path / "out"), "--workdir", kit, check=2, PYTHONPATH="")
    assert "the processes differ in sources of gluon_tricks" in output
    assert updates_done(tmp_path / "out") == 0


def test_other_data_on_one_machine_are_refused_before_the_first_update(network):
    for name, seed in (("node1", 0), ("node2", 1)):
        folder = network.folder / name / "data"
        subprocess.run(["python3", "-c", BINARIES, str(folder), str(seed)], check=True)
        subprocess.run([network.python, "data_prep/cifar.py", "--source", folder, "--out", folder / "rec", "--subset"],
                       cwd=ROOT, check=True, capture_output=True)
    own = network.own
    words = cifar(own / "out", "--data-dir", own / "data" / "rec")
    words[words.index("cifar10-excerpt")] = "cifar10"
    assert "the processes differ in" in train(network, "dist_sync", words, check=2)
    assert updates_done(network.folder / "node1" / "out") == 0


# a small set in CIFAR-10's binary format
BINARIES = """
import random, sys
from pathlib import Path
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir()
random.seed(seed)
for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
    (folder / name).write_bytes(b"".join(bytes([label]) + random.randbytes(3072) for label in range(10)))
"""
