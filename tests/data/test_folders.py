"""Hidden names and those of the system are left out by one rule in every reader, and counted."""

import os
import tarfile

import cv2
import numpy as np
import pytest
from PIL import Image

from data_prep import archives, imagenet, voc
from gluon_tricks.data.folders import is_hidden, left_out_line
from gluon_tricks.data.imagenet import folder_images
from gluon_tricks.data.images import FolderImages
from gluon_tricks.data.manifest import read_manifest
from gluon_tricks.data.scenes import open_scenes
from gluon_tricks.errors import UserError
from gluon_tricks.files import read_file
from gluon_tricks.saved.agreement import read_images

JUNK = (".ipynb_checkpoints/a-checkpoint.jpg", "__MACOSX/a.jpg", "cat/._a.jpg", "cat/.ipynb_checkpoints/a.jpg",
        "cat/Thumbs.db", "desktop.ini", "lost+found/a.jpg", "System Volume Information/a.jpg", ".DS_Store")


def jpeg(value=90, side=8):
    return cv2.imencode(".jpg", np.full((side, side, 3), value, np.uint8))[1].tobytes()


def write(folder, names, content):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def classes(tmp_path):
    """Two classes of two images, between the files that systems leave."""
    write(tmp_path, ("cat/1.jpg", "cat/2.JPEG", "dog/3.png", "dog/4.bmp"), jpeg())
    write(tmp_path, JUNK, jpeg(0))
    return tmp_path


@pytest.mark.parametrize("name, hidden", [
    ("cat/1.jpg", False), ("..data/1.jpg", True), ("../cat/1.jpg", False), ("./cat/1.jpg", False),
    ("THUMBS.DB", True), ("lost+found/x", True), ("lost/found.jpg", False), ("cat/.x", True)])
def test_hidden_names(name, hidden):
    assert is_hidden(name) == hidden


def test_training_and_evaluation_see_the_users_images(classes):
    write(classes, ("cat/notes.txt", "stray.jpg"), jpeg())
    images = FolderImages(classes)
    assert images.classes == ["cat", "dog"] and len(images) == 4
    assert images.left_out == (
        f"left out of {classes}: 9 hidden or of the system ('.DS_Store', '.ipynb_checkpoints', "
        "'System Volume Information', ...), 1 no image by its name ('cat/notes.txt'), "
        "1 outside the class folders ('stray.jpg')")


def test_a_dot_folder_in_train_and_val_is_no_class(tmp_path):
    for part in ("train", "val"):
        write(tmp_path / part, ("cat/1.jpg", "dog/2.jpg"), jpeg())
    write(tmp_path / "train", (".ipynb_checkpoints/x.jpg",), jpeg())
    train, val = folder_images(tmp_path)
    assert (len(train), len(val), len(train.classes)) == (2, 2, 2)
    assert ".ipynb_checkpoints" in train.left_out and not val.left_out


def test_preparation_of_folders_and_tars_leaves_the_same_out(classes, tmp_path_factory, capsys):
    out = tmp_path_factory.mktemp("out")
    with tarfile.open(out / "train.tar", "w") as tar:
        tar.add(classes, "./photos")
    flags = ["--subset", "--classes", "found", "--on-error", "skip", "--no-checksum", "--verify", "none"]
    for source in (["--train-dir", str(classes)], ["--train-tar", str(out / "train.tar")]):
        assert imagenet.main([*source, "--out", str(out / source[0]), *flags]) == 0
        manifest = read_manifest(out / source[0])
        assert manifest.classes == ["cat", "dog"] and manifest.splits["train"].records == 4
        left_out = manifest.splits["train"].left_out
        assert len(left_out) == 9 and all(line.endswith(": hidden or of the system") for line in left_out)
        assert "9 left out: 9 hidden or of the system" in capsys.readouterr().out


def test_images_for_export_are_the_users(classes):
    assert all(image.mean() == 90 for image in read_images(classes, 99))


def test_scenes_leave_the_same_out(tmp_path):
    write(tmp_path / "images" / "train", ("a.jpg", "._a.jpg", ".ipynb_checkpoints/a.jpg", "Thumbs.db"), jpeg())
    mask = tmp_path / "annotations" / "train" / "a.png"
    mask.parent.mkdir(parents=True)
    Image.fromarray(np.ones((8, 8), np.uint8)).save(mask)
    scenes = open_scenes("folder", tmp_path, "train", 3)
    assert len(scenes) == 1 and "3 hidden or of the system" in scenes.left_out
    write(tmp_path / "images" / "train", ("a.png",), jpeg())
    with pytest.raises(UserError, match=r"a.png and a.jpg have the same name; remove one"):
        open_scenes("folder", tmp_path, "train", 3)


def test_archives_are_unpacked_without_the_systems_files(tmp_path, capsys):
    members = [("VOCdevkit/VOC2007/JPEGImages/1.jpg", b"1"), ("VOCdevkit/VOC2007/JPEGImages/._1.jpg", b"2"),
               ("__MACOSX/VOCdevkit/VOC2007/JPEGImages/._1.jpg", b"3")]
    assert archives.unpack(members, tmp_path, voc.LAYOUT, "x.tar") == 1
    assert capsys.readouterr().out == "x.tar: 2 files left out, hidden or of the system\n"
    write(tmp_path / "VOC2007" / "ImageSets" / "Main", ("train.txt", "._train.txt"), b"1\n")
    assert list(voc.splits_in(tmp_path)) == [("VOC2007", "train")]


def test_names_from_files_cannot_write_to_the_terminal():
    assert left_out_line("d", [("a\x1b[2J\n", "why")]) == r"left out of d: 1 why ('a\x1b[2J\n')"


def test_only_files_of_sensible_size_are_read(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes(bytes(100))
    assert read_file(path, 100) == bytes(100)
    for name, most, says in (("a.xml", 99, "100 bytes, at most 99 are read"), (".", 9, "is a folder; name a file"),
                             ("b.xml", 9, "No such file"), ("a\0b", 9, "null byte")):
        with pytest.raises(UserError, match=says):
            read_file(f"{tmp_path}/{name}", most)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe: cannot be read: is no regular file"):
        read_file(tmp_path / "pipe", 9)
