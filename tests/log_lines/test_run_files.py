"""run.json and metrics.jsonl: what is not one of a run is refused with its file and place."""

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.run_files import read_metrics, read_run_json


@pytest.mark.parametrize("content, says", [
    (b"[]", "no JSON object"), (b"\xff", "utf-8"), (b"[" * 100000, "nested too deeply"), (b"", "Expecting value"),
    (b'{"args": []}', "args is \\[\\], no dict"), (b'{"devices": true}', "devices is True, no int"),
    (b'{"world_size": 0}', "world_size is 0"), (b'{"seed": 1e400}', "seed is inf, no int"),
    (b'{"dtype_trial": {"float32": "x"}}', "no rates"), (b'{"seed": 1, "seed": 2}', "twice"),
    (b'{"seed": ' + b"9" * 5000 + b"}", "5000 digits")], ids=range(11))
def test_a_run_json_of_other_types_is_one_sentence(tmp_path, content, says):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(UserError, match=f"run.json: is no run.json of this kit, or a damaged one .*{says}") as caught:
        read_run_json(tmp_path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_a_folder_or_nothing_in_the_place_of_run_json(tmp_path):
    with pytest.raises(UserError, match="run.json: cannot be read .*; give the folder of a run"):
        read_run_json(tmp_path)
    (tmp_path / "run.json").mkdir()
    with pytest.raises(UserError, match="run.json: cannot be read: is a folder"):
        read_run_json(tmp_path)


def test_the_line_of_a_damaged_record_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kind": "epoch", "epoch": 0, "num_update": 9}\n{"kind": "epoch", "epoch": -1}\n')
    with pytest.raises(UserError, match="metrics.jsonl, line 2: is no record of a run .*epoch is -1"):
        read_metrics(path)
