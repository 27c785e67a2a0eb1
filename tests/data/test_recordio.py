"""What MXNet's writer wrote, our reader reads; and it says what is wrong with a damaged file."""

import contextlib
import re
import struct
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mxnet import recordio

from gluon_tricks.data.recordio import MAGIC, RecordReader, read_index, write_image_records
from gluon_tricks.errors import UserError

MAGIC_BYTES = struct.pack("<I", MAGIC)
# Pieces that meet at aligned and unaligned places, with the magic number among them and at both ends
payloads = st.lists(st.one_of(st.just(MAGIC_BYTES), st.binary(max_size=9)), max_size=6).map(b"".join)


def write(folder, records):
    """Write `{key: payload}` with MXNet."""
    writer = recordio.MXIndexedRecordIO(str(folder / "a.idx"), str(folder / "a.rec"), "w")
    for key, payload in records.items():
        writer.write_idx(key, payload)
    writer.close()
    return folder / "a.rec"


def read_all(reader):
    return {int(key): reader.read(position) for position, key in enumerate(reader.keys)}


@contextlib.contextmanager
def temporary_folder():
    with tempfile.TemporaryDirectory() as name:      # hypothesis wants a fresh one for every example
        yield Path(name)


# --- agreement with MXNet -----------------------------------------------------------------------------------

@settings(max_examples=100, deadline=None)
@given(records=st.dictionaries(st.integers(0, 2**40), payloads, min_size=1, max_size=5))
def test_our_reader_reads_what_mxnet_wrote(records):
    with temporary_folder() as folder:
        assert read_all(RecordReader(write(folder, records))) == records


@settings(max_examples=100, deadline=None)
@given(records=st.dictionaries(st.integers(0, 2**40), payloads.filter(len), min_size=1, max_size=5),
       data=st.data())
def test_mxnets_reader_agrees_in_any_order(records, data):
    with temporary_folder() as folder:
        path = write(folder, records)
        ours = RecordReader(path)
        theirs = recordio.MXIndexedRecordIO(str(folder / "a.idx"), str(path), "r")
        for position in data.draw(st.permutations(range(len(records)))):
            assert ours.read(position) == theirs.read_idx(int(ours.keys[position]))
        theirs.close()


@pytest.mark.parametrize("payload, parts", [
    (b"abcd" + MAGIC_BYTES + b"efgh", 2),
    (MAGIC_BYTES, 2),                                                # two empty ones
    (MAGIC_BYTES * 3 + b"x", 4),
    (b"ab" + MAGIC_BYTES + b"cd", 1),                                # not aligned: nothing to cut
])
def test_a_payload_with_the_magic_number_lies_in_several_parts(tmp_path, payload, parts):
    path = write(tmp_path, {5: payload})
    # the one inside, or those that were cut out
    assert path.read_bytes().count(MAGIC_BYTES) == parts + (parts == 1)
    assert RecordReader(path).read(0) == payload


@pytest.mark.parametrize("label", [3.0, [1.5, -2.0, 7.0], [4.0]])
def test_image_records_with_one_label_and_with_several(tmp_path, label):
    payload = recordio.pack(recordio.IRHeader(0, label, 2**40, 17), b"the image")
    found, image, key, key2 = RecordReader(write(tmp_path, {0: payload})).read_image(0)
    np.testing.assert_array_equal(found, label)
    assert np.ndim(found) == np.ndim(label)
    assert (image, key, key2) == (b"the image", 2**40, 17)


def test_written_image_records_are_mxnets(tmp_path):
    records = [(10, 3, 0, b"first"), (11, 0, 19, b""), (12, 9, 2, MAGIC_BYTES * 2)]
    written = list(write_image_records(tmp_path / "a.rec", tmp_path / "a.idx", records))
    ours = RecordReader(tmp_path / "a.rec")
    theirs = recordio.MXIndexedRecordIO(str(tmp_path / "a.idx"), str(tmp_path / "a.rec"), "r")
    for position, (key, label, id2, image) in enumerate(records):
        header, content = recordio.unpack(theirs.read_idx(key))
        assert (header.flag, header.label, header.id, header.id2, content) == (0, label, key, id2, image)
        assert ours.read_image(position) == (label, image, key, id2)
        assert written[position] == (key, label, ours.read(position))


def test_threads_share_a_reader(tmp_path):
    rng = np.random.default_rng(0)
    records = {key: MAGIC_BYTES.join([rng.bytes(40), rng.bytes(rng.integers(100))]) for key in range(200)}
    reader = RecordReader(write(tmp_path, records))
    positions = rng.permutation(np.arange(200).repeat(10))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(reader.read, positions)) == [records[position] for position in positions]


# --- damage -------------------------------------------------------------------------------------------------

@pytest.fixture
def rec(tmp_path):
    """A file of three records, 24 bytes each, with keys 10, 11 and 12."""
    return write(tmp_path, {10: b"a" * 16, 11: b"b" * 16, 12: b"c" * 16})


def edit(path, offset, content):
    data = bytearray(path.read_bytes())
    data[offset:offset + len(content)] = content
    path.write_bytes(data)


def message_of(call, *args):
    with pytest.raises(UserError) as raised:
        call(*args)
    return str(raised.value)


# within head, between, within payload
@pytest.mark.parametrize("size, where", [(50, 48), (56, 48), (70, 48)])
def test_a_record_cut_off_by_the_files_end_is_named(rec, size, where):
    rec.write_bytes(rec.read_bytes()[:size])
    reader = RecordReader(rec)
    assert reader.read(1) == b"b" * 16
    assert message_of(reader.read, 2) == (f"{rec}, key 12, offset 48: the file ends inside the record "
                                          f"(at byte {where} of {size}); prepare the file again")


def test_records_beyond_the_files_end_are_counted_at_once(rec):
    rec.write_bytes(rec.read_bytes()[:24])
    assert message_of(RecordReader, rec) == (
        f"{rec}: truncated: 24 bytes, but 2 records begin beyond its end, the first with key 11 at offset "
        f"24; prepare it again")


def test_a_wrong_offset_is_named(rec):
    rec.with_suffix(".idx").write_text("10\t0\n11\t28\n12\t48\n")
    reader = RecordReader(rec)
    assert message_of(reader.read,
                      1) == (f"{rec}, key 11, offset 28: no record begins there (at byte 28 of 72); "
                                          f"prepare the file again")


def test_an_offset_into_the_middle_of_a_record_of_several_parts_is_named(tmp_path):
    path = write(tmp_path, {0: b"abcd" + MAGIC_BYTES + b"efgh"})
    path.with_suffix(".idx").write_text("0\t12\n")  # the second part: 8 bytes of head, 4 of payload
    assert "no record begins there" in message_of(RecordReader(path).read, 0)


def test_a_first_part_without_a_last_is_named(tmp_path):
    path = write(tmp_path, {0: b"abcd" + MAGIC_BYTES + b"efgh", 1: b"next"})
    path.write_bytes(path.read_bytes()[:12] + path.read_bytes()[24:])      # without the second part
    path.with_suffix(".idx").write_text("0\t0\n1\t12\n")
    reader = RecordReader(path)
    assert reader.read(1) == b"next"
    assert message_of(reader.read,
                      0) == (f"{path}, key 0, offset 0: no record begins there (at byte 12 of 24); "
                                          f"prepare the file again")


def test_a_payload_too_short_for_an_image_header_is_named(rec):
    assert message_of(RecordReader(rec).read_image,
                      1).startswith(f"{rec}, key 11, offset 24: 16 bytes are no image record")


def test_a_payload_too_short_for_its_labels_is_named(tmp_path):
    payload = recordio.pack(recordio.IRHeader(0, 3.0, 0, 0), b"the image")
    path = write(tmp_path, {7: struct.pack("<I", 4) + payload[4:]})  # as if four labels followed
    assert message_of(RecordReader(path).read_image, 0).startswith(
        f"{path}, key 7, offset 0: 33 bytes cannot hold 4 labels")


@settings(max_examples=100, deadline=None)
@given(offset=st.integers(0, 71), value=st.integers(0, 255))
def test_any_altered_byte_gives_other_bytes_or_a_sentence(offset, value):
    with temporary_folder() as folder:
        path = write(folder, {10: b"a" * 16, 11: b"b" * 16, 12: b"c" * 16})
        edit(path, offset, bytes([value]))
        reader = RecordReader(path)
        try:
            payload = reader.read(offset // 24)
        except UserError as error:
            assert str(error).startswith(f"{path}, key {10 + offset // 24}, offset {offset // 24 * 24}: ")
        else:
            assert isinstance(payload, bytes)


# --- the index ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("line", ["11 24", "11", "11\t24\t3", "eleven\t24", "11\t2.5", "", "-11\t24",
                                  "11\t-24", "11\t99999999999999999999"])
def test_an_index_line_of_another_form_is_quoted(rec, line):
    index = rec.with_suffix(".idx")
    index.write_text(f"10\t0\n{line}\n12\t48\n")
    assert message_of(RecordReader, rec) == (
        f"{index}, line 2: {line!r} is not 'key<TAB>offset'; make it again: python -m gluon_tricks records {rec} "
        f"--index {index} --overwrite")


@pytest.mark.parametrize("content, reason", [(b"", "holds no record"), (b"\xff\xfe\x00", "it is no text")])
def test_an_index_of_nothing_or_of_other_bytes_is_refused(tmp_path, content, reason):
    (tmp_path / "a.idx").write_bytes(content)
    assert re.match(f"{tmp_path}/a.idx: .*{reason}", message_of(read_index, tmp_path / "a.idx"))


@pytest.mark.parametrize("missing, message", [
    (".idx", "cannot be read (No such file or directory); each .rec needs an .idx: python -m gluon_tricks records "
             "{rec} --index {idx}"),
    (".rec", "cannot be read (No such file or directory); prepare it with data_prep"),
])
def test_a_missing_file_is_named(rec, missing, message):
    idx = rec.with_suffix(".idx")
    rec.with_suffix(missing).unlink()
    assert message_of(RecordReader, rec) == f"{rec.with_suffix(missing)}: {message.format(rec=rec, idx=idx)}"


def test_an_index_elsewhere_is_read_instead_of_the_one_next_to_the_file(rec, tmp_path):
    (tmp_path / "other.idx").write_text("12\t48\n")
    reader = RecordReader(rec, tmp_path / "other.idx")
    assert reader.keys.tolist() == [12] and reader.read(0) == b"c" * 16
