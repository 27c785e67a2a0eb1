"""A number for a socket is one job's only, as long as the job runs."""

import socket
import stat

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.launching import sockets
from gluon_tricks.launching.sockets import socket_numbers


def test_numbers_are_held_by_file_and_port_and_given_back(monkeypatch, tmp_path):
    monkeypatch.setattr(sockets, "FOLDER", tmp_path)
    with socket_numbers(3) as numbers, socket.socket() as other:
        files = {int(path.name): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert files == dict.fromkeys(numbers, 0o600) and len(files) == 3
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", numbers[0]))
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(sockets, "FOLDER", tmp_path)
    monkeypatch.setattr(sockets.os, "open", taken := Taken())
    with pytest.raises(UserError, match="no free number"), socket_numbers(1):
        pass
    assert len(taken.paths) == 100 and all(path.exists() for path in taken.paths)


class Taken:
    """`os.open` where every name has been taken a moment ago."""

    def __init__(self):
        self.paths, self.open = [], sockets.os.open

    def __call__(self, path, *words, **named):
        path.write_text("of another")
        self.paths.append(path)
        return self.open(path, *words, **named)


def test_a_folder_that_takes_no_sockets_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(sockets, "FOLDER", tmp_path / "missing")
    with pytest.raises(UserError, match="--engine dist_sync: .*missing takes no sockets"), socket_numbers(1):
        pass
