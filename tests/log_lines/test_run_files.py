"""Facts of a run and metrics.jsonl: what is not of a run is refused with its place."""

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.run_files import check_facts_types, read_metrics


@pytest.mark.parametrize("facts, says", [
    ([], "no JSON object"), ({"args": []}, r"args is \[\], no dict"), ({"devices": True}, "devices is True, no int"),
    ({"world_size": 0}, "world_size is 0"), ({"seed": float("inf")}, "seed is inf, no int"),
    ({"classes": 1 << 60}, "classes is"), ({"dtype_trial": {"float32": "x"}}, "no rates")])
def test_facts_of_other_types_are_named(facts, says):
    with pytest.raises(ValueError, match=says):
        check_facts_types(facts)
    check_facts_types({"seed": 0, "devices": 1, "args": {}, "mix": None, "a later version's": [1]})


@pytest.mark.parametrize("line, says", [
    (b'{"kind": "epoch", "epoch": -1}', "epoch is -1"), (b"[" * 100000, "nested too deeply"), (b"\xff", "utf-8"),
    (b'{"kind": "epoch", "epoch": 0, "lr": "x"}', "lr is 'x', no number"), (b"3", "no kind"),
    (b'{"kind": "epoch", "epoch": 0, "epoch": 1}', "twice"), (b'{"kind": "epoch", "epoch": 1e400}', "epoch is inf"),
    (b'{"kind": "interval", "epoch": 0, "batch": 1}', "rate 'lr' is None"),
    (b'{"kind": "epoch", "epoch": ' + b"9" * 5000 + b"}", "5000 digits")], ids=range(9))
def test_the_line_of_a_damaged_record_is_named(tmp_path, line, says):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kind": "epoch", "epoch": 0, "num_update": 9}\n' + line + b"\n")
    with pytest.raises(UserError, match=f"metrics.jsonl, line 2: is no record of a run .*{says}") as caught:
        read_metrics(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


def test_a_folder_in_the_place_of_metrics_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be read: is a folder"):
        read_metrics(tmp_path)
