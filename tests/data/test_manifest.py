"""A manifest says what a data set holds, and notices when that is no longer so."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from small_records import png, random_images

from gluon_tricks.data.classes import CIFAR10_CLASSES
from gluon_tricks.data.manifest import (
    FORMAT,
    Manifest,
    describe_split,
    open_split,
    read_manifest,
    record_row,
    write_manifest,
)
from gluon_tricks.data.paths import EXCERPT_DIR
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.errors import UserError

CLASSES = ["cat", "dog", "frog"]
LABELS = [0, 1, 2, 1, 0]
IMAGES = tuple(png(image) for image in random_images(5))


def prepare(folder, labels=LABELS, images=IMAGES, classes=CLASSES, splits=("train", "test")):
    """A prepared folder of one small file per split; its manifest."""
    folder.mkdir(exist_ok=True)
    described = {}
    for name in splits:
        records = ((key, label, 0, image) for key, (label, image) in enumerate(zip(labels, images)))
        rows = [record_row(*record)
                for record in write_image_records(folder / f"{name}.rec", folder / f"{name}.idx", records)]
        described[name] = describe_split(folder, name, classes, rows)
    manifest = Manifest(dataset="cifar10", classes=list(classes), sources={"data_batch_1.bin": "0" * 64},
                        splits=described, tool_version="0.1.0")
    write_manifest(folder, manifest)
    return manifest


def refusal(call, *args):
    with pytest.raises(UserError) as raised:
        call(*args)
    return str(raised.value)


def edit_manifest(folder, edit):
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


# --- one hash over all of it --------------------------------------------------------------------------------

def test_the_same_records_have_the_same_root_hash(tmp_path):
    assert prepare(tmp_path / "a").root_hash == prepare(tmp_path / "b").root_hash


@pytest.mark.parametrize("change", [
    dict(classes=["cat", "dog", "toad"]),
    dict(classes=["dog", "cat", "frog"]),
    dict(labels=[0, 1, 2, 1, 1]),
    dict(labels=[1, 0, 2, 1, 0], images=[IMAGES[1], IMAGES[0], *IMAGES[2:]]),       # order of the first two
    dict(images=[*IMAGES[:4], IMAGES[4] + b"\0"]),
    dict(images=[IMAGES[0][:-1] + bytes([IMAGES[0][-1] ^ 1]), *IMAGES[1:]]),        # one bit
    dict(labels=LABELS[:4]),
    dict(splits=("train", "val")),
])
def test_any_difference_gives_another_root_hash(tmp_path, change):
    assert prepare(tmp_path / "a").root_hash != prepare(tmp_path / "b", **change).root_hash


def test_the_root_hash_does_not_depend_on_what_else_the_manifest_says(tmp_path):
    manifest = prepare(tmp_path)
    other = Manifest(dataset="another", classes=CLASSES, sources={},
                     splits=dict(reversed(manifest.splits.items())), tool_version="9", subset="half of it")
    assert other.root_hash == manifest.root_hash


# --- written and read ---------------------------------------------------------------------------------------

def test_what_is_written_is_read_again(tmp_path):
    manifest = prepare(tmp_path)
    assert dataclasses.asdict(read_manifest(tmp_path)) == dataclasses.asdict(manifest)


def test_a_split_gives_its_records_and_labels(tmp_path):
    reader, labels = open_split(tmp_path, "test", prepare(tmp_path))
    assert labels.tolist() == LABELS
    assert [reader.read_image(position)[:2] for position in range(5)] == list(zip(LABELS, IMAGES))


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    manifest = prepare(tmp_path)
    expected = f"{tmp_path}/manifest.json: has no split 'val', only train, test"
    assert refusal(open_split, tmp_path, "val", manifest) == expected


# --- the manifest was altered -------------------------------------------------------------------------------

def test_a_missing_manifest_is_an_error_that_says_what_makes_one(tmp_path):
    assert refusal(read_manifest,
                   tmp_path) == (f"{tmp_path}/manifest.json: cannot be read (No such file or directory); "
                                                f"prepare the data with data_prep/cifar.py or imagenet.py")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "7", '{"format": 1}',
                                     '{"format": 1, "classes_sha256": "", "root_hash": "", "splits": []}'])
def test_other_content_is_no_manifest(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    assert refusal(read_manifest, tmp_path).startswith(f"{tmp_path}/manifest.json: is no manifest (")


@pytest.mark.parametrize("field", ["dataset", "classes", "splits", "classes_sha256", "root_hash", "format"])
def test_a_manifest_without_one_of_its_fields_is_refused(tmp_path, field):
    prepare(tmp_path)
    edit_manifest(tmp_path, lambda content: content.pop(field))
    assert field in refusal(read_manifest, tmp_path)


@pytest.mark.parametrize("classes", ["cat", [1, 2, 3], None])
def test_classes_of_another_type_are_refused(tmp_path, classes):
    prepare(tmp_path)
    edit_manifest(tmp_path, lambda content: content.update(classes=classes))
    assert refusal(read_manifest, tmp_path).startswith(f"{tmp_path}/manifest.json: ")


def test_a_newer_format_is_refused_whatever_it_holds(tmp_path):
    prepare(tmp_path)
    edit_manifest(tmp_path, lambda content: content.update(format=FORMAT + 1, checksums="of a new kind"))
    assert refusal(read_manifest, tmp_path) == (
        f"{tmp_path}/manifest.json: format {FORMAT + 1}, this version reads {FORMAT}; prepare the data again")


@pytest.mark.parametrize("edit", [
    lambda content: content["classes"].reverse(),
    lambda content: content.update(classes_sha256="0" * 64),
    lambda content: content.update(root_hash="0" * 64),
    lambda content: content.update(root_hash=""),
    lambda content: content["splits"]["train"].update(records=6),
    lambda content: content["splits"]["train"].update(records_sha256="0" * 64),
    lambda content: content["splits"].pop("test"),
])
def test_an_edited_manifest_is_refused(tmp_path, edit):
    prepare(tmp_path)
    edit_manifest(tmp_path, edit)
    assert refusal(read_manifest,
                   tmp_path) == (f"{tmp_path}/manifest.json: its hashes do not follow from its contents, "
                                                f"it was edited; prepare the data again")


# --- the files were altered ---------------------------------------------------------------------------------

def alter(path, edit):
    data = bytearray(path.read_bytes())
    edit(data)
    path.write_bytes(data)


def flip_a_bit(data):
    data[-9] ^= 4


def lengthen(data):
    data.extend(b"\0\0\0\0")


def exchange_first_lines(data):
    first, second, *others = bytes(data).split(b"\n")
    data[:] = b"\n".join([second, first, *others])


def drop_last_line(data):
    data[:] = data[:data.rindex(b"\n", 0, -1) + 1]


@pytest.mark.parametrize("name, edit, what", [
    ("train.rec", flip_a_bit, "SHA-256 [0-9a-f]{64}, manifest [0-9a-f]{64}"),
    ("train.rec", lengthen, r"bytes \d+, manifest \d+"),
    ("train.idx", exchange_first_lines, "SHA-256 [0-9a-f]{64}, manifest [0-9a-f]{64}"),
    ("train.idx", drop_last_line, "records 4, manifest 5"),
])
def test_an_altered_rec_or_idx_is_refused(tmp_path, name, edit, what):
    manifest = prepare(tmp_path)
    alter(tmp_path / name, edit)
    expected = f"{tmp_path}/{name}: does not match manifest.json: {what}; prepare it again"
    assert re.fullmatch(expected, refusal(open_split, tmp_path, "train", manifest))


@pytest.mark.parametrize("edit", [flip_a_bit, lambda data: data.clear(),
                                  lambda data: data.__delitem__(slice(100, None))])
def test_an_altered_table_of_records_is_refused(tmp_path, edit):
    manifest = prepare(tmp_path)
    alter(tmp_path / "train.records.npy", edit)
    assert refusal(open_split, tmp_path, "train", manifest).startswith(f"{tmp_path}/train.records.npy: ")


def test_a_table_of_records_that_needs_pickle_is_not_loaded(tmp_path):
    manifest = prepare(tmp_path)
    np.save(tmp_path / "train.records.npy", np.array([{"any": "object"}], object), allow_pickle=True)
    assert "does not match manifest.json" in refusal(open_split, tmp_path, "train", manifest)


def test_a_label_out_of_range_is_named_and_counted(tmp_path):
    manifest = prepare(tmp_path, labels=[0, 1, 3, 7, 2])
    reader, _ = open_split(tmp_path, "train", dataclasses.replace(manifest, classes=[*"abcdefgh"]))
    assert refusal(open_split, tmp_path, "train", manifest) == (
        f"{tmp_path}/train.rec, key 2, offset {reader.offsets[2]}: label 3 is out of range for 3 classes (2 "
        f"such records)")


@pytest.mark.parametrize("missing", ["train.rec", "train.idx", "train.records.npy"])
def test_a_missing_file_is_named(tmp_path, missing):
    manifest = prepare(tmp_path)
    (tmp_path / missing).unlink()
    assert refusal(open_split, tmp_path, "train",
                   manifest).startswith(f"{tmp_path}/{missing}: cannot be read (")


# --- the excerpt that comes with the package ----------------------------------------------------------------

def test_the_excerpt_is_balanced_and_small():
    manifest = read_manifest(EXCERPT_DIR)
    assert manifest.classes == list(CIFAR10_CLASSES)
    for name, per_class in [("train", 200), ("test", 50)]:
        reader, labels = open_split(EXCERPT_DIR, name, manifest)
        assert len(reader) == 10 * per_class
        assert np.bincount(labels).tolist() == manifest.splits[name].per_class == 10 * [per_class]
    assert sum(path.stat().st_size for path in EXCERPT_DIR.iterdir()) <= 7e6


def test_the_excerpt_opens_from_any_place(tmp_path):
    shutil.copytree(EXCERPT_DIR, tmp_path / "copy")
    assert len(open_split(tmp_path / "copy", "test", read_manifest(tmp_path / "copy"))[0]) == 500
