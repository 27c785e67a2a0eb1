"""Scans of record files: labels and images as they were written, damage, memory, places without an index."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mxnet import recordio
from small_records import png, random_images, write_rec
from test_recordio import MAGIC_BYTES, edit, payloads, temporary_folder, write

from gluon_tricks.data import scan_memory
from gluon_tricks.data.record_scan import scan_images, scan_labels
from gluon_tricks.data.record_walk import walk
from gluon_tricks.data.recordio import RecordReader


def image_record(label, image=b"image"):
    return recordio.pack(recordio.IRHeader(0, label, 0, 0), image)


# --- labels -------------------------------------------------------------------------------------------------

def test_labels_are_counted_and_the_first_record_of_each_is_known(tmp_path):
    found = scan_labels(write_rec(tmp_path, [b"x"] * 7, [3, 1, 3, -1, 1, 3, 0]))
    assert found.records == 7 and found.uncovered == 0
    assert found.table == [[-1, 1, 3], [0, 1, 6], [1, 2, 1], [3, 3, 0]]
    assert (found.unusable, found.several, found.damaged) == (None, None, [])


@pytest.mark.parametrize("label", [2.5, float("nan"), float("inf"), 1e30])
def test_labels_that_are_no_whole_number_are_found(tmp_path, label):
    path = write(tmp_path, {0: image_record(1.0), 1: image_record(label), 2: image_record(label)})
    found = scan_labels(RecordReader(path))
    assert found.unusable == [2, 1, f"{np.float32(label):g}"] and found.table == [[1, 1, 0]]


def test_several_labels_are_found_and_a_list_of_one_is_one(tmp_path):
    path = write(tmp_path, {0: image_record([4.0]), 1: image_record([1.0, 2.0, 3.0]), 2: image_record(5.0)})
    found = scan_labels(RecordReader(path))
    assert found.several == [1, 1, "3"] and found.counts == {4: 1, 5: 1}


def test_labels_of_records_in_several_chunks_are_found(tmp_path):
    # the image begins with the magic number at an aligned place; in the second record the key holds it
    split = recordio.pack(recordio.IRHeader(0, 7.0, 0, 0), MAGIC_BYTES + b"rest")
    early = recordio.pack(recordio.IRHeader(0, 9.0, int.from_bytes(MAGIC_BYTES, "little"), 0), b"x")
    found = scan_labels(RecordReader(write(tmp_path, {0: split, 1: early, 2: image_record(1.0)})))
    assert found.counts == {1: 1, 7: 1, 9: 1} and found.uncovered == 0 and not found.damaged


def test_damaged_records_are_named_and_do_not_hide_the_others(tmp_path):
    reader = write_rec(tmp_path, [b"y" * 40] * 5, [0, 1, 2, 3, 4])
    edit(reader.path, int(reader.offsets[2]), b"\0")
    found = scan_labels(RecordReader(reader.path))
    assert found.counts == {0: 1, 1: 1, 3: 1, 4: 1}
    [[position, sentence]] = found.damaged
    assert position == 2 and sentence.startswith(f"{reader.path}, key 2, offset {reader.offsets[2]}: no record")


def test_bytes_that_the_index_leaves_out_are_counted(tmp_path):
    reader = write_rec(tmp_path, [b"y" * 40] * 5, range(5))
    lines = reader.idx_path.read_text().splitlines(keepends=True)
    reader.idx_path.write_text("".join(lines[:2] + lines[3:]))
    assert scan_labels(RecordReader(reader.path)).uncovered == 8 + 24 + 40          # headers and payload


# --- images -------------------------------------------------------------------------------------------------

def test_formats_sizes_and_images_that_do_not_decode(tmp_path):
    square, wide = random_images(1, 8)[0], np.zeros((5, 9, 3), np.uint8)
    found = scan_images(write_rec(tmp_path, [png(wide), png(square), b"text", png(square)[:60], png(square)],
                                  range(5)))
    assert found.formats == [["PNG", 3, 0]] and found.squares == [[8, 2, 1]]
    assert (found.heights, found.widths, found.smallest) == ([5, 8], [8, 9], [45, 0])
    assert [position for position, _ in found.damaged] == [2, 3]
    assert "key 2, offset" in found.damaged[0][1]


# --- memory -------------------------------------------------------------------------------------------------

@pytest.fixture
def remembering(tmp_path, monkeypatch):
    """A file of four records that is remembered, and its memory."""
    monkeypatch.setattr(scan_memory, "REMEMBERED_FROM", 1)
    reader = write_rec(tmp_path, [png(image) for image in random_images(4, 8)], range(4))
    scan_memory.labels_of(reader), scan_memory.images_of(reader)
    return reader, tmp_path / ".train.rec.scan.json"


def test_a_second_run_takes_what_the_first_found(remembering):
    reader, memory = remembering
    content = json.loads(memory.read_text())
    content["labels"][0] = 77
    content.pop("sha256")
    memory.write_text(json.dumps({**content, "sha256": scan_memory._hash(content)}))
    assert scan_memory.labels_of(reader).records == 77
    assert scan_memory.images_of(reader) == scan_images(reader)


@pytest.mark.parametrize("change", ["label", "label, time kept", "index", "memory", "no memory", "json"])
def test_a_changed_file_is_scanned_again(remembering, change):
    reader, memory = remembering
    expected = [0, 1, 2, 3]
    if change.startswith("label"):
        before = os.stat(reader.path)
        edit(reader.path, 8 + 4, np.float32(3).tobytes())
        expected = [1, 2, 3]
        if "kept" in change:
            os.utime(reader.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "index":
        reader.idx_path.write_text("".join(reader.idx_path.read_text().splitlines(keepends=True)[1:]))
        expected = [1, 2, 3]
    else:
        content = {"memory": memory.read_text().replace("[0, 1, 0]", "[9, 1, 0]"), "no memory": "[]", "json": "{"}
        memory.write_text(content[change])
    found = scan_memory.labels_of(RecordReader(reader.path))
    assert sorted(found.counts) == expected
    assert scan_memory.labels_of(RecordReader(reader.path)) == found      # and is remembered


def test_a_folder_that_is_not_writable_gets_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(scan_memory, "REMEMBERED_FROM", 1)
    reader = write_rec(tmp_path, [b"x"] * 2, [0, 1])
    (tmp_path / ".train.rec.scan.json").mkdir()                           # cannot be replaced by a file
    assert scan_memory.labels_of(reader).counts == {0: 1, 1: 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".train.rec.scan.json", "train.idx", "train.rec"]


# --- places -------------------------------------------------------------------------------------------------

@settings(max_examples=60, deadline=None)
@given(records=st.lists(payloads, min_size=1, max_size=5))
def test_the_walk_finds_every_record(records):
    with temporary_folder() as folder:
        path = write(folder, dict(enumerate(records)))
        places = list(walk(path))
        assert [place.start for place in places] == RecordReader(path).offsets.tolist()
        assert places[-1].end == path.stat().st_size and not any(place.damage for place in places)


@settings(max_examples=100, deadline=None)
@given(offset=st.integers(0, 159), value=st.integers(0, 255), size=st.integers(1, 160))
def test_the_walk_covers_any_file_and_finds_the_records_behind_damage(offset, value, size):
    with temporary_folder() as folder:
        path = write(folder, {key: bytes([key]) * 24 for key in range(5)})          # 32 bytes each
        path.write_bytes(path.read_bytes()[:size])
        if offset < size:
            edit(path, offset, bytes([value]))
        places = list(walk(path))
        assert [place.end for place in places] == [*[place.start for place in places[1:]], size]
        whole = {place.start for place in places if not place.damage}
        # a changed length may swallow the next record, not more
        assert set(range(0, size - 31, 32)) - {offset // 32 * 32, offset // 32 * 32 + 32} <= whole
