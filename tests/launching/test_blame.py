"""The launcher names the process that printed a cause, not one that ended without a word."""

import pytest

from gluon_tricks.launching.job import Job
from gluon_tricks.launching.roles import Role

CAUSE = "train_cifar.py: error: --data-dir /data: is not on this machine"
SILENT, NOTICES = "exit 1", "echo 'MXNetError: Horovod has been shut down' >&2; exit 3"
FAILS = f"sleep 0.4; echo '{CAUSE}' >&2; exit 2"


@pytest.mark.parametrize("commands, rank, code", [
    ([SILENT, FAILS], 1, 2), ([FAILS, SILENT], 0, 2), ([NOTICES, FAILS, SILENT], 1, 2),
    ([f"{FAILS.removesuffix('; exit 2')}; echo 'bye' >&2; exit 2", SILENT], 0, 2),
])
def test_who_printed_the_cause_is_named_with_it(commands, rank, code, tmp_path, capsys):
    roles = [Role(f"rank {place}", ["sh", "-c", command], {}, place) for place, command in enumerate(commands)]
    assert Job(roles, 60, tmp_path, []).run() == code
    assert (f'launch: rank {rank} ended with exit code {code}; its last words: "{CAUSE}"; all processes are '
            "ended") in capsys.readouterr().err


def test_a_silent_end_is_blamed_before_those_who_noticed_it(tmp_path, capsys):
    roles = [Role(f"rank {place}", ["sh", "-c", command], {}, place)
             for place, command in enumerate([NOTICES, f"sleep 0.4; {SILENT}"])]
    assert Job(roles, 60, tmp_path, []).run() == 1
    assert "launch: rank 1 ended with exit code 1; all processes are ended" in capsys.readouterr().err
