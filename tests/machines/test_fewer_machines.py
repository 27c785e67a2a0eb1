"""A job goes on with the machines that are left, and takes a machine back at the next restart."""

import pytest
from jobs_over_machines import RESUME, cifar, finish, said, start, train, undone, updates_done, wait_until, worker

from tests.engines.jobs import arrays_of, assert_close

pytestmark = pytest.mark.slow
UPDATES = 16
FLAGS = ("--lr", 0.002)          # at 0.1 rounding grows a hundredfold


def test_a_lost_machine_is_left_out_and_taken_back(network, tmp_path):
    out = tmp_path / "out"
    restarts = ("--restarts", 2, "--min-processes", 1, "--timeout", 15)
    job = start(network, "dist_sync", cifar(out, *FLAGS, updates=UPDATES), *restarts)
    wait_until(job, lambda: updates_done(out) >= 3)
    with undone(lambda: network.mend("node2")):
        network.cut("node2")
        wait_until(job, lambda: "goes on with 1 of 2 processes, --accumulate 2 times as large" in said(job))
        before = updates_done(out)
        wait_until(job, lambda: updates_done(out) >= before + 2)
    worker(network, "node1").kill()
    output = finish(network, job)
    assert "-H node2: does not answer; it is down, or the network between is" in output
    for words in ("8 per device x 1 device x 2 processes (dist_sync)", "8 per device x 1 device x 2 accumulated"):
        assert f"global batch 16 = {words}" in output
    assert output.count("2 processes (dist_sync)") == 2            # at the start and at the end
    train(network, "dist_sync", cifar(tmp_path / "whole", *FLAGS, updates=UPDATES))
    found, whole = (arrays_of(folder / RESUME) for folder in (out, tmp_path / "whole"))
    trained = {name for name in whole if name.startswith("param/") and "running" not in name}
    assert_close({name: found[name] for name in trained}, {name: whole[name] for name in trained})


def test_fewer_processes_than_permitted_end_the_job(network, tmp_path):
    job = start(network, "dist_sync", cifar(tmp_path, updates=100), "--restarts", 1, "--min-processes", 2, "--timeout", 15)
    wait_until(job, lambda: updates_done(tmp_path) >= 3)
    with undone(lambda: network.mend("node2")):
        network.cut("node2")
        output = finish(network, job, check=2)
    assert "-H node2: does not answer" in output.splitlines()[-1]
