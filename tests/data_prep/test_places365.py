"""data_prep/places365.py on make-believe archives in the publisher's layout, sound and hostile."""

import io
import tarfile

import cv2
import numpy as np
import pytest

import train_imagenet
from data_prep import places365
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.errors import UserError

CLASSES = ["/a/airfield", "/a/airplane_cabin", "/b/bedroom"]


def jpeg(seed):
    return cv2.imencode(".jpg", np.random.default_rng(seed).integers(0, 255, (40, 40, 3)).astype(np.uint8))[1].tobytes()


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
    train = "".join(f"{name}/0000000{i}.jpg {label}\n" for label, name in enumerate(CLASSES) for i in (1, 2, 3))
    return {"places365_train_standard.txt": train.encode(),
            "places365_val.txt": b"Places365_val_00000001.jpg 2\nPlaces365_val_00000002.jpg 0\n",
            "categories_places365.txt": "".join(f"{name} {i}\n" for i, name in enumerate(CLASSES)).encode(),
            "places365_test.txt": b"Places365_test_00000001.jpg\n"}


def prepare(tmp_path, *flags, train=None, val=None, filelist=None, links=()):
    words = ["--train-tar", write_tar(tmp_path / "train.tar", train or train_files(), links),
             "--val-tar", write_tar(tmp_path / "val.tar", val or val_files()),
             "--file-lists", write_tar(tmp_path / "lists.tar", filelist or lists()), "--out", str(tmp_path / "rec")]
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


def test_flags_of_places365():
    args = train_imagenet.parse_args(["--model", "resnet50_v1d", "--dataset", "places365", "--use-rec"])
    assert (args.classes, args.num_training_samples) == (365, 1803460)
    assert args.rec_train == "~/.mxnet/datasets/places365/rec/train.rec"
    assert train_imagenet.parse_args(["--model", "resnet50_v1d"]).rec_val == "~/.mxnet/datasets/imagenet/rec/val.rec"


@pytest.mark.parametrize("change, says", [
    (dict(train={**train_files(), "data_256_standard/a/airfield/00000009.jpg": b"x"}), "00000009.jpg is not in places365"),
    (dict(train={**train_files(), "../evil.jpg": b"x"}), "points out of the archive"),
    (dict(links=["data_256_standard/a/airfield/00000004.jpg"]), "is a link, a device or the like"),
    (dict(val={**val_files(), "val_256/Places365_val_00000002.jpg": jpeg(1)[:200]}), "Places365_val_00000002.jpg: "),
    (dict(filelist={**lists(), "places365_val.txt": b"Places365_val_00000001.jpg 3\n"}), "has no label from 0 to 2"),
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
