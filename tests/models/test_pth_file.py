"""`.pth` files without PyTorch: both of its containers; a pickle runs nothing.

The files in pth/ are of PyTorch 2.15: `torch.save(state, ...)`, old.pth with
`_use_new_zipfile_serialization=False`, module.pth of a whole `nn.Linear`.
"""

import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.models.pth_file import read_pth

FILES = Path(__file__).with_name("pth")
TWELVE = np.arange(12, dtype="f4").reshape(3, 4)
STATE = {"weight": TWELVE, "transposed": TWELVE.T, "window": TWELVE[1:, 2:], "half": np.array([1.5, -2], "f2"),
         "brain": np.array([1.5, -2], "f4"), "count": np.array(7, "i8"), "parameter": np.array([0.25], "f4")}


@pytest.mark.parametrize("name", ["new.pth", "old.pth"])
def test_both_containers_give_the_tensors(name):
    found = read_pth("--params-file", FILES / name)
    assert found.keys() == STATE.keys()
    for key, value in STATE.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_of_a_checkpoint_the_state_dict_is_read_without_the_prefix_of_data_parallel_training():
    found = read_pth("--params-file", FILES / "checkpoint.pth")
    assert {name: value.tolist() for name, value in found.items()} == {"a": [1.0]}


class Command:
    def __reduce__(self):
        return os.system, ("touch ran",)


def zipped(path, content, how=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", how) as archive:
        archive.writestr("x/data.pkl", content)
    return path


def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = pickle.dumps({"a": Command()})
    for path in (zipped(tmp_path / "new.pth", evil), tmp_path / "old.pth"):
        if path.name == "old.pth":
            path.write_bytes(evil)
        with pytest.raises(UserError, match=r"it calls (posix|os)\.system, which is no part of a tensor"):
            read_pth("--params-file", path)
    assert not (tmp_path / "ran").exists()


def test_a_whole_module_is_refused_with_the_remedy():
    with pytest.raises(UserError, match=r"torch\.nn\.modules\.linear\.Linear.*torch\.save\(model\.state_dict"):
        read_pth("--params-file", FILES / "module.pth")


@pytest.mark.parametrize("name", ["new.pth", "old.pth"])
def test_no_shortened_file_is_read(name, tmp_path):
    content = (FILES / name).read_bytes()
    for length in range(0, len(content), 97):
        path = tmp_path / name
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="is no state dict of PyTorch, or a damaged one"):
            read_pth("--params-file", path)


def test_compressed_archives_and_other_things_than_tensors_are_refused(tmp_path):
    for path, reason in ((zipped(tmp_path / "a.pth", pickle.dumps({}), zipfile.ZIP_DEFLATED), "is compressed"),
                         (zipped(tmp_path / "b.pth", pickle.dumps({"lr": 0.1})), "its entry 'lr' is no tensor"),
                         (zipped(tmp_path / "c.pth", pickle.dumps([1])), "no dictionary of tensors")):
        with pytest.raises(UserError, match=reason):
            read_pth("--params-file", path)


def test_a_length_or_a_number_that_is_too_large_reserves_no_memory(tmp_path):
    for content, reason in ((b"\x80\x04N" + b"r\xff\xff\xff\xff" + b".", "4294967295 is one of too many"),
                            (b"\x80\x05\x8e" + (1 << 40).to_bytes(8, "little") + b"x.", "expected 1099511627776 bytes")):
        with pytest.raises(UserError, match=reason):
            read_pth("--params-file", zipped(tmp_path / "x.pth", content))


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path):
    path, small = tmp_path / "x.pth", tmp_path / "small.pth"
    shutil.copy(FILES / "new.pth", path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(small, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:-4] if name.endswith("data/0") else content)
    with pytest.raises(UserError, match="storage 0 has 11 values, not 12"):
        read_pth("--params-file", small)
