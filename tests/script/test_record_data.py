"""The record files of a training: each is opened once."""

import cv2
import mxnet as mx
import numpy as np
import pytest

import train_imagenet
from data_prep import folder
from gluon_tricks.data import recordio
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.script import imagenet_data


@pytest.mark.parametrize("with_manifest", [True, False])
def test_each_index_is_read_once_after_the_flags(with_manifest, tmp_path, monkeypatch):
    for number in range(8):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 255, (9, 9, 3), np.uint8))
    rec = tmp_path / "rec"
    assert folder.main([str(tmp_path / "photos"), "--out", str(rec), "--val-share", "0.25"]) == 0
    if not with_manifest:
        (rec / "manifest.json").unlink()
    args = train_imagenet.parse_args(["--model", "resnet18_v1b", "--rec-dir", str(rec), "--batch-size", "2",
                                      "--input-size", "8", "--classes", "2", "-j", "0"])
    read, original = [], recordio.read_index

    def counted(path, *more):
        read.append(path.name)
        return original(path, *more)

    monkeypatch.setattr(recordio, "read_index", counted)
    data = imagenet_data.open_data(args, SingleProcess([mx.cpu()]))
    assert sorted(read) == ["train.idx", "val.idx"]
    assert (data.train.records, data.val.records, bool(data.root_hash)) == (6, 2, with_manifest)
    assert [batch.data.shape for batch in data.val.epoch(0)] == [(2, 3, 8, 8)]
