"""data_prep/places365.py on synthetic archives in the publisher's layout, sound and hostile."""

import io
import tarfile

import cv2
import numpy as np
import pytest

import train_imagenet
from data_prep import places365, verify
from gluon_tricks.data.images import RecordImages
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.errors import UserError

CLASSES = ["/a/airfield", "/a/airplane_cabin", "/b/bedroom"]


def jpeg(seed):
    return cv2.imencode(".jpg", np.random.default_rng(seed).integers(0, 255,
                                                                     (40, 40,
                                                                      3)).astype(np.uint8))[1].tobytes()


def write_tar(path, files, links=()):
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member)
    return str(path)


def train_files():
    return {f"data_256_standard{name}/0000000{i}.jpg": jpeg(i) for name in CLASSES for i in (1, 2, 3)}


def val_files():
    return {f"val_256/Places365_val_0000000{i}.jpg": jpeg(10 + i) for i in (1, 2)}


def lists():
    train = "".join(f"{name}/0000000{i}.jpg {label}\n" for label, name in enumerate(CLASSES) for i in (1, 2,
                                                                                                       3))
    return {"places365_train_standard.txt": train.encode(),
            "places365_val.txt": b"Places365_val_00000001.jpg 2\nPlaces365_val_00000002.jpg 0\n",
            "categories_places365.txt": "".join(f"{name} {i}\n" for i, name in enumerate(CLASSES)).encode(),
            "places365_test.txt": b"Places365_test_00000001.jpg\n"}


def test_files():
    return {f"test_256/Places365_test_0000000{i}.jpg": jpeg(20 + i) for i in (3, 1, 2)}       # in no order


test_files.__test__ = False
TEST_LIST = b"Places365_test_00000001.jpg\nPlaces365_test_00000002.jpg\nPlaces365_test_00000003.jpg\n"


def prepare_test(tmp_path, *flags, files=None, listed=TEST_LIST, links=()):
    words = ["--test-tar", write_tar(tmp_path / "test.tar", files or test_files(), links),
             "--file-lists", write_tar(tmp_path / "lists.tar", {**lists(), "places365_test.txt": listed}),
             "--out", str(tmp_path / "rec")]
    return places365.main([*words, "--no-checksum", *(flags or ["--subset"])])


def prepare(tmp_path, *flags, train=None, val=None, filelist=None, links=()):
    words = ["--train-tar", write_tar(tmp_path / "train.tar", train or train_files(), links),
             "--val-tar", write_tar(tmp_path / "val.tar", val or val_files()),
             "--file-lists", write_tar(tmp_path / "lists.tar", filelist or lists()), "--out",
             str(tmp_path / "rec")]
    return places365.main([*words, *(flags or ["--subset", "--no-checksum"])])


def test_archives_become_records_that_train_imagenet_reads(tmp_path, capsys):
    assert prepare(tmp_path) == 0
    assert "train.rec: 9 records (published 1803460), 3 classes (published 365)" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "rec")
    assert manifest.dataset == "places365" and manifest.classes == CLASSES
    assert manifest.splits["train"].per_class == [3, 3, 3] and manifest.splits["val"].per_class == [1, 0, 1]
    reader, labels = open_split(tmp_path / "rec", "val", manifest)[:2]
    assert list(labels) == [2, 0]
    del reader
    assert prepare(tmp_path) == 0
    assert "places365 is prepared already" in capsys.readouterr().out


def test_the_test_set_has_names_and_no_labels(tmp_path, capsys):
    assert prepare_test(tmp_path) == 0
    assert "test.rec: 3 records (published 328500), no labels, " in capsys.readouterr().out
    folder = tmp_path / "rec"
    manifest = read_manifest(folder)
    assert not manifest.splits["test"].labelled and manifest.splits["test"].per_class == [0, 0, 0]
    assert (folder
            / "test.names.txt").read_text().splitlines() == sorted(
                name.split("/")[1] for name in test_files())
    reader, labels = open_split(folder, "test", manifest)
    assert labels.tolist() == [-1, -1, -1] and reader.read_image(0)[:2] == (-1, jpeg(21))
    # training on them is refused
    with pytest.raises(UserError, match="label -1.* is no class index"):
        RecordImages(folder / "test.rec").read([0])
    assert verify.main([str(folder)]) == 0 and prepare_test(tmp_path) == 0
    assert "places365 is prepared already" in capsys.readouterr().out


def test_a_label_among_those_that_have_none_is_found(tmp_path, capsys):
    prepare_test(tmp_path)
    path = tmp_path / "rec" / "test.rec"
    content = path.read_bytes()
    assert content.count(np.float32(-1).tobytes()) >= 3
    path.write_bytes(content.replace(np.float32(-1).tobytes(), np.float32(2).tobytes(), 1))
    assert verify.main([str(tmp_path / "rec")]) == 1
    assert "label 2.0 is not that of a set without labels" in capsys.readouterr().out


@pytest.mark.parametrize("change, says", [
    (dict(files={**test_files(), "test_256/Places365_test_00000009.jpg": b"x"}),
     "00000009.jpg is not in places365_test"),
    (dict(files={**test_files(), "test_256/../../evil.jpg": b"x"}), "points out of the archive"),
    (dict(links=["test_256/Places365_test_00000004.jpg"]), "is a link, a device or the like"),
    (dict(files={**test_files(), "test_256/Places365_test_00000002.jpg": jpeg(1)[:200]}),
     "Places365_test_00000002.jpg: "),
    (dict(listed=TEST_LIST + b"Places365_test_00000002.jpg\n"),
     "00000002.jpg' is not one name, or is there twice"),
    (dict(listed=b"Places365_test_00000001.jpg 7\n"), "00000001.jpg 7' is not one name"),
])
def test_faults_of_the_test_set_are_named_and_refused(tmp_path, change, says):
    with pytest.raises(UserError, match=says):
        prepare_test(tmp_path, "--subset", "--on-error", "fail", **change)
    assert not (tmp_path / "rec" / "manifest.json").exists() and not list(tmp_path.parent.rglob("evil.jpg"))


def test_the_whole_test_set_is_demanded(tmp_path):
    with pytest.raises(UserError, match="3 images in 3 classes, published 328500 in 365"):
        prepare_test(tmp_path, "--on-error", "fail")


def test_flags_of_places365():
    args = train_imagenet.parse_args(["--model", "resnet50_v1d", "--dataset", "places365", "--use-rec"])
    assert (args.classes, args.num_training_samples) == (365, 1803460)
    assert args.rec_train == "~/.mxnet/datasets/places365/rec/train.rec"
    assert train_imagenet.parse_args(["--model",
                                      "resnet50_v1d"]).rec_val == "~/.mxnet/datasets/imagenet/rec/val.rec"


@pytest.mark.parametrize("change, says", [
    (dict(train={**train_files(), "data_256_standard/a/airfield/00000009.jpg": b"x"}),
     "00000009.jpg is not in places365"),
    (dict(train={**train_files(), "../evil.jpg": b"x"}), "points out of the archive"),
    (dict(links=["data_256_standard/a/airfield/00000004.jpg"]), "is a link, a device or the like"),
    (dict(val={**val_files(), "val_256/Places365_val_00000002.jpg": jpeg(1)[:200]}),
     "Places365_val_00000002.jpg: "),
    (dict(filelist={**lists(), "places365_val.txt": b"Places365_val_00000001.jpg 3\n"}),
     "has no label from 0 to 2"),
    (dict(filelist={**lists(), "categories_places365.txt": b"/a/airfield 1\n"}), "numbers do not run from 0"),
    (dict(filelist={"categories_places365.txt": b"/a/airfield 0\n"}), "has no places365_train_standard.txt"),
])
def test_faults_are_named_and_refused(tmp_path, change, says):
    with pytest.raises(UserError, match=says):
        prepare(tmp_path, "--subset", "--no-checksum", "--on-error", "fail", **change)
    assert not (tmp_path / "rec" / "manifest.json").exists()


def test_published_counts_and_digests_are_demanded(tmp_path):
    with pytest.raises(UserError, match="9 images in 3 classes, published 1803460 in 365"):
        prepare(tmp_path, "--no-checksum")
    with pytest.raises(UserError, match="published 53ca1c756c3d1e7809517cc47c5561c5"):
        prepare(tmp_path, "--subset")
