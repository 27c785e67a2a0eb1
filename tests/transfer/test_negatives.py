"""Images without boxes are trained on as background and evaluated; what a data set lacks or leaves out is said."""


import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, nd

import train_faster_rcnn
from gluon_tricks.data.voc import VocDetection
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.transfer import read_transfer_log

FLAGS = ["--network", "resnet18_v1b", "--gpus", "", "--batch-size", "1", "--epochs", "1", "-j", "0", "--lr", "0.01",
         "--no-pretrained-base", "--image-short", "32", "--rpn-train-post-nms", "20", "--rpn-test-post-nms", "10",
         "--rpn-channel", "16", "--rcnn-num-samples", "8", "--roi-size", "4,4", "--log-interval", "1", "--timeout",
         "60", "--train-splits", "2007_train", "--val-splits", "2007_val"]
DOG = ("dog", (11, 11, 60, 50))


def annotation(boxes, width=80, height=64):
    objects = "".join("<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
                      "</bndbox></object>".format(name, *box) for name, box in boxes)
    return f"<annotation><size><width>{width}</width><height>{height}</height></size>{objects}</annotation>"


@pytest.fixture
def voc(tmp_path):
    """A function (train, val): lists of the boxes of each image -> the flags of a folder in VOC's layout."""
    folder = tmp_path / "voc" / "VOC2007"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)

    def write(**splits):
        for split, images in splits.items():
            names = [f"{split}{number}" for number in range(len(images))]
            (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))
            for name, boxes in zip(names, images):
                (folder / "Annotations" / f"{name}.xml").write_text(annotation(boxes))
                pixels = np.random.default_rng(len(name)).integers(0, 255, (64, 80, 3), np.uint8)
                (folder / "JPEGImages" / f"{name}.jpg").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
        return ["--data-dir", str(tmp_path / "voc"), "--save-prefix", f"{tmp_path}/run/"]
    return write


def transform_of(sizes=(8, 24), stride=8):
    """The training transform for anchors of these sides at each place of a map of this stride."""
    pytest.importorskip("gluoncv")
    from gluoncv.model_zoo.rcnn.rpn.anchor import RPNAnchorGenerator

    from gluon_tricks.transfer.targets import TrainTransform

    class Net:
        features = staticmethod(lambda x: mx.sym.Pooling(x, kernel=(stride, stride), stride=(stride, stride)))

    class Proposals:
        anchor_generator = RPNAnchorGenerator(stride, 8, (1,), [size / 8 for size in sizes], (16, 16))

    net = Net()
    net.rpn = Proposals()
    net.rpn.anchor_generator.initialize()
    return TrainTransform(64, 100, net, ashape=16, num_sample=32)


@pytest.mark.parametrize("seed", range(3))
def test_targets_of_an_image_without_objects_are_sampled_background(seed):
    np.random.seed(seed)
    transform, image = transform_of(), nd.zeros((64, 80, 3), dtype="uint8")
    pixels, label, [classes], [boxes], [masks] = transform(image, np.zeros((0, 6)))
    assert pixels.shape == (3, 64, 80) and (label == -1).all() and label.shape == (1, 6)
    assert sorted(set(classes.ravel())) == [-1, 0] and (classes == 0).sum() == 32
    assert not boxes.any() and not masks.any()
    # 24 x 24 pixels around a place at the border are not inside the image
    assert (classes[0, :, 1] == -1).all() and (classes[:, 0, 1] == -1).all()


def test_targets_of_other_images_are_gluoncvs():
    ours, image = transform_of(), nd.zeros((64, 80, 3), dtype="uint8")
    from gluoncv.data.transforms.presets.rcnn import FasterRCNNDefaultTrainTransform

    label, samples = np.array([[8, 8, 32, 32, 0, 0], [40, 20, 60, 52, 1, 0]], np.float64), []
    for call in (type(ours).__call__, FasterRCNNDefaultTrainTransform.__call__):
        np.random.seed(0)
        samples.append(call(ours, image, label))
    assert (np.asarray(samples[0][2][0]) == 1).any()
    for one, other in zip(samples[0][1:], samples[1][1:]):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_regions_of_an_image_without_objects_are_background():
    pytest.importorskip("gluoncv")
    from gluoncv.model_zoo.rcnn.faster_rcnn.rcnn_target import RCNNTargetGenerator, RCNNTargetSampler

    sampler = RCNNTargetSampler(1, 20, num_sample=8, pos_iou_thresh=0.5, pos_ratio=0.25, max_num_gt=10)
    corners = nd.array(np.random.default_rng(0).uniform(0, 40, (1, 20, 2)))
    rois, gt = nd.concat(corners, corners + 20, dim=-1), nd.full((1, 1, 6), -1)
    with autograd.record():
        rois, samples, matches = sampler(rois, nd.ones((1, 20, 1)), gt[:, :, :4])
        generator = RCNNTargetGenerator(3, 2, 1)
        generator.initialize()
        classes, _, masks, _ = generator(rois, samples, matches, gt[:, :, 4:5], gt[:, :, :4])
    assert classes.asnumpy().tolist() == [[0] * 8] and not masks.asnumpy().any()


@pytest.mark.slow
def test_a_run_goes_on_over_images_without_boxes(voc, tmp_path, capsys):
    pytest.importorskip("gluoncv")
    flags = voc(train=[[], [DOG]], val=[[], [DOG, ("cat", (5, 5, 40, 40))]])
    assert train_faster_rcnn.main([*FLAGS, *flags]) == 0
    log = read_transfer_log(tmp_path / "run" / "faster_rcnn_resnet18_v1b_voc_train.log")
    assert len(log.epochs) == 1 and np.isfinite(log.epochs[0].figures["RPN_Conf"])
    text = (tmp_path / "run" / "faster_rcnn_resnet18_v1b_voc_train.log").read_text()
    assert "2007_train: 1 of 2 images have no boxes and are background" in text
    assert "map_voc07: last" in capsys.readouterr().out


def test_what_a_split_lacks_and_leaves_out_is_counted(voc):
    flags = voc(train=[[("thing", (1, 1, 9, 9))], []], val=[[], [DOG, DOG], [("thing", (1, 1, 9, 9))]])
    train = VocDetection(flags[1], [(2007, "train")])
    assert train.contents == "2007_train: 1 of 2 images have no boxes and are background"
    val = VocDetection(flags[1], [(2007, "val")], train.classes)
    assert val.contents == ("2007_val: 2 of 3 images have no boxes and are background; objects of other classes are "
                            "left out: 2 dog")
    assert VocDetection(flags[1], [(2007, "val")], ("dog", "thing")).contents.endswith("background")


@pytest.mark.parametrize("train, more, says", [
    ([[], []], [], "--train-splits 2007_train: none of 2 images has a box"),
    ([[DOG] * 3, [DOG]], ["--max-num-gt", "2"], "--max-num-gt 2: an image has 3 boxes; give --max-num-gt 3"),
    ([[DOG] * 3, [DOG]], ["--max-num-gt", "3", "--mixup"], "--max-num-gt 3: two mixed images have 4 boxes"),
])
def test_a_training_set_that_the_net_cannot_take_is_refused_at_the_start(voc, train, more, says):
    with pytest.raises(UserError, match=says):
        train_faster_rcnn.main([*FLAGS, *voc(train=train, val=[[DOG]]), *more])


def test_half_an_image_is_not_trained_on(voc, tmp_path):
    """MXNet decodes it, and fills the rest with grey."""
    flags = voc(train=[[DOG]])
    path = tmp_path / "voc" / "VOC2007" / "JPEGImages" / "train0.jpg"
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    with pytest.raises(UserError, match=r"train0.jpg: cannot be read \(truncated JPEG\)"):
        VocDetection(flags[1], [(2007, "train")])[0]
