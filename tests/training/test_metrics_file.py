"""metrics.jsonl of a resumed run: whole lines stay, a damaged file is kept aside, and the run goes on."""

import json
import logging

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.training.progress import Progress
from gluon_tricks.training.record import Metrics

WHOLE = [json.dumps({"kind": "interval", "num_update": number, "epoch": 0, "batch": number, "lr": 0.1}).encode() + b"\n"
         for number in (1, 2, 3, 4)]


def resumed(path, num_update=3):
    metrics = Metrics(path, Progress(epoch=0, batch=num_update, num_update=num_update))
    metrics.close()
    return path.read_bytes()


@pytest.mark.parametrize("damage", [
    b"\xff\xfe\xfd\n", b"3\n", b'"x"\n', b"[]\n", b"{}\n", b"null\n", b"[" * 50000 + b"\n", b'{"kind": "epoch"}\n',
    b'{"kind": "interval", "num_update": "x", "epoch": 0, "batch": 1, "lr": 0.1}\n',
    b'{"kind": "interval", "num_update": 1e300, "epoch": 0, "batch": 1, "lr": 0.1}\n', b"\x00" * 4096], ids=range(11))
def test_whole_lines_stay_and_a_damaged_file_is_kept_aside(tmp_path, caplog, damage):
    path = tmp_path / "metrics.jsonl"
    content = WHOLE[0] + damage + b"".join(WHOLE[1:])
    if not damage.endswith(b"\n"):         # zeros, as a crashed file system leaves them, up to the next newline
        content = WHOLE[0] + WHOLE[1] + damage + b"\n" + WHOLE[2] + WHOLE[3]
    path.write_bytes(content)
    with caplog.at_level(logging.INFO):
        assert resumed(path) == b"".join(WHOLE[:3])
    assert (tmp_path / "metrics.jsonl.damaged").read_bytes() == content
    warning, = (record.getMessage() for record in caplog.records)
    assert warning.startswith(f"warning: {path}: line ") and "metrics.jsonl.damaged" in warning


def test_the_half_line_of_a_killed_run_is_no_damage(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"".join(WHOLE[:2]) + WHOLE[2][:20])
    assert resumed(path) == b"".join(WHOLE[:2])
    assert [one.name for one in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_second_damaged_file_does_not_replace_the_first(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for damage in (b"first\n", b"second\n"):
        path.write_bytes(damage)
        assert resumed(path) == b""
    assert {one.read_bytes() for one in tmp_path.glob("*.damaged*")} == {b"first\n", b"second\n"}


def test_a_folder_in_its_place_is_one_sentence(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    for progress in (None, Progress()):
        with pytest.raises(UserError, match="metrics.jsonl: is no file"):
            Metrics(tmp_path / "metrics.jsonl", progress)
