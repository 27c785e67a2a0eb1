"""data_prep/ade20k.py on synthetic archives in the publisher's layout, sound and hostile."""

import json
import stat
import struct
import zipfile
import zlib

import cv2
import numpy as np
import pytest

from data_prep import ade20k
from gluon_tricks.data.scenes import open_scenes
from gluon_tricks.errors import UserError


def png(mask):
    return cv2.imencode(".png", mask)[1].tobytes()


def mask(top=150, size=(20, 30)):
    values = np.random.default_rng(0).integers(0, 151, size).astype(np.uint8)
    values[0, :3] = 0, 1, top
    return values


def half_the_rows():
    """A mask that Pillow reads without a word, its lower half as class 0."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30, 20, 8, 0, 0, 0, 0))
    rows = zlib.compress(b"".join(b"\0" + bytes(row) for row in mask()[:10]))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


IMAGE = cv2.imencode(".jpg", np.full((20, 30, 3), 90, np.uint8))[1].tobytes()


def sound():
    files = {"ADEChallengeData2016/objectInfo150.txt": b"Idx\n",
             "ADEChallengeData2016/other.txt": b"not needed"}
    for folder, name in (("training", "ADE_train_00000001"), ("training", "ADE_train_00000002"),
                         ("validation", "ADE_val_00000001")):
        files[f"ADEChallengeData2016/images/{folder}/{name}.jpg"] = IMAGE
        files[f"ADEChallengeData2016/annotations/{folder}/{name}.png"] = png(mask())
    return files


def write_zip(path, files, links=()):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, target in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return path


def prepare(tmp_path, files, *flags, links=()):
    path = write_zip(tmp_path / "made-up.zip", files, links)
    return ade20k.main(["--archive", str(path), "--out", str(tmp_path / "ade"), *(flags or ["--subset"])])


def test_an_archive_becomes_folders_and_a_manifest(tmp_path, capsys):
    assert prepare(tmp_path, sound()) == 0
    manifest = json.loads((tmp_path / "ade" / "manifest.json").read_text())
    assert {name: found["images"] for name, found in manifest["splits"].items()} == {"training": 2,
                                                                                     "validation": 1}
    assert manifest["files"] == 7 and "training: 2 images (published 20210)" in capsys.readouterr().out
    scenes = open_scenes("ade20k", tmp_path / "ade", "train")
    image, classes = scenes[0]
    assert scenes.num_class == 150 and image.size == (30, 20)
    # 0 is no class, 150 the last
    np.testing.assert_array_equal(np.array(classes), mask().astype(np.int32) - 1)
    assert len(open_scenes("ade20k", tmp_path / "ade", "val")) == 1


@pytest.mark.parametrize("name, content, says", [
    ("annotations/training/ADE_train_00000002.png", png(mask(top=151)),
     "ADE_train_00000002.png: the mask has the value 151; 0 to 150 are classes"),
    ("annotations/training/ADE_train_00000002.png", png(mask(size=(20, 31))), "31 x 20 pixels, its image has "
                                                                              "30 x 20"),
    ("annotations/training/ADE_train_00000002.png", png(np.zeros((20, 30, 3), np.uint8)),
     "is not a mask of class indices"),
    ("annotations/training/ADE_train_00000002.png", b"no image", "ADE_train_00000002.png: cannot be read"),
    ("images/training/ADE_train_00000002.jpg", b"no image", "ADE_train_00000002.jpg: cannot be read"),
    ("images/training/ADE_train_00000002.jpg", IMAGE[:-9], r"00002.jpg: cannot be read \(truncated JPEG\)"),
    ("annotations/training/ADE_train_00000002.png", png(mask())[:-9],
     r"00002.png: cannot be read \(truncated PNG\)"),
    ("annotations/training/ADE_train_00000002.png", half_the_rows(), "00002.png: cannot be read .does not decode"),
    ("images/validation/ADE_val_00000007.jpg", b"x", "ADE_val_00000007 has no mask"),
])
def test_faults_are_named_and_refused(tmp_path, name, content, says):
    with pytest.raises(UserError, match=says):
        prepare(tmp_path, {**sound(), f"ADEChallengeData2016/{name}": content})
    assert not (tmp_path / "ade" / "manifest.json").exists()


def test_hostile_members_are_refused(tmp_path):
    with pytest.raises(UserError, match="points out of the archive"):
        prepare(tmp_path, {**sound(), "../evil.txt": b"x"})
    with pytest.raises(UserError, match="is a link, a device or the like"):
        prepare(tmp_path, sound(), links=[("ADEChallengeData2016/images/training/a.jpg", "/etc/passwd")])


def test_the_size_of_a_member_is_checked_before_it_is_read(tmp_path):
    path = write_zip(tmp_path / "a.zip", sound())
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2", 0, content.rindex(b"ADE_val_00000001.png"))   # its line in the directory
    content[at + 24:at + 28] = struct.pack("<I", 0xFFFF0000)
    path.write_bytes(content)
    with pytest.raises(UserError, match="ADE_val_00000001.png' has 4294901760 bytes, more than"):
        ade20k.main(["--archive", str(path), "--out", str(tmp_path / "ade"), "--subset"])


def test_published_digest_and_counts_are_demanded(tmp_path):
    with pytest.raises(UserError, match="published 219e1696abb36c8ba3a3afe7fb2f4b4606a897c7"):
        prepare(tmp_path, sound(), "--out", str(tmp_path / "ade"))
    with pytest.raises(UserError, match="training: 2 images, published 20210"):
        prepare(tmp_path, sound(), "--no-checksum")


def test_folders_of_any_set_have_the_last_index_for_none(tmp_path):
    for split in ("train", "val"):
        for kind in ("images", "annotations"):
            (tmp_path / kind / split).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "images" / split / "a.png"), np.zeros((4, 6, 3), np.uint8))
        cv2.imwrite(str(tmp_path / "annotations" / split / "a.png"),
                    np.arange(24, dtype=np.uint8).reshape(4, 6) % 4)
    _, classes = open_scenes("folder", tmp_path, "val", 3)[0]
    np.testing.assert_array_equal(np.array(classes)[0], [0, 1, 2, -1, 0, 1])
    with pytest.raises(UserError, match="the mask has the value 3; 0 to 2 are classes"):
        open_scenes("folder", tmp_path, "val", 2)[0]
    with pytest.raises(UserError, match="has no images/train"):
        open_scenes("folder", tmp_path / "images", "train", 3)
