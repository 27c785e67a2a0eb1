"""Files appear whole or not at all, and one process at a time prepares a folder."""

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.files import (
    Claim,
    LineFile,
    atomic_path,
    atomic_write,
    only_writer,
    remove_leftovers,
    sha256_of,
)
from tests.file_limits import files_of_at_most

ROOT = Path(__file__).resolve().parent.parent


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("content", ["text: é", b"\x00bytes"])
def test_a_written_file_holds_the_content_and_nothing_lies_beside_it(tmp_path, content):
    atomic_write(tmp_path / "a.json", content)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_a_writer_that_wants_a_name_gets_one_in_the_same_folder_with_the_same_suffix(tmp_path):
    with atomic_path(tmp_path / "plot.png") as part:
        assert (part.parent, part.suffix) == (tmp_path, ".png")
        part.write_text("new")
        assert not (tmp_path / "plot.png").exists()
    assert contents(tmp_path) == {"plot.png": "new"}


@pytest.mark.parametrize("earlier", [{}, {"a.txt": "old"}])
def test_an_error_leaves_the_old_content_and_nothing_else(tmp_path, earlier):
    for name, text in earlier.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a.txt") as part:
        part.write_text("half of the new cont")
        raise KeyboardInterrupt
    assert contents(tmp_path) == earlier


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path):
    atomic_write(tmp_path / "a.txt", "old")
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert contents(tmp_path) == {"a.txt": "old"}


def test_a_file_is_hashed_in_pieces_as_in_one(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789" * 100)
    expected = hashlib.sha256(b"0123456789" * 100).hexdigest()
    assert sha256_of(tmp_path / "a") == sha256_of(tmp_path / "a", chunk_bytes=7) == expected


# --- one process at a time ----------------------------------------------------------------------------------

def killed_while_writing(path):
    """Run a process that is killed with half of `path` written."""
    script = (f"import os, signal\nfrom gluon_tricks.files import *\nwith "
              f"only_writer({str(path.parent)!r}):\n    with atomic_path({str(path)!r}) as part:\n        "
              f"part.write_text('half')\n        os.kill(os.getpid(), signal.SIGKILL)")
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, check=False)
    assert result.returncode == -signal.SIGKILL


def test_what_a_killed_process_left_half_written_is_removed_and_nothing_else(tmp_path):
    others = {"a.rec": "whole", ".a.part": "a user's", ".profile": "a user's", "a.12.part": "a user's"}
    for name, text in others.items():
        (tmp_path / name).write_text(text)
    for name in ("a.rec", "no_suffix"):
        killed_while_writing(tmp_path / name)
        # the second one has removed what the first one left
        assert len(contents(tmp_path)) == len(others) + 1
    with only_writer(tmp_path):
        assert contents(tmp_path) == others


def test_a_second_writer_waits_until_the_first_is_gone(tmp_path):
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    script = ("from gluon_tricks.files import only_writer\n"
              f"with only_writer({str(tmp_path)!r}):\n    print('my turn')")
    second = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    assert second.stderr.readline() == f"waiting for another process that writes to {tmp_path}\n"
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.2)
    os.close(handle)
    assert second.communicate(timeout=60) == ("my turn\n", "")


def test_where_folders_cannot_be_locked_nothing_is_removed(tmp_path, monkeypatch):
    def refuse(handle, operation):
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / ".a.rec.12.part.rec").write_text("perhaps another process's")
    with only_writer(tmp_path):
        assert len(contents(tmp_path)) == 1


def test_leftovers_of_processes_that_are_gone_are_removed_and_nothing_else(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = {f".x.params.{gone.pid}.part.params": False, f".x.params.{os.getpid()}.part.params": True,
             "x.params": True}
    for name in names:
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names


# --- What the system refuses --------------------------------------------------------------------------------

def test_a_line_is_added_whole_or_not_at_all(tmp_path):
    lines = LineFile(tmp_path / "a.log")
    lines.add("first")
    with files_of_at_most(10), pytest.raises(OSError, match="File too large: .*a.log"):
        lines.add("the second line")
    lines.add("third")
    lines.close()
    assert (tmp_path / "a.log").read_text() == "first\nthird\n"


def test_a_line_for_a_deleted_file_is_an_error(tmp_path):
    lines = LineFile(tmp_path / "a.log")
    (tmp_path / "a.log").unlink()
    with pytest.raises(FileNotFoundError, match="has been deleted"):
        lines.add("first")


def test_a_file_that_does_not_fit_is_named_and_leaves_the_old_content(tmp_path):
    atomic_write(tmp_path / "a.txt", "old")
    with files_of_at_most(10), pytest.raises(OSError, match=r"File too large: '/.*/a.txt'"):
        atomic_write(tmp_path / "a.txt", "longer than ten bytes")
    assert contents(tmp_path) == {"a.txt": "old"}


def test_a_deleted_folder_is_named_as_the_reason(tmp_path):
    with pytest.raises(FileNotFoundError, match="its folder does not exist any more"):
        atomic_write(tmp_path / "deleted" / "a.txt", "text")


# --- One run for each file ----------------------------------------------------------------------------------

def test_a_claim_is_exclusive_until_it_is_closed(tmp_path):
    first = Claim("--save-dir", tmp_path / "a", "train me")
    with pytest.raises(UserError, match=f"^--save-dir: .*/a belongs to a run .*process {os.getpid()} on .*: train me"):
        Claim("--save-dir", tmp_path / "a", "train me")
    Claim("--save-dir", tmp_path / "b", "train me").close()
    first.close()
    second = Claim("--save-dir", tmp_path / "a", "train me")
    assert second.is_sure
    second.close()
    assert not list(tmp_path.iterdir())


def test_a_claim_ends_with_its_process_though_forked_ones_live(tmp_path):
    """Those of MXNet's DataLoader outlive a killed training for a while."""
    script = ("import os, time\nfrom gluon_tricks.files import Claim\n"
              f"claim = Claim('--out', {str(tmp_path / 'a')!r}, 'train me')\n"
              "child = os.fork()\nif not child:\n    print(os.getpid(), flush=True)\n    time.sleep(100)\n"
              "time.sleep(100)")
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    child = int(process.stdout.readline())
    try:
        with pytest.raises(UserError, match=f"process {process.pid} on"):
            Claim("--out", tmp_path / "a", "train me")
        process.kill()
        process.wait()
        Claim("--out", tmp_path / "a", "train me").close()
    finally:
        os.kill(child, signal.SIGKILL)


def test_where_files_cannot_be_locked_a_claim_says_so(tmp_path, monkeypatch):
    def refuse(handle, operation):
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not Claim("--save-dir", tmp_path / "a", "train me").is_sure
