"""Every difference between a prepared folder and its manifest is found, and named."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publisher_files import make_data, write_folder

from data_prep import cifar, verify
from gluon_tricks.data.manifest import describe_split, read_manifest, record_row
from gluon_tricks.data.recordio import RecordReader, write_image_records

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A prepared folder with ten training and ten test images."""
    folder = tmp_path_factory.mktemp("cifar10")
    source = write_folder(folder / "source", "cifar10", "binary", make_data("cifar10"))
    assert cifar.main(["--source", str(source), "--out", str(folder / "rec"), "--per-class", "1,1"]) == 0
    return folder / "rec"


@pytest.fixture
def prepared(original, tmp_path):
    return shutil.copytree(original, tmp_path / "rec")


def run_verify(folder):
    return subprocess.run([sys.executable, "-m", "data_prep.verify", folder], cwd=ROOT, capture_output=True,
                          text=True, timeout=60, check=False)


def differences(folder, split):
    manifest = read_manifest(folder)
    return verify.verify_split(folder, split, manifest.splits[split], manifest.classes)


def flip(path, offset, bits=1):
    data = bytearray(path.read_bytes())
    data[offset] ^= bits
    path.write_bytes(data)


# --- exit codes ---------------------------------------------------------------------------------------------

def test_a_good_folder_is_exit_code_0(original):
    result = run_verify(original)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{original}: 20 records, 0 differences, root hash {read_manifest(original).root_hash}\n"


def test_a_flipped_byte_is_exit_code_1_and_names_the_record(prepared):
    reader = RecordReader(prepared / "train.rec")
    flip(prepared / "train.rec", int(reader.offsets[3]) + 100)
    result = run_verify(prepared)
    assert result.returncode == 1
    assert f"{prepared}/train.rec, key 3, offset {reader.offsets[3]}: " in result.stdout
    assert "Traceback" not in result.stderr


def test_an_edited_index_is_exit_code_1_and_names_the_record(prepared):
    lines = (prepared / "test.idx").read_text().splitlines()
    lines[7] = f"7\t{int(lines[7].split()[1]) + 4}"
    (prepared / "test.idx").write_text("\n".join(lines) + "\n")
    result = run_verify(prepared)
    assert result.returncode == 1
    assert f"{prepared}/test.rec, key 7, offset {lines[7].split()[1]}: no record begins there" in result.stdout
    assert f"{prepared}/test.rec: SHA-256 of the index is " in result.stdout


def test_a_folder_without_a_manifest_is_exit_code_2(tmp_path):
    result = run_verify(tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"data_prep.verify: error: {tmp_path}/manifest.json: cannot be read (")


# --- what is found ------------------------------------------------------------------------------------------

@settings(max_examples=60, deadline=None)
@given(data=st.data(), bits=st.integers(1, 255))
def test_any_altered_byte_of_a_record_is_found(original, data, bits):
    path = original / "train.rec"
    content = path.read_bytes()
    reader = RecordReader(path)
    position = data.draw(st.integers(0, 9))
    # 8 bytes of RecordIO's, 24 of the image record's: rarer, so aimed at
    header = st.integers(0, 31)
    within = data.draw(header | st.integers(0, 7 + len(reader.read(position))))
    try:
        flip(path, int(reader.offsets[position]) + within, bits)
        found = differences(original, "train")
    finally:
        path.write_bytes(content)
    assert any(difference.startswith(f"{reader.describe(position)}: ") for difference in found)


@pytest.mark.parametrize("edit", [
    lambda lines: lines[:-1],
    lambda lines: [lines[1], lines[0], *lines[2:]],
    lambda lines: [*lines, lines[-1]],
    lambda lines: ["4294967296\t0", *lines[1:]],
    lambda lines: ["-1\t0", *lines[1:]],
    lambda lines: ["no index"],
    lambda lines: [],
])
def test_any_edit_of_the_index_is_found(prepared, edit):
    index = prepared / "train.idx"
    index.write_text("".join(f"{line}\n" for line in edit(index.read_text().splitlines())))
    assert differences(prepared, "train")
    assert not differences(prepared, "test")


@pytest.mark.parametrize("name", ["train.rec", "train.idx", "train.records.npy"])
def test_a_missing_file_is_a_difference(prepared, name):
    (prepared / name).unlink()
    assert [difference.split(": ")[0] for difference in differences(prepared,
                                                                    "train")] == [f"{prepared}/{name}"]


@pytest.mark.parametrize("field, value, said", [
    ("per_class", [2, 0, 1, 1, 1, 1, 1, 1, 1, 1], "train.rec: counts per class differ from the manifest"),
    ("pixels_sha256", "0" * 64, "train.rec: labels and decoded pixels differ from the manifest"),
    ("rec_bytes", 1, "train.rec: bytes is "),
])
def test_what_the_manifest_says_besides_its_root_hash_is_recomputed_too(prepared, field, value, said):
    content = json.loads((prepared / "manifest.json").read_text())
    content["splits"]["train"][field] = value
    (prepared / "manifest.json").write_text(json.dumps(content))
    assert [difference.startswith(f"{prepared}/{said}") for difference in differences(prepared,
                                                                                      "train")] == [True]


@pytest.mark.parametrize("label", [10, -1, 2.5, float("nan"), 1e30])
def test_a_label_that_is_no_class_is_named_even_if_the_manifest_agrees(prepared, label):
    manifest = read_manifest(prepared)
    records = [(0, label, 0, RecordReader(prepared / "train.rec").read_image(0)[1])]
    payloads = [payload for _, _, payload in write_image_records(prepared / "train.rec",
                                                                 prepared / "train.idx", records)]
    manifest.splits["train"] = describe_split(prepared, "train", manifest.classes,
                                              [record_row(0, 2, payloads[0])])
    found = verify.verify_split(prepared, "train", manifest.splits["train"], manifest.classes)
    assert f"{prepared}/train.rec, key 0, offset 0: label {np.float32(label)} is none of 10 classes" in found


def test_a_long_list_of_differences_is_cut(prepared, capsys):
    for name in ("train", "test"):
        reader = RecordReader(prepared / f"{name}.rec")
        for offset in reader.offsets:
            flip(prepared / f"{name}.rec", int(offset) + 100)
    assert verify.main([str(prepared)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == verify.MOST_SHOWN + 2
    assert lines[-2].startswith("... and ")
