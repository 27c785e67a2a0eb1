"""Nobody else can reach the processes of a job on one machine, and its servers unpickle nothing."""

import os
import subprocess
import sys
from contextlib import contextmanager

import psutil
import pytest

from tests.engines.jobs import NEEDS_HOROVOD, ROOT, finish, members_of, start, wait_until
from tests.launching.stranger import AS_ANOTHER_USER, talk

pytestmark = pytest.mark.slow


@contextmanager
def waiting_job(engine, folder):
    """A job whose two workers are connected and wait for the file `go`."""
    job = start(engine, 2, ["tests/launching/waiting.py", engine, folder])
    try:
        wait_until(lambda: (folder / "0").exists() and (folder / "1").exists(), job)
        yield job
    finally:
        job.terminate()
        job.communicate()


def listening(processes):
    """Where processes listen: [address, port] of TCP, and paths of Unix sockets."""
    members = {process.pid for process in processes}
    found = [one for one in psutil.net_connections("all") if one.pid in members]
    tcp = sorted([*one.laddr] for one in found if one.status == psutil.CONN_LISTEN)
    return tcp, sorted({one.laddr for one in found if isinstance(one.laddr, str) and one.laddr.startswith("/")})


def everyone(job):
    return [psutil.Process(job.pid), *members_of(job)]


def touching(path):
    """A pickle that makes a file when it is read."""
    return f"cos\nsystem\n(S'touch {path}'\ntR."


@pytest.fixture
def marker(tmp_path):
    os.chmod(tmp_path, 0o777)
    return tmp_path / "unpickled"


@AS_ANOTHER_USER
def test_a_server_unpickles_nothing_of_another_user_or_of_its_owner(marker, tmp_path):
    with waiting_job("dist_sync", tmp_path) as job:
        tcp, unix = listening(everyone(job))
        told = talk([*tcp, *unix], "kvstore", touching(marker), user="nobody")
        assert not marker.exists() and told == ["PermissionError"] * 4      # scheduler, server, two workers
        server = next(process for process in members_of(job) if process.cmdline()[-1] == "server")
        assert talk(listening([server])[1], "kvstore", touching(marker)) == ["sent"]
        output = finish(job, check=2)
    assert not marker.exists() and not any(os.path.lexists(path) for path in unix)
    assert "launch: server 0 ended with exit code 2" in output
    assert "refused kvstore command 0, which brings an optimizer as a pickle" in output


@AS_ANOTHER_USER
@NEEDS_HOROVOD
def test_a_rendezvous_takes_and_gives_nothing_to_another_user(tmp_path):
    with waiting_job("horovod", tmp_path) as job:
        tcp, _ = listening(everyone(job))
        assert tcp and {address for address, _ in tcp} == {"127.0.0.1"}
        assert talk(tcp, "http", "/global/0 forged", user="nobody") == [[403, 403]] * len(tcp)
        (tmp_path / "go").touch()
        finish(job)


def test_a_server_does_not_import_mxnets_python_package():
    program = ("import sys; from gluon_tricks.launching import server; server.mxnet_library(); "
               "sys.exit('mxnet' in sys.modules)")
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=300)
