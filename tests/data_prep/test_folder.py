"""data_prep/folder.py: class folders and lists of one's own photographs become records that can be trained on."""

import cv2
import numpy as np
import pytest

from data_prep import folder, verify
from data_prep.folder_sources import find_splits
from gluon_tricks.data.encoded import decode
from gluon_tricks.data.manifest import read_manifest
from gluon_tricks.data.names import names_of_records
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.errors import UserError

COUNTS = {"cat": 8, "dog": 5, "owl": 12}


def encoded(suffix, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 24, 3), np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


def write(path, suffix=".png", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(suffix, seed))
    return path


@pytest.fixture
def photos(tmp_path):
    seeds = iter(range(1000))
    for name, count in COUNTS.items():
        for i in range(count):
            write(tmp_path / "photos" / name / f"{i:02d}.png", seed=next(seeds))
    return tmp_path / "photos"


def prepared(source, out, *flags):
    assert folder.main([str(source), "--out", str(out), "--num-thread", "1", *flags]) == 0
    manifest, lines = read_manifest(out), []
    for split in manifest.splits:
        reader = RecordReader(out / f"{split}.rec")
        for position, file in enumerate(names_of_records(reader.path, reader.keys, manifest)):
            label = int(reader.read_image(position)[0])
            lines.append({"split": split, "file": file, "class": manifest.classes[label]})
    return manifest, lines


def test_of_each_class_the_share_becomes_val_and_every_image_is_in_one_split(photos, tmp_path):
    manifest, lines = prepared(photos, tmp_path / "rec", "--val-share", "0.25")
    assert manifest.classes == ["cat", "dog", "owl"]
    # 0.25 of 8, 5 and 12, rounded
    assert manifest.splits["val"].per_class == [2, 1, 3]
    assert manifest.splits["train"].per_class == [6, 4, 9]
    assert sorted(line["file"] for line in lines) == sorted(f"{name}/{i:02d}.png" for name, count in COUNTS.items()
                                                            for i in range(count))
    assert verify.main([str(tmp_path / "rec")]) == 0


def test_each_record_has_the_bytes_and_the_class_of_the_file_that_is_named(photos, tmp_path):
    manifest, _ = prepared(photos, tmp_path / "rec", "--val-share", "0.25")
    for split in ("train", "val"):
        reader = RecordReader(tmp_path / "rec" / f"{split}.rec")
        for position, file in enumerate(names_of_records(reader.path, reader.keys, manifest)):
            label, image, _, _ = reader.read_image(position)
            assert image == (photos / file).read_bytes()
            assert ["cat", "dog", "owl"][int(label)] == file.split("/")[0]


def test_folders_named_by_numbers_are_labelled_by_value(tmp_path):
    for label in range(11):
        write(tmp_path / "photos" / str(label) / "x.png", seed=label)
    manifest, lines = prepared(tmp_path / "photos", tmp_path / "rec")
    assert manifest.classes == [str(label) for label in range(11)]
    assert all(line["file"] == f"{line['class']}/x.png" for line in lines) and len(lines) == 11


def test_the_draw_depends_on_the_seed_alone(photos):
    def val(seed):
        return find_splits(photos, None, 0.25, seed)[0]["val"].sha256()

    assert val(0) == val(0) != val(1)


def test_a_class_of_two_images_has_one_in_each_split_and_one_of_one_stays_in_train(tmp_path, capsys):
    for i, name in enumerate(["a/0", "a/1", "b/0", *(f"c/{i}" for i in range(9))]):
        write(tmp_path / "photos" / f"{name}.png", seed=i)
    manifest, _ = prepared(tmp_path / "photos", tmp_path / "rec", "--val-share", "0.1")
    assert manifest.splits["train"].per_class == [1, 1, 8] and manifest.splits["val"].per_class == [1, 0, 1]
    out = capsys.readouterr().out
    assert "warning: of 3 classes, those with no images in val: 1 (b (0))" in out
    assert "warning: of 3 classes, those with fewer than 5 images in train: 2 (a (1), b (1))" in out


def test_train_and_val_folders_keep_their_split(photos, tmp_path):
    root = tmp_path / "split"
    for split in ("train", "val"):
        for i, name in enumerate(("cat", "dog")):
            write(root / split / name / f"{split}.png", seed=10 * i + len(split))
    manifest, lines = prepared(root, tmp_path / "rec")
    assert {(line["split"], line["file"]) for line in lines} == {
        (split, f"{name}/{split}.png") for split in ("train", "val") for name in ("cat", "dog")}
    with pytest.raises(UserError, match="--val-share 0.2: .* has images of val; leave the flag out"):
        folder.main([str(root), "--out", str(tmp_path / "other"), "--val-share", "0.2"])


@pytest.mark.parametrize("suffix, kept", [(".jpg", True), (".png", True), (".bmp", True), (".webp", False),
                                          (".tiff", False)])
def test_formats_that_every_reader_decodes_keep_their_bytes_and_others_become_jpegs(tmp_path, suffix, kept):
    for i, name in enumerate(("a", "b")):
        write(tmp_path / "photos" / name / f"0{suffix}", suffix, seed=i)
    prepared(tmp_path / "photos", tmp_path / "rec")
    _, image, _, _ = RecordReader(tmp_path / "rec" / "train.rec").read_image(0)
    assert (image in (encoded(suffix, 0), encoded(suffix, 1))) is kept
    assert image[:2] == b"\xff\xd8" or kept
    assert decode(image).shape == (20, 24, 3)


def test_what_is_no_image_is_left_out_named_and_counted(photos, tmp_path, capsys):
    (photos / ".ipynb_checkpoints").mkdir()
    for name in ("cat/Thumbs.db", "cat/notes.txt", "dog/._00.png"):
        (photos / name).write_bytes(b"x")
    (photos / "dog" / "half.png").write_bytes(encoded(".png", 1)[:200])
    manifest, _ = prepared(photos, tmp_path / "rec")
    assert manifest.splits["train"].per_class == list(COUNTS.values())
    out = capsys.readouterr().out
    assert "5 left out: 1 truncated PNG, 1 no image by its name, 3 hidden or of the system" in out
    for name in ("dog: half.png", "cat: notes.txt", "cat: Thumbs.db", "dog: ._00.png", ".ipynb_checkpoints"):
        assert name in out


def test_equal_images_in_both_splits_and_under_two_classes_are_reported(tmp_path, capsys):
    root = tmp_path / "photos"
    for split in ("train", "val"):
        for i, name in enumerate(("cat", "dog")):
            write(root / split / name / f"{split}.png", seed=10 * i + len(split))
    write(root / "val" / "cat" / "again.png", seed=len("train"))          # train/cat/train.png
    write(root / "train" / "dog" / "as_cat.png", seed=len("train"))
    prepared(root, tmp_path / "rec")
    out = capsys.readouterr().out
    assert "images in train and val, which make val's accuracy too high: 1 (" in out
    assert "equal images of different classes: 2 (" in out and "copies of another one, byte for byte: 2" in out
    (tmp_path / "rec" / "train.rec").write_bytes(b"")          # which a second run does not read
    prepared_again = folder.main([str(root), "--out", str(tmp_path / "rec")])
    assert prepared_again == 0 and "equal images" not in capsys.readouterr().out


def test_an_orientation_of_the_camera_turns_the_decoded_image(tmp_path):
    """EXIF orientation 6: the stored rows are columns of the photograph."""
    jpeg = encoded(".jpg", 3)
    exif = b"Exif\0\0" + b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    for name in ("a", "b"):
        write(tmp_path / "photos" / name / "0.jpg", ".jpg", seed=4)
    (tmp_path / "photos" / "a" / "0.jpg").write_bytes(turned)
    prepared(tmp_path / "photos", tmp_path / "rec", "--no-shuffle")
    label, image, _, _ = RecordReader(tmp_path / "rec" / "train.rec").read_image(0)
    assert label == 0 and image == turned
    np.testing.assert_array_equal(decode(image), np.rot90(decode(jpeg), k=-1))


# --- lists --------------------------------------------------------------------------------------------------

def test_a_csv_gives_files_classes_and_splits(photos, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("file,class,split\ncat/00.png,feline,train\ndog/00.png,canine,train\ndog/01.png,canine,val\n")
    manifest, lines = prepared(path, tmp_path / "rec", "--root", str(photos))
    assert manifest.classes == ["canine", "feline"]
    assert {(line["split"], line["class"], line["file"]) for line in lines} == {
        ("train", "feline", "cat/00.png"), ("train", "canine", "dog/00.png"), ("val", "canine", "dog/01.png")}


def test_a_list_of_im2rec_is_the_folder_that_it_lists(photos, tmp_path):
    names = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    labels = {"cat": 0, "dog": 1, "owl": 2}
    (tmp_path / "all.lst").write_text("".join(f"{i}\t{labels[name[:3]]:.6f}\t{name}\n" for i, name in
                                              enumerate(names)))
    from_list, _ = prepared(tmp_path / "all.lst", tmp_path / "a", "--root", str(photos))
    from_folder, _ = prepared(photos, tmp_path / "b")
    assert from_list.classes == from_folder.classes
    assert from_list.splits["train"].per_class == from_folder.splits["train"].per_class


@pytest.mark.parametrize("name, text, message", [
    ("a.lst", "0\t0\t1\tcat/00.png\n", "line 1: 2 labels for cat/00.png"),
    ("a.lst", "0\t0.5\tcat/00.png\n", "line 1: .* is not NUMBER<TAB>LABEL<TAB>FILE with a label 0, 1, 2"),
    ("a.lst", "0\tnan\tcat/00.png\n", "line 1: .* is not NUMBER"),
    ("a.csv", "cat/00.png\n", "line 1: .* is not FILE,CLASS or FILE,CLASS,SPLIT"),
    ("a.csv", "cat/00.png,cat,test\n", "line 1: split 'test'; it is train or val"),
    ("a.csv", "cat/99.png,cat\n", "line 1: .*cat/99.png: cannot be read .*; --root is the folder"),
    ("a.csv", "cat/00.png,cat\ncat/00.png,dog\n", r"line 2: cat/00.png is there twice \(line 1, too\)"),
    ("a.csv", "cat/00.png,cat\ndog/00.png,cat\n", "holds one class, 'cat'; a net needs two or more"),
    ("a.csv", "cat/00.png,c\u200eat\ndog/00.png,dog\n", "is no printable text; rename it"),
    ("a.csv", "cat/00.png,cat,val\ndog/00.png,dog,val\n", "names no image of train"),
    ("a.csv", "", "names no image"),
])
def test_a_list_that_cannot_be_obeyed_is_refused_by_line(photos, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        folder.main([str(tmp_path / name), "--root", str(photos), "--out", str(tmp_path / "rec")])
