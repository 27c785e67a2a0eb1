"""train_faster_rcnn.py and train_fcn.py: flags of GluonCV, refusals, and real runs on synthetic images."""

import json

import cv2
import numpy as np
import pytest

import train_faster_rcnn
import train_fcn
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.transfer import read_transfer_log
from gluon_tricks.machine import operator_threads
from gluon_tricks.training.record import Metrics
from gluon_tricks.transfer.shape import FPN

DETECT = ["--network", "resnet18_v1b", "--synthetic", "--gpus", "", "--batch-size", "2", "--epochs", "1",
          "-j", "0", "--lr", "0.01", "--no-pretrained-base", "--image-short", "64", "--rpn-train-post-nms",
          "20", "--rpn-test-post-nms", "10", "--rpn-channel", "16", "--rcnn-num-samples", "8", "--roi-size",
          "4,4", "--log-interval", "1",
          "--timeout", "60"]
SEGMENT = ["--backbone", "resnet18", "--synthetic", "--no-cuda", "--no-pretrained-base", "--aux", "--epochs",
           "1", "--base-size", "40", "--crop-size", "32", "--batch-size", "2", "--workers", "0",
           "--log-interval", "1", "--mode", "hybrid"]


def parameters(path):
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if name != "meta"}


def same(one, other, atol=0.0):
    one, other = parameters(one), parameters(other)
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=atol, err_msg=name)


@pytest.mark.slow
def test_detection_resumed_equals_uninterrupted(tmp_path, capsys):
    assert train_faster_rcnn.main([*DETECT, "--save-prefix", f"{tmp_path}/whole/"]) == 0
    assert "map_voc07: last" in capsys.readouterr().out
    halves = [*DETECT, "--save-prefix", f"{tmp_path}/halves/"]
    assert train_faster_rcnn.main([*halves, "--max-updates", "2"]) == 0
    assert train_faster_rcnn.main([*halves, "--resume", "auto"]) == 0
    name = "faster_rcnn_resnet18_v1b_voc"
    same(tmp_path / "whole" / f"{name}.resume.npz", tmp_path / "halves" / f"{name}.resume.npz")
    folder = tmp_path / "whole" / f"{name}_train"
    assert {path.name for path in folder.iterdir()} == {"metrics.jsonl", "history.png", "run.json",
                                                        "predictions-0000.png"}
    assert cv2.imread(str(folder / "predictions-0000.png")).shape[0] > 400
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["kind"] for record in records] == ["interval"] * 4 + ["epoch"]
    log = read_transfer_log(tmp_path / "whole" / f"{name}_train.log")
    assert log.args["anchor_scales"] == (2, 4, 8, 16, 32) and log.epochs[0].figures["RPN_Conf"] == round(
        records[-1]["RPN_Conf"], 3)
    with pytest.raises(UserError, match="--save-prefix: .* holds a run of this model already .* or another "
                                        "--save-prefix"):
        train_faster_rcnn.main([*DETECT, "--save-prefix", f"{tmp_path}/whole/"])


@pytest.mark.slow
def test_segmentation_resumed_equals_uninterrupted(tmp_path, capsys):
    assert train_fcn.main([*SEGMENT, "--save-dir", f"{tmp_path}/whole"]) == 0
    assert "miou: last" in capsys.readouterr().out
    assert train_fcn.main([*SEGMENT, "--save-dir", f"{tmp_path}/halves", "--max-updates", "3"]) == 0
    assert train_fcn.main([*SEGMENT, "--save-dir", f"{tmp_path}/halves", "--resume", "auto"]) == 0
    # With two operator threads, whole runs of this net differ from each other by up to 2e-4; with one they
    # are equal
    atol = 0.0 if operator_threads() == "1" else 2e-3
    same(tmp_path / "whole" / "resume.npz", tmp_path / "halves" / "resume.npz", atol)
    scores = json.loads((tmp_path / "whole" / "train" / "metrics.jsonl").read_text().splitlines()[-1])
    params = tmp_path / "whole" / f"epoch_0000_mIoU_{scores['miou']:2.4f}.params"
    capsys.readouterr()
    assert train_fcn.main([*SEGMENT, "--eval", "--resume", str(params)]) == 0
    assert f"validation pixAcc: {scores['pix_acc']:.3f}, mIoU: {scores['miou']:.3f} over 4 images" in capsys.readouterr().out
    assert (tmp_path / "whole" / "train" / "predictions-0000.png").is_file()


@pytest.mark.slow
def test_several_devices_take_the_same_update(tmp_path):
    """Two CPU devices with half the batch each: BatchNorm is frozen, so only the choice of regions
    differs."""
    args = [*DETECT, "--num-cpus", "2", "--max-updates", "1", "--save-prefix", f"{tmp_path}/two/"]
    assert train_faster_rcnn.main(args) == 0
    log = (tmp_path / "two" / "faster_rcnn_resnet18_v1b_voc_train.log").read_text()
    assert "global batch 2 = 1 per device x 2 devices x 1 process" in log


# GluonCV's defaults, as its scripts' --help prints them
DETECTION_DEFAULTS = dict(network="resnet50_v1b", dataset="voc", num_workers=4, batch_size=1, epochs=20,
                          lr=0.001, lr_decay=0.1, lr_warmup=-1, lr_warmup_factor=1 / 3, momentum=0.9, wd=5e-4,
                          log_interval=100, save_prefix="", save_interval=1, val_interval=1, seed=233,
                          no_mixup_epochs=20, rpn_smoothl1_rho=1 / 9,
                          rcnn_smoothl1_rho=1.0, start_epoch=0, resume="")
SEGMENTATION_DEFAULTS = dict(model="fcn", backbone="resnet50", dataset="pascal", workers=16, base_size=520,
                             crop_size=480, train_split="train", aux=False, aux_weight=0.5, epochs=50,
                             start_epoch=0, batch_size=16, test_batch_size=16, optimizer="sgd", lr=1e-3,
                             warmup_epochs=0, momentum=0.9, weight_decay=1e-4,
                             log_interval=20, logging_file="train.log")


def test_defaults_are_gluoncvs():
    detection, segmentation = vars(train_faster_rcnn.parse_args(["--gpus",
                                                                 ""])), vars(
                                                                     train_fcn.parse_args(["--no-cuda"]))
    assert {name: detection[name] for name in DETECTION_DEFAULTS} == DETECTION_DEFAULTS
    assert detection["lr_decay_epochs"] == [14, 20]
    assert {name: segmentation[name] for name in SEGMENTATION_DEFAULTS} == SEGMENTATION_DEFAULTS


def test_custom_model_is_the_pyramid_with_its_own_defaults():
    flags = ["--gpus", "", "custom-model", "--image-short", "600", "--anchor-scales", "1,2,4,8,16"]
    args = train_faster_rcnn.parse_args(flags)
    assert args.use_fpn
    assert args.shape == FPN._replace(image_short=600, anchor_scales=(1, 2, 4, 8, 16))


@pytest.mark.parametrize("script, flags, says", [
    (train_faster_rcnn, ["--gpus", "", "--dataset", "coco"], "--dataset coco: only voc is supported"),
    (train_faster_rcnn, ["--gpus", "", "--amp"], "--amp: detection in float16 is not supported"),
    (train_faster_rcnn, ["--gpus", "", "--lr", "x"], "--lr x: give a number"),
    (train_faster_rcnn, ["--gpus", "", "--lr", "-1"], "--lr -1.0: must be positive"),
    (train_faster_rcnn, ["--gpus", "", "--strides", "32"], "--strides 32: must be 4, 8 or 16"),
    (train_faster_rcnn, ["--gpus", "", "--use-fpn", "--strides", "16"], "this net has 5 feature maps"),
    (train_faster_rcnn, ["--gpus", "", "--roi-mode", "crop"], "--roi-mode crop: must be align or pool"),
    (train_faster_rcnn, ["--gpus", "", "--batch-size", "3", "--num-cpus", "2"],
     "must be a multiple of the 2 devices"),
    (train_faster_rcnn, ["--gpus", "0,0"], "--gpus 0,0: give the number of each GPU once"),
    (train_faster_rcnn, ["--gpus=-1"], "--gpus -1: the numbers of GPUs start at 0"),
    (train_faster_rcnn, ["--gpus", "", "--epochs", "inf"], "--epochs inf: give a whole number"),
    (train_faster_rcnn, ["--gpus", "", "--lr-decay-epoch", "3,nan"], "--lr-decay-epoch 3,nan"),
    (train_faster_rcnn, ["--gpus", "", "--start-epoch", "20"],
     "--start-epoch 20: must be less than --epochs 20"),
    (train_faster_rcnn, ["--gpus", "", "--iou-thresh", "0"], "--iou-thresh 0.0: must be positive"),
    (train_faster_rcnn, ["--gpus", "", "--rpn-channel", "0"], "--rpn-channel 0: must be at least 1"),
    (train_faster_rcnn, ["--gpus", "", "--rcnn-num-samples", "3000"],
     "3000: must be at most --rpn-train-post-nms 2000"),
    (train_faster_rcnn, ["--gpus", "", "--rcnn-pos-ratio", "1"], "room for an object and for background"),
    (train_faster_rcnn, ["--gpus", "", "--rcnn-pos-ratio", "0.001"], "room for an object and for background"),
    (train_fcn, ["--no-cuda", "--start-epoch", "50"], "--start-epoch 50: must be less than --epochs 50"),
    (train_fcn, ["--no-cuda", "--dtype", "float16"], "--dtype float16: is not supported"),
    (train_fcn, ["--no-cuda", "--model", "psp"], "--model psp: is not supported"),
    (train_fcn, ["--no-cuda", "--dataset", "folder"],
     "--classes None: --dataset folder needs the number of classes"),
    (train_fcn, ["--no-cuda", "--eval"], "--eval: needs the parameters"),
    (train_fcn, ["--no-cuda", "--warmup-epochs", "50"], "--warmup-epochs 50: must be fewer than --epochs 50"),
])
def test_unusable_flags_are_named(script, flags, says):
    with pytest.raises(UserError) as caught:
        script.parse_args(flags)
    assert says in str(caught.value)


@pytest.mark.parametrize("script, flag, gpus, count", [(train_faster_rcnn, "--gpus", "90,91", 2),
                                                      (train_fcn, "--ngpus", "92", 92)])
def test_gpus_are_named_before_they_are_looked_for(script, flag, gpus, count):
    """A published command can be parsed anywhere; only a run needs its GPUs."""
    flags = [flag, gpus, "--batch-size", str(count)]
    assert script.parse_args(flags).num_gpus == count
    with pytest.raises(UserError, match=f"{flag} {gpus}: MXNet sees .* to train on the CPU"):
        script.main(flags)


def test_a_plan_needs_neither_data_nor_gpus(capsys):
    assert train_faster_rcnn.main(["--network", "resnet18_v1b", "--gpus", "0,1", "--batch-size", "2",
                                   "--lr-warmup", "1000", "--dry-run", "--val-splits", "2007_test"]) == 0
    out = capsys.readouterr().out
    assert "8,275 per epoch of 16,551 images, 1 over" in out               # floor(16551 / 2)
    assert "0.000333333  after 0 updates" in out and "after 1,000 updates of warm-up" in out
    assert "0.0001       after 115,850 updates: step at epoch 14" in out   # 14 x 8275


@pytest.mark.parametrize("script, flags", [(train_faster_rcnn, DETECT), (train_fcn, SEGMENT)])
def test_a_training_set_without_one_updates_images_is_refused(script, flags, tmp_path):
    with pytest.raises(UserError, match="--batch-size 9: the training set has 8 images"):
        script.main([*flags, "--batch-size", "9",
                     "--save-prefix" if script is train_faster_rcnn else "--save-dir", f"{tmp_path}/x/"])
    assert not list(tmp_path.iterdir())
    if script is train_faster_rcnn:
        with pytest.raises(UserError, match="--batch-size 9: the training set has 8 images"):
            script.main([*flags, "--batch-size", "9", "--dry-run"])


def test_numbers_that_json_has_not_are_null(tmp_path):
    metrics = Metrics(tmp_path / "metrics.jsonl")
    metrics.write("epoch", 3, map_area=float("nan"), classes={"cat": 0.5, "dog": float("nan")}, epoch=0)
    metrics.close()

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")
    [line] = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=refuse) == {"kind": "epoch", "num_update": 3, "map_area": None,
                                                       "epoch": 0, "classes": {"cat": 0.5, "dog": None}}


def test_missing_data_is_named(tmp_path):
    with pytest.raises(UserError, match=r"trainval.txt: cannot be read .*data_prep/voc.py"):
        train_faster_rcnn.main(["--gpus", "", "--data-dir", str(tmp_path), "--save-prefix", f"{tmp_path}/x/"])
    with pytest.raises(UserError, match="has no images/train"):
        train_fcn.main(["--no-cuda", "--dataset", "ade20k", "--data-dir", str(tmp_path), "--save-dir",
                        str(tmp_path / "x")])
    flags = [*DETECT, "--save-prefix", f"{tmp_path}/y/", "--rpn-test-post-nms", "2000", "--image-short", "64"]
    with pytest.raises(UserError, match="fewer anchors than proposals"):
        train_faster_rcnn.main(flags)
