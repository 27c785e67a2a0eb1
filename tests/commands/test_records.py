"""`records`: what a file holds, and an index made again from the records alone."""

import pytest
from mxnet import recordio

from gluon_tricks.commands import records
from gluon_tricks.data.recordio import RecordReader, frame, image_payload
from gluon_tricks.errors import UserError
from tests.data.small_records import png, random_images, write_rec
from tests.data.test_recordio import edit


@pytest.fixture
def rec(tmp_path):
    """24 PNGs of 8 x 8 pixels with labels 1 to 4; record 5 is no image."""
    images = [b"text" if key == 5 else png(image) for key, image in enumerate(random_images(24, 8))]
    return write_rec(tmp_path, images, [key % 4 + 1 for key in range(24)]).path


def lines_of(capsys, *words):
    assert records.main([str(word) for word in words]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_file_is_described(rec, capsys):
    reader = RecordReader(rec)
    assert lines_of(capsys, rec) == [
        f"{rec}: 24 records in {rec.stat().st_size:,} bytes",
        f"index {rec.with_suffix('.idx')}: 24 records, all of the file",
        "labels: 1 to 4, 4 different", *(f"         {label}  6 records" for label in range(1, 5)),
        "images: PNG 23", "sizes: 8 to 8 pixels wide, 8 to 8 high",
        f"damaged: {rec}, key 5, offset {reader.offsets[5]}: the image does not decode"]


def test_an_index_is_made_again_byte_for_byte(rec, tmp_path, capsys):
    before = rec.with_suffix(".idx").read_bytes()
    rec.with_suffix(".idx").unlink()
    found = lines_of(capsys, rec, "--no-images", "--index", rec.with_suffix(".idx"))
    assert rec.with_suffix(".idx").read_bytes() == before
    assert f"index {rec.with_suffix('.idx')}: missing; --index {rec.with_suffix('.idx')} makes it" in found
    assert not any(line.startswith("images") for line in found)


def test_a_damaged_record_is_named_and_the_others_are_indexed(rec, tmp_path, capsys):
    reader = RecordReader(rec)
    edit(rec, int(reader.offsets[7]), b"\0")
    rec.write_bytes(rec.read_bytes()[:-1])
    found = lines_of(capsys, rec, "--index", tmp_path / "new.idx")
    assert f"damaged: offset {reader.offsets[7]} to {reader.offsets[8]}: no record begins there" in found
    assert f"damaged: offset {reader.offsets[23]} to {rec.stat().st_size}: the file ends inside the record" in found
    assert any("at 2 of them no record begins, the first has key 7" in line for line in found)
    assert RecordReader(rec, tmp_path / "new.idx").keys.tolist() == [*range(7), *range(8, 23)]


def test_equal_keys_are_numbered(tmp_path, capsys):
    path = tmp_path / "a.rec"
    path.write_bytes(b"".join(frame(image_payload(9, label, b"x")) for label in range(3)))
    lines_of(capsys, path, "--no-images", "--index", tmp_path / "a.idx")
    assert RecordReader(path).keys.tolist() == [0, 1, 2]


def test_an_index_that_lacks_records_or_is_no_index_is_named(rec, capsys):
    idx = rec.with_suffix(".idx")
    idx.write_text("".join(idx.read_text().splitlines(keepends=True)[:8]))
    assert f"index {idx}: 8 records, 16 records are not listed" in lines_of(capsys, rec, "--no-images")
    idx.write_bytes(b"\xff\xfe")
    assert any(line.startswith(f"index {idx}: cannot be read (it is no text)")
               for line in lines_of(capsys, rec, "--no-images"))


@pytest.mark.parametrize("words, says", [
    (["--index", "{idx}"], "--index {idx}: exists; give --overwrite to replace it"),
    (["--index", "{rec}", "--overwrite"], "--index {rec}: is a folder or the record file itself"),
    (["--index", "{folder}", "--overwrite"], "--index {folder}: is a folder or the record file itself"),
])
def test_an_index_replaces_nothing_unasked(rec, words, says):
    names = {"rec": rec, "idx": rec.with_suffix(".idx"), "folder": rec.parent}
    before = {path: path.read_bytes() for path in rec.parent.iterdir()}
    with pytest.raises(UserError) as raised:
        records.main([str(rec), *(word.format(**names) for word in words)])
    assert str(raised.value).startswith(says.format(**names))
    assert {path: path.read_bytes() for path in rec.parent.iterdir()} == before


@pytest.mark.parametrize("content, says", [(b"", "holds no whole record"), (b"hello\n", "holds no whole record"),
                                           (None, "is no file")])
def test_a_file_without_records_is_refused(tmp_path, content, says):
    path = tmp_path / "a.rec"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        records.main([str(path)])


def test_several_labels_and_fractions_are_described(tmp_path, capsys):
    path = tmp_path / "a.rec"
    path.write_bytes(b"".join(frame(recordio.pack(recordio.IRHeader(0, label, key, 0), b"x"))
                              for key, label in enumerate([1.0, 0.5, [1.0, 2.0]])))
    # a chunk header of 8 bytes, an image header of 24, the image's 1 padded to 4
    assert lines_of(capsys, path, "--no-images")[2:] == [
        f"labels: 1 records have several, first {path}, key 2, offset 72 with 2",
        f"labels: 1 are no whole number, the first is 0.5 of {path}, key 1, offset 36",
        "labels: 1 to 1, 1 different", "         1  1 records"]
