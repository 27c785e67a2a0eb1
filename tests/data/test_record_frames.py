"""What our writer frames is MXNet's, byte for byte."""

import io
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mxnet import recordio

from gluon_tricks.data.recordio import MAGIC, frame, image_payload, key_and_label, read_frames

MAGIC_BYTES = struct.pack("<I", MAGIC)
# Pieces that meet at aligned and unaligned places, with the magic number among them and at both ends
payloads = st.lists(st.one_of(st.just(MAGIC_BYTES), st.binary(max_size=9)), max_size=8).map(b"".join)


def written_by_mxnet(records):
    with tempfile.TemporaryDirectory() as folder:
        writer = recordio.MXRecordIO(f"{folder}/a.rec", "w")
        for payload in records:
            writer.write(payload)
        writer.close()
        return Path(folder, "a.rec").read_bytes()


@settings(max_examples=150, deadline=None)
@given(records=st.lists(payloads, max_size=4))
def test_frames_are_mxnets_bytes_and_are_read_back(records):
    content = b"".join(map(frame, records))
    assert content == written_by_mxnet(records)
    found = list(read_frames(io.BytesIO(content)))
    assert [payload for payload, _ in found] == records
    assert [offset for _, offset in found] == [sum(len(frame(r)) for r in records[:i])
                                               for i in range(len(records))]


@pytest.mark.parametrize("payload, parts", [(b"", 1), (MAGIC_BYTES, 2), (MAGIC_BYTES * 3, 4),
                                            (b"abc" + MAGIC_BYTES, 1)])
def test_a_frame_is_cut_at_aligned_magic_numbers(payload, parts):
    assert frame(payload) == written_by_mxnet([payload])
    assert frame(payload).count(MAGIC_BYTES) == parts + (payload[:3] == b"abc")


@settings(max_examples=60, deadline=None)
@given(records=st.lists(payloads, min_size=1, max_size=3), data=st.data())
def test_reading_ends_where_a_record_is_cut_off(records, data):
    content = b"".join(map(frame, records))
    end = data.draw(st.integers(0, len(content) - 1))
    found = list(read_frames(io.BytesIO(content[:end])))
    assert [payload for payload, _ in found] == records[:len(found)]
    assert sum(len(frame(payload)) for payload in records[:len(found) + 1]) > end


def test_reading_ends_where_no_record_begins():
    assert [p for p, _ in read_frames(io.BytesIO(frame(b"one") + b"garbage!" * 4))] == [b"one"]
    middle_part_alone = struct.pack("<II", MAGIC, 2 << 29 | 4) + b"abcd"
    assert not list(read_frames(io.BytesIO(middle_part_alone)))


def test_image_payloads_are_mxnets():
    ours = image_payload(2**40, 999, b"the image")
    assert ours == recordio.pack(recordio.IRHeader(0, 999.0, 2**40, 0), b"the image")
    assert key_and_label(ours) == (2**40, 999.0)


def test_a_payload_that_no_record_can_hold_is_refused():
    with pytest.raises(ValueError, match="536870912 bytes are too many for a record"):
        frame(bytes(1 << 29))
