"""Following runs: an update whenever lines arrive, until all is complete or Ctrl-C is pressed."""

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines import following
from gluon_tricks.log_lines.following import follow
from gluon_tricks.log_lines.reading import NoEpoch


class Hand:
    """What happens between two looks at the files, one step at a time; after the last one Ctrl-C is pressed."""

    def __init__(self, monkeypatch, *steps):
        self.steps = list(steps)
        monkeypatch.setattr(following.time, "sleep", self.step)

    def step(self, seconds):
        if not self.steps:
            raise KeyboardInterrupt
        self.steps.pop(0)()


def add(path, text):
    return lambda: path.open("a").write(text)


def nothing():
    pass


def test_each_change_is_one_update_until_the_run_is_complete(tmp_path, monkeypatch):
    log = tmp_path / "run.log"
    log.write_text("one\n")
    hand = Hand(monkeypatch, nothing, add(log, "two\n"), nothing, add(log, "three\n"), add(log, "never read\n"))
    seen = []

    def update():
        seen.append(log.read_text().split())
        return len(seen) == 3

    follow([log], update)
    assert seen == [["one"], ["one", "two"], ["one", "two", "three"]]
    assert len(hand.steps) == 1


def test_a_folder_is_followed_by_its_logs_and_records_alone(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    page, metrics, beside = folder / "report.html", folder / "metrics.jsonl", tmp_path / "run.log"
    Hand(monkeypatch, add(page, "<html>"), add(metrics, "{}\n"), add(beside, "line\n"))
    updates = []
    follow([folder], lambda: updates.append(1))
    assert len(updates) == 3                   # at the start, for metrics.jsonl, for the log


def test_before_the_first_epoch_it_waits(tmp_path, monkeypatch, capsys):
    log = tmp_path / "run.log"
    log.write_text("")
    Hand(monkeypatch, add(log, "a\n"), add(log, "b\n"))
    seen = []

    def update():
        seen.append(log.read_text())
        if "b" not in seen[-1]:
            raise NoEpoch(f"{log}: no finished epoch")

    follow([log], update)
    assert len(seen) == 3
    assert capsys.readouterr().err == f"waiting: {log}: no finished epoch\nno longer watched\n"


def test_files_that_do_not_fit_together_are_an_error_only_if_they_stay_so(tmp_path, monkeypatch):
    log = tmp_path / "run.log"
    log.write_text("half")
    Hand(monkeypatch, add(log, " whole"), add(log, " broken"), nothing)
    seen = []

    def update():
        seen.append(log.read_text())
        if not seen[-1].endswith("whole"):
            raise UserError("not of one run")

    with pytest.raises(UserError, match="not of one run"):
        follow([log], update)
    assert seen == ["half", "half whole", "half whole broken", "half whole broken"]
