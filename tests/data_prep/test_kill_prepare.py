"""benchmarks/kill_prepare.py on generated images.

Every phase is hit, and what is not equal is not called so.
"""

import re

import pytest

from benchmarks import kill_prepare
from benchmarks.synthetic_imagenet import generated, photographs, write_folders, write_tar


@pytest.mark.slow
def test_killed_in_every_phase_it_ends_with_the_root_hash_of_the_undisturbed_run(monkeypatch, capsys):
    monkeypatch.setattr(kill_prepare, "generated",
                        lambda **_: generated(classes=8, per_class=2, size=(120, 90)))
    assert kill_prepare.main(["--trials", "2", "--copies", "6"]) == 0
    printed = capsys.readouterr().out
    assert "96 training images and 4 faulty ones, 48 validation images" in printed
    assert re.search(r"--on-error fail: exit code 2, imagenet.py: error: --train-tar .*: "
                     r"n01440764_fault\d.JPEG: ", printed)
    assert "--on-error skip: 96 records, 0 repaired, 4 left out (" in printed
    assert "--on-error repair: 98 records, 2 repaired (" in printed
    assert re.search(r"^2 of 2 equal", printed.splitlines()[-1])
    assert all(phase in printed for phase in kill_prepare.PHASES)


class Other:
    """A preparation that ends with something else than the undisturbed run; without processes."""

    def __init__(self, scratch, args):
        self.scratch, self.runs = scratch, 0

    def try_on_error(self):
        return True

    def undisturbed(self):
        return ("hash", {}), 0.01

    def folder(self, name):
        return self.scratch / name

    def start(self, out):
        return self

    def kill(self):
        pass

    def wait(self):
        return -9

    def finish(self, out):
        self.runs += 1
        return ("hash", {"train.rec": "other"}) if self.runs == 2 else ("hash", {})


def test_one_different_file_is_enough_to_fail(monkeypatch, capsys):
    monkeypatch.setattr(kill_prepare, "Preparation", Other)
    monkeypatch.setattr(kill_prepare, "PHASES", ())
    assert kill_prepare.main(["--trials", "3"]) == 1
    printed = capsys.readouterr().out
    assert "2 of 3 equal" in printed and printed.count("DIFFERENT") == 1


@pytest.mark.parametrize("files, phase", [
    ({}, "before the journal"),
    ({".prepare.json": '{"archives": {"--train-tar": {}}, "splits": {}}'}, "checksums"),
    ({"..prepare.json.12.part.json": "", ".prepare.json": "{}"}, "saving the journal"),
    ({".prepare.json": '{"archives": {"a": {}, "b": {}}, "splits": {}}'}, "packing train"),
    ({".prepare.json": '{"archives": {"a": {}, "b": {}}, "splits": {}}', "train.idx": ""}, "finishing train"),
    ({".prepare.json": '{"archives": {"a": {}, "b": {}}, "splits": {"train": {}}}', "train.idx": ""},
     "packing val"),
    ({".prepare.json": '{"archives": {"a": {}, "b": {}}, "splits": {"train": {}, "val": {}}}'},
     "writing the manifest"),
    ({".prepare.json": "{}", "manifest.json": "{}"}, "tidying up"),
])
def test_the_phase_is_read_off_the_folder(tmp_path, files, phase):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert kill_prepare.phase_of(tmp_path) == phase


def test_photographs_come_from_a_folder_as_from_a_tar(tmp_path):
    images = generated(classes=2, per_class=2)
    folder = write_folders(tmp_path / "photographs", images)
    tar = write_tar(tmp_path / "photographs.tar",
                    {f"{wnid}/{name}": content for wnid, members in images.items()
                                                   for name, content in members.items()})
    assert photographs(folder) == photographs(tar) == images
