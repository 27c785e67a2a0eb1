"""The rendezvous of a Horovod job answers those who have its secret, and nobody else."""

import http.client
import os

import psutil
import pytest

from gluon_tricks.launching.machines import Machine
from gluon_tricks.launching.roles import roles
from tests.engines.jobs import NEEDS_HOROVOD
from tests.launching.stranger import AS_ANOTHER_USER, talk

pytestmark = NEEDS_HOROVOD


@pytest.fixture
def meeting():
    """(address, port, start of a path) of a rendezvous server, as its job's processes use them."""
    with roles("horovod", ["true"], 2, 1, [Machine("localhost", 2)], 60) as made:
        names = made[0].environment
        address, port = names["HOROVOD_GLOO_RENDEZVOUS_ADDR"], names["HOROVOD_GLOO_RENDEZVOUS_PORT"]
        host, _, path = f"{address}:{port}".partition("/")         # as HTTPStore and HTTPRequest do
        yield host.split(":")[0], int(port), f"/{path}"


def ask(meeting, method, path, body=None):
    """(code, content) of an answer."""
    connection = http.client.HTTPConnection(*meeting[:2], timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_the_jobs_processes_leave_and_find_addresses(meeting):
    start = meeting[2]
    assert ask(meeting, "PUT", f"{start}/global/0", "here") == (200, b"")
    assert ask(meeting, "GET", f"{start}/global/0") == (200, b"here")
    assert ask(meeting, "GET", f"{start}/global/1")[0] == 404


def test_without_the_secret_nothing_is_answered_or_changed(meeting):
    start = meeting[2]
    ask(meeting, "PUT", f"{start}/global/0", "here")
    for wrong in ("", "/", start[:-1], f"{start}1", start.swapcase(), f"/{'x' * 43}:{meeting[1]}"):
        for method in ("GET", "PUT", "DELETE", "HEAD"):
            assert ask(meeting, method, f"{wrong}/global/0", "forged" if method == "PUT" else None) == (403, b"")
    assert ask(meeting, "HEAD", "/Makefile") == (403, b"")                # Horovod's server shows its folder
    assert len(start) > 40 and ask(meeting, "GET", f"{start}/global/0") == (200, b"here")


@AS_ANOTHER_USER
def test_another_user_is_refused(meeting):
    ask(meeting, "PUT", f"{meeting[2]}/global/0", "here")
    assert talk([meeting[:2]], "http", "/global/0 forged", user="nobody") == [[403, 403]]
    assert ask(meeting, "GET", f"{meeting[2]}/global/0") == (200, b"here")


def test_one_machine_is_served_on_its_loopback_only(meeting):
    found = [one.laddr for one in psutil.Process(os.getpid()).net_connections("inet")
             if one.status == psutil.CONN_LISTEN and one.laddr.port == meeting[1]]
    assert [address.ip for address in found] == ["127.0.0.1"]
    assert len({made_secret() for _ in range(3)}) == 3


def made_secret():
    with roles("horovod", ["true"], 2, 1, [Machine("localhost", 2)], 60) as made:
        return made[0].environment["HOROVOD_GLOO_RENDEZVOUS_ADDR"].split("/")[1]
