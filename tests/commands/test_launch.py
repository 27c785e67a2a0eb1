"""python -m gluon_tricks launch: who runs where, with what in the environment, and how a command is gone on
with."""

import pytest

from gluon_tricks import compat
from gluon_tricks.commands import launch
from gluon_tricks.errors import UserError
from gluon_tricks.launching.machines import Machine, Reach, find_machines, parse_hosts, reason
from gluon_tricks.launching.roles import Role, places, roles
from tests.engines.jobs import NEEDS_HOROVOD


@pytest.mark.parametrize("text, workers, expected", [
    (None, 3, [("localhost", 3)]),
    ("a:2,b:4", 5, [("a", 2), ("b", 4)]),
])
def test_hosts_are_read(text, workers, expected):
    assert parse_hosts(text, workers) == expected


@pytest.mark.parametrize("text, says", [("a", "HOST:SLOTS"), ("a:x", "HOST:SLOTS"), ("a:2,a:2", "a machine twice"),
                                        (":3", "HOST:SLOTS"), ("a:1,b:1", "has 2 "
                                                                                     "slots, fewer than")])
def test_hosts_that_do_not_fit_are_refused(text, says):
    with pytest.raises(UserError, match=says):
        parse_hosts(text, 3)


def test_ranks_fill_one_host_after_the_other():
    a, b = Machine("a", 2), Machine("b", 4)
    assert places([a, b], 5) == [(a, 0, 2), (a, 1, 2), (b, 0, 3), (b, 1, 3), (b, 2, 3)]


def made(engine="dist_sync", workers=4, servers=2, machines=None):
    with roles(engine, ["true"], workers, servers, machines or [Machine("localhost", workers)], 7.5) as found:
        return found


def test_the_parameter_servers_roles():
    found = made()
    assert [role.name for role in found] == ["scheduler", "server 0", "server 1", "rank 0", "rank 1",
                                             "rank 2", "rank 3"]
    assert [role.command[-1] for role in found] == ["scheduler"] + ["server"] * 2 + ["true"] * 4
    assert [role.environment.get("DMLC_ROLE") for role in found] == [None] * 3 + ["worker"] * 4
    names = ("DMLC_PS_ROOT_PORT", "DMLC_NUM_SERVER", "DMLC_NUM_WORKER", "GLUON_TRICKS_TIMEOUT")
    shared = {tuple(role.environment[name] for name in names) for role in found}
    assert len(shared) == 1 and next(iter(shared))[1:] == ("2", "4", "7.5")
    assert [role.full_environment("/beats").get("GLUON_TRICKS_HEARTBEATS")
            for role in found] == [None] * 3 + ["/beats"] * 4
    assert [role.environment.get("GLUON_TRICKS_RANK") for role in found] == [None] * 3 + list("0123")


def test_processes_of_one_machine_have_a_unix_socket_each():
    found = made()
    assert {role.environment["DMLC_LOCAL"] for role in found} == {"1"}
    assert len({role.environment["PORT"] for role in found}) == len(found) == 7
    assert found[0].environment["PORT"] == found[-1].environment["DMLC_PS_ROOT_PORT"]


@pytest.mark.parametrize("engine, name, values", [
    ("dist_sync", "DMLC_NODE_HOST", ["10.0.0.1"] * 2 + ["10.0.0.2", "10.0.0.1", "10.0.0.2"]),
    pytest.param("horovod", "HOROVOD_GLOO_IFACE", ["eth0", "eth1"], marks=NEEDS_HOROVOD),
])
def test_processes_of_several_machines_meet_at_the_machines_addresses(engine, name, values):
    machines = [Machine("a", 1, "10.0.0.1", "eth0", 5000), Machine("b", 1, "10.0.0.2", "eth1", 6000, reach=Reach())]
    found = made(engine, 2, machines=machines)
    assert [role.environment[name] for role in found] == values
    assert not any({"DMLC_LOCAL", "PORT"} & set(role.environment) for role in found)
    assert found[-1].title == "rank 1 on b" and found[0].environment.get("DMLC_PS_ROOT_PORT") in (None, "5000")


def test_an_interface_is_for_several_machines():
    with pytest.raises(UserError, match="--interface eth0: all processes run on this machine"):
        find_machines([("localhost", 2)], Reach(), "eth0")


def test_another_machine_is_reached_by_ssh():
    words = Reach(("ssh", "-p", "2222"), "/a b", "/opt/python").argv("me@node2", "--address")
    assert words[:4] == ["ssh", "-p", "2222", "-T"] and words[-2] == "me@node2"
    assert words[-1].startswith("cd '/a b' && exec env ")
    assert words[-1].endswith("/opt/python -m gluon_tricks.launching.agent --address")


def test_what_nobody_foresaw_is_quoted():
    assert reason("Welcome\nsomething odd\n", (), "node2", Reach()) == "cannot take part: something odd"


@pytest.mark.parametrize("command, workers, expected", [
    ("train.py --lr 1", 4, "train.py --lr 1"),
    ("train.py --lr 1", 2, "train.py --lr 1 --accumulate 2"),
    ("train.py --accumulate 3 --lr 1", 1, "train.py --lr 1 --accumulate 12"),
])
def test_fewer_processes_keep_the_global_batch(command, workers, expected):
    assert launch.with_same_batch(command.split(), 4, workers) == expected.split()


def test_no_process_inherits_another_launchers_part(monkeypatch):
    for name in ("DMLC_ROLE", "HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "PORT"):
        monkeypatch.setenv(name, "server")
    monkeypatch.setenv("HOROVOD_FUSION_THRESHOLD", "1")
    kept = Role("rank 0", ["true"], {"GLUON_TRICKS_RANK": "0"}, 0).full_environment()
    assert not {"DMLC_ROLE", "HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "PORT"} & set(kept)
    assert kept["HOROVOD_FUSION_THRESHOLD"] == "1" and kept["GLUON_TRICKS_RANK"] == "0"


@pytest.mark.parametrize("cores, workers, threads", [(8, 4, "2"), (2, 4, "1"), (7, 2, "3")])
def test_cores_are_divided_unless_the_user_has_done_so(cores, workers, threads, monkeypatch):
    monkeypatch.setattr(compat, "visible_cpus", lambda: cores)
    monkeypatch.setattr(compat, "steps_taken", ["OMP_NUM_THREADS=8, every visible CPU"])
    assert {role.full_environment()["OMP_NUM_THREADS"] for role in made(workers=workers)
            if role.is_worker} == {threads}
    monkeypatch.setattr(compat, "steps_taken", [])
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert {role.full_environment()["OMP_NUM_THREADS"] for role in made(workers=workers) if role.is_worker} == {"5"}


@pytest.mark.parametrize("command, expected", [
    ("t.py --lr 1", "t.py --lr 1 --resume auto"),
    ("t.py --overwrite --lr 1", "t.py --lr 1 --resume auto"),
    ("t.py --resume old.npz --lr 1", "t.py --lr 1 --resume auto"),
    ("t.py --resume=old.npz --lr 1 --resume-params x", "t.py --lr 1 --resume-params x --resume auto"),
])
def test_a_restart_goes_on(command, expected):
    assert launch.resuming(command.split()) == expected.split()


@pytest.mark.parametrize("argv, says", [
    (["-n", "0", "--", "train_cifar.py"], "--num-workers 0"),
    (["-n", "2", "--timeout", "0", "--", "train_cifar.py"], "--timeout 0"),
    (["-n", "2"], "no script"),
    (["-n", "2", "--", "nowhere.py"], "nowhere.py: does not exist"),
])
def test_what_is_typed_wrong_is_one_sentence(argv, says):
    with pytest.raises(UserError, match=says):
        launch.main(argv)
