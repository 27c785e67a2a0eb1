"""The sums of docs/scaling.md against messages counted one by one, and a real exchange between two
processes."""

from collections import Counter
from pathlib import Path

import pytest

from gluon_tricks.benching import scaling
from gluon_tricks.benching.scaling_model import (
    bytes_table,
    efficiency,
    efficiency_table,
    one_server_bytes,
    ring_bytes,
    server_bytes,
)
from gluon_tricks.commands import bench
from gluon_tricks.errors import UserError

DOC = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"


@pytest.mark.parametrize("machines, per_machine", [(1, 8), (2, 4), (8, 8), (32, 8)])
def test_a_ring_counted_message_by_message(machines, per_machine):
    """Scatter-reduce, then all-gather: N - 1 steps each, in which everyone passes one of N pieces to the
    next."""
    gpus, out = machines * per_machine, Counter()
    for _ in range(2 * (gpus - 1)):
        for gpu in range(gpus):
            sender, receiver = gpu // per_machine, (gpu + 1) % gpus // per_machine
            out[sender] += 1.0 if sender != receiver or machines == 1 and gpu == 0 else 0.0
    # of one machine: what one of its GPUs sends
    assert out[0] / gpus == pytest.approx(ring_bytes(1.0, gpus))


@pytest.mark.parametrize("machines, workers", [(1, 1), (2, 1), (8, 1), (4, 8)])
def test_servers_counted_message_by_message(machines, workers):
    """Every worker pushes a piece to every machine's server and pulls it back."""
    out = Counter()
    for worker in range(machines * workers):
        for server in range(machines):
            if worker // workers != server:
                out[worker // workers] += 1 / machines             # push
                out[server] += 1 / machines                        # pull
    assert out[0] == pytest.approx(server_bytes(1.0, machines, workers))
    one = sum(1.0 for worker in range(machines * workers) if worker // workers != 0)
    assert one == one_server_bytes(1.0, machines, workers)


def test_what_is_hidden_costs_nothing_and_the_rest_adds_up():
    assert efficiency(0.2, 1e9, 1e10) == 1.0                                     # 0.1 s behind 0.133 s
    assert efficiency(0.2, 1e9, 1e10, hidden=0) == pytest.approx(0.2 / 0.3)
    assert efficiency(0.2, 1e9, 2.5e9) == pytest.approx(0.2 / (0.2 + 0.4 - 0.2 * 2 / 3))


def test_the_document_has_these_tables():
    text = DOC.read_text()
    assert bytes_table() in text and efficiency_table() in text and efficiency_table(hidden=0) in text


@pytest.mark.slow
def test_two_processes_exchange_and_more_bytes_take_longer():
    latency, bandwidth, measured = scaling.exchange_line(2, "dist_sync")
    assert [size for size, _ in measured] == scaling.SIZES and all(seconds > 0 for _, seconds in measured)
    assert measured[-1][1] > measured[0][1] and bandwidth > 0


@pytest.mark.parametrize("flags, says", [
    (["--workers", "1"], "--workers 1: at least 2"),
    (["--rounds", "2"], "--rounds 2: at least 5"),
    (["--workers", "3", "--global-batch", "128"], "--global-batch 128: must be a multiple"),
    (["--epochs", "1"], "--epochs 1: at least 2"),
])
def test_what_cannot_be_measured_is_refused(flags, says):
    with pytest.raises(UserError, match=says):
        bench.main(["--scaling", *flags])
