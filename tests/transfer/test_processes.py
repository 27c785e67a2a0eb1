"""Faster R-CNN in two processes on a synthetic folder in VOC's layout: one training, one log, each image
counted once."""

import json
import re

import cv2
import mxnet as mx
import numpy as np
import pytest
from engines.jobs import ENGINES, finish, start

import train_faster_rcnn
from gluon_tricks.data.voc import VocDetection
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.log_lines.transfer import read_transfer_log
from gluon_tricks.script import faster_rcnn as build
from gluon_tricks.transfer.detection import detections, shared

# two updates of two images, one left out; of the validation one process has one image more
TRAIN, VAL = 5, 3
LR, WD = 0.01, 0.001
pytestmark = pytest.mark.slow
SMALL = ["--network", "resnet18_v1b", "--gpus", "", "--no-pretrained-base", "--image-short", "64",
         "--rpn-channel", "16", "--rpn-train-post-nms", "20", "--rpn-test-post-nms", "10",
         "--rcnn-num-samples", "8", "--roi-size", "4,4"]


def write_voc(root):
    """Grey images of 80 x 64 pixels, a bright square in each."""
    folder, rng = root / "VOC2007", np.random.default_rng(0)
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    names = [f"{i:06d}" for i in range(TRAIN + VAL)]
    for name in names:
        left, top, side = rng.integers(2, 20, 3) + (0, 0, 10)
        image = np.full((64, 80, 3), 90, np.uint8)
        image[top:top + side, left:left + side] = 220
        cv2.imwrite(str(folder / "JPEGImages" / f"{name}.jpg"), image)
        box = dict(xmin=left, ymin=top, xmax=left + side, ymax=top + side)
        (folder / "Annotations" / f"{name}.xml").write_text(
            "<annotation><size><width>80</width><height>64</height></size><object><name>square</name><bndbox>"
            + "".join(f"<{corner}>{value}</{corner}>" for corner, value in box.items())
            + "</bndbox></object></annotation>")
    for split, part in (("trainval", names[:TRAIN]), ("test", names[TRAIN:])):
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(part) + "\n")
    return root


@pytest.mark.parametrize("engine", ENGINES)
def test_two_processes_are_one_training(engine, tmp_path):
    data = ["--data-dir", str(write_voc(tmp_path / "voc")), "--train-splits", "2007_trainval", "--val-splits",
            "2007_test"]
    words = [*SMALL, *data, "--batch-size", "1", "--epochs", "1", "-j", "0", "--lr", LR, "--wd", WD,
             "--log-interval", "1", "--check-sync", "1", "--save-prefix", f"{tmp_path}/run/",
             *(["--horovod"] if engine == "horovod" else [])]
    said = finish(start(engine, 2, ["tests/transfer/noted_rank.py", *words], NOTES=str(tmp_path)))
    notes = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    arrays = [dict(np.load(tmp_path / f"rank{rank}.npz")) for rank in (0, 1)]

    assert notes[0]["parameters"] == notes[1]["parameters"]                   # to the last bit
    moved = 0
    for name in [key.split("/", 1)[1] for key in arrays[0] if key.startswith("before/")]:
        before, grads = arrays[0][f"before/{name}"], [one[f"grad/{name}"] for one in arrays]
        np.testing.assert_array_equal(before, arrays[1][f"before/{name}"])
        # SGD's first update of two images
        expected = before - LR * ((grads[0] + grads[1]) / 2 + WD * before)
        np.testing.assert_allclose(arrays[0][f"after/{name}"], expected, rtol=1e-5, atol=1e-7, err_msg=name)
        moved += not np.allclose(grads[0], grads[1])
    assert moved > 5                                                          # each has images of its own

    assert sorted(notes[0]["validated"] + notes[1]["validated"]) == list(range(VAL))
    assert not re.search(r"^\[1\]", said, re.MULTILINE), said                 # only the writer speaks
    log = next((tmp_path / "run").glob("*_train.log"))
    text = log.read_text()
    assert [len(re.findall(pattern, text, re.MULTILINE)) for pattern in
            ("^Namespace", "Training cost", "Validation:", "^mAP=", r"\[Batch 0\]",
             r"\[Batch 1\]")] == [1] * 6, text
    assert "global batch 2 = 1 per device x 1 device x 2 processes" in text
    assert len(read_transfer_log(log).epochs) == 1
    same_as_one_process(words, arrays, next((tmp_path / "run").glob("*_0000_*.params")), tmp_path / "voc")


def same_as_one_process(words, arrays, params, data):
    """What two processes found is what one finds with the parameters that they saved."""
    args = train_faster_rcnn.parse_args([str(word) for word in words if word != "--horovod"]
                                        + ["--resume", str(params)])
    engine, dataset = SingleProcess([mx.cpu()]), VocDetection(data, [(2007, "test")])
    net, _ = build.build_net(args, dataset.classes, engine, resumed=False)
    alone = shared(detections(net, dataset, engine), VAL, engine)
    assert sum(map(len, alone)) > 0
    for position, rows in enumerate(alone):
        for rank in (0, 1):
            np.testing.assert_allclose(arrays[rank][f"found/{position}"], rows, rtol=1e-4, atol=1e-4)


class Two:
    """The rank 0 of two processes, of which the other has found nothing; MXNet's engines take no empty
    arrays."""

    world_size = 2

    def sum(self, array):
        assert np.size(array)
        return np.asarray(array, np.float64)


def test_nothing_found_by_anyone_is_shared_too():
    nothing = shared({0: np.zeros((0, 6)), 1: np.zeros((0, 6))}, 2, Two())
    assert [rows.shape for rows in nothing] == [(0, 6), (0, 6)]
    one = shared({0: np.ones((2, 6)), 1: np.zeros((0, 6))}, 2, Two())
    assert [rows.shape for rows in one] == [(2, 6), (0, 6)]
