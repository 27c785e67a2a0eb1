"""Who can take part in a job over machines: what listens where, and what a third machine or another user achieves."""

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from jobs_over_machines import finish, start, wait_until

from tests.engines.jobs import ENGINES, NEEDS_HOROVOD
from tests.launching.stranger import talk
from tests.launching.test_server import touching


@contextmanager
def waiting_job(network, engine, folder):
    """A job whose two workers are connected and wait for the file `go`."""
    job = start(network, engine, ["tests/launching/waiting.py", engine, folder])
    try:
        wait_until(job, lambda: (folder / "0").exists() and (folder / "1").exists())
        yield job
    finally:
        (folder / "go").touch()
        job.wait(timeout=60)


def listening(network, name):
    """[[address, port], ...] of TCP, by the processes of a job on a machine."""
    lines = [line.split() for line in network.at(name, "ss", "-Hltnp").splitlines() if '"sshd"' not in line]
    return [[address, int(port)] for address, _, port in (words[3].rpartition(":") for words in lines)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_listens_on_the_addresses_of_its_network_only(engine, network, tmp_path):
    with waiting_job(network, engine, tmp_path):
        for name in ("node1", "node2"):
            found = listening(network, name)
            assert {address for address, _ in found} <= {network.addresses[name]}
            assert found or (engine, name) == ("horovod", "node2")     # gloo's sockets are closed once all have met


@NEEDS_HOROVOD
def test_a_third_machine_and_another_user_are_refused_by_the_rendezvous(network, tmp_path):
    with waiting_job(network, "horovod", tmp_path):
        launcher = next(process for process in network.processes("node1") if "launch" in process.cmdline())
        pid = re.findall(r"NSpid:.*\s(\d+)", Path(f"/proc/{launcher.pid}/status").read_text())[0]
        ports = [int(port) for port in re.findall(rf":(\d+) .*pid={pid},", network.at("node1", "ss", "-Hltnp"))]
        assert len(ports) == 1
        ends = [[network.addresses["node1"], ports[0]]]
        assert talk(ends, "http", "/global/0 forged", through=network.command("stranger")) == [[403, 403]]
        assert talk(ends, "http", "/global/0 forged", "nobody", network.command("node2")) == [[403, 403]]


def test_a_third_machine_gets_no_code_to_run(network, tmp_path):
    """It reaches ps-lite's ports, which ask nobody: its command ends the job, and is not unpickled."""
    os.chmod(tmp_path, 0o777)
    marker = tmp_path / "unpickled"
    with waiting_job(network, "dist_sync", tmp_path) as job:
        ends = [end for name in ("node1", "node2") for end in listening(network, name)]
        talk(ends, "kvstore", touching(marker), through=network.command("stranger"))
        output = finish(network, job, check=2)
    assert not marker.exists() and "refused kvstore command 0, which brings an optimizer as a pickle" in output


@NEEDS_HOROVOD
def test_the_secret_stands_on_no_command_line(network, tmp_path):
    with waiting_job(network, "horovod", tmp_path):
        everyone = [process for name in network.names for process in network.processes(name)]
        secrets = {process.environ()["HOROVOD_GLOO_RENDEZVOUS_ADDR"].partition("/")[2] for process in everyone
                   if "HOROVOD_GLOO_RENDEZVOUS_ADDR" in process.environ()}
        assert len(secrets) == 1 and len(min(secrets)) > 40
        assert not [process for process in everyone if min(secrets) in " ".join(process.cmdline())]
