"""What the nets see and how answers are counted: against GluonCV's transforms and metrics, and formulas
written again."""

import random

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd
from PIL import Image

from gluon_tricks import pictures
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.transfer.detection import Synthetic as Boxes
from gluon_tricks.transfer.detection import mean_average_precision
from gluon_tricks.transfer.draw import draw_boxes, draw_masks, free_place, palette, spread
from gluon_tricks.transfer.fcn import Confusion
from gluon_tricks.transfer.loader import EpochLoader, Seeded, parts
from gluon_tricks.transfer.schedule import detection_schedule, segmentation_schedule
from gluon_tricks.transfer.segmentation import Synthetic as Scenes
from gluon_tricks.transfer.segmentation import normalised, shown, training_crop, validate, validation_crop

# --- order and randomness -----------------------------------------------------------------------------------

class Numbers:
    def __len__(self):
        return 11

    def __getitem__(self, position):
        return position, position


def draw(image, label):
    return np.array([image, random.random(), np.random.rand()])


def batches(epoch, start=0, rank=0, world_size=1, batch_size=4):
    loader = EpochLoader(Seeded(Numbers(), draw, seed=3), lambda samples: [(nd.array(np.stack(samples)),)],
                         batch_size, [mx.cpu()], 0, rank, world_size)
    return [shares[0][0].asnumpy() for shares in loader.epoch(epoch, start)]


@pytest.mark.slow
def test_draws_belong_to_epoch_and_image():
    whole = batches(0)
    assert len(whole) == 2                                            # 11 images, whole batches of 4
    np.testing.assert_array_equal(batches(0, start=1), whole[1:])
    random.seed(9), np.random.seed(9)
    np.testing.assert_array_equal(batches(0), whole)
    assert not np.array_equal(batches(1)[0], whole[0])
    two = [batches(0, rank=rank, world_size=2, batch_size=2) for rank in (0, 1)]
    for update in (0, 1):
        np.testing.assert_array_equal(np.vstack([two[0][update], two[1][update]]), whole[update])


def test_parts_are_equal():
    assert parts(6, 2) == [slice(0, 3), slice(3, 6)]


# --- detection ----------------------------------------------------------------------------------------------

def reference_average_precision(found, truth, iou=0.5):
    """Eleven-point AP of one class, written from the rules of VOC 2007: highest score first, each object
    once."""
    # corners are pixels that belong to the box
    def area(left, top, right, bottom):
        return max(0.0, right - left + 1) * max(0.0, bottom - top + 1)

    def overlap(a, b):
        both = area(*np.maximum(a[:2], b[:2]), *np.minimum(a[2:4], b[2:4]))
        return both / (area(*a[:4]) + area(*b[:4]) - both)

    rows = sorted(((row[1], i, row[2:]) for i, rows in enumerate(found) for row in rows),
                  key=lambda row: -row[0])
    hit, taken, counted = [], [set() for _ in truth], sum((label[:, 5] == 0).sum() for label in truth)
    for _, i, box in rows:
        best = max(range(len(truth[i])), key=lambda k: overlap(box, truth[i][k]), default=None)
        if best is None or overlap(box, truth[i][best]) < iou:
            hit.append(False)
        elif truth[i][best][5]:
            continue                                                  # difficult: neither counts nor harms
        else:
            hit.append(best not in taken[i])
            taken[i].add(best)
    right = np.cumsum(hit)
    precision, recall = right / np.arange(1, len(hit) + 1), right / counted
    return np.mean([max(precision[recall >= t], default=0.0) for t in np.linspace(0, 1, 11)])


class Labels:
    classes = ("thing",)

    def __init__(self, labels):
        self.labels = labels

    def label(self, position):
        return self.labels[position]


@pytest.mark.parametrize("seed", range(4))
def test_mean_average_precision_by_the_rules(seed):
    pytest.importorskip("gluoncv")
    rng = np.random.default_rng(seed)
    labels, found = [], []
    for _ in range(12):
        corner = rng.integers(0, 200, (3, 2))
        size = rng.integers(20, 60, (3, 2))
        hard = (rng.random((3, 1)) < 0.2).astype(float)
        labels.append(np.hstack([corner, corner + size, np.zeros((3, 1)), hard]).astype(np.float64))
        moved = np.hstack([corner, corner + size]) + rng.normal(0, 5, (3, 4))
        noise = rng.integers(0, 200, (2, 2))
        boxes = np.vstack([moved, np.hstack([noise, noise + 30])])
        found.append(np.hstack([np.zeros((5, 1)), rng.random((5, 1)), boxes]))
    (names, values), (_, area) = mean_average_precision(found, Labels(labels))
    assert names == ["thing", "mAP"]
    assert values[-1] == pytest.approx(reference_average_precision(found, labels), abs=1e-9)
    assert 0.2 < area[-1] < 1


def test_perfect_and_empty_answers():
    pytest.importorskip("gluoncv")
    dataset = Boxes(3)
    perfect = [np.hstack([np.zeros((2, 1)), np.ones((2, 1)), dataset.label(i)[:, :4]]) for i in range(3)]
    assert mean_average_precision(perfect, dataset)[0][1][-1] == pytest.approx(1.0)
    assert mean_average_precision([np.zeros((0, 6))] * 3, dataset)[0][1][-1] == 0.0


# --- segmentation -------------------------------------------------------------------------------------------

def test_scores_equal_gluoncvs_metric():
    gluoncv = pytest.importorskip("gluoncv")
    rng = np.random.default_rng(0)
    # class 4 occurs in answers only
    outputs, truth = rng.normal(size=(3, 5, 8, 9)), rng.integers(-1, 4, (3, 8, 9))
    metric = gluoncv.utils.metrics.SegmentationMetric(5)
    metric.update(nd.array(truth), nd.array(outputs))
    confusion = Confusion(5)
    for output, mask in zip(outputs, truth):
        confusion.add(output.argmax(axis=0), mask)
    scores = confusion.scores()
    np.testing.assert_allclose((scores["pix_acc"], scores["miou"]), metric.get(), rtol=1e-6)


def test_scores_by_hand():
    confusion = Confusion(3)
    confusion.add(np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, -1]]))
    # class 0: 1 right of 2 in the union; class 1: 1 of 2; class 2 occurs nowhere
    assert confusion.scores() == {"pix_acc": 2 / 3, "miou": pytest.approx((0.5 + 0.5 + 0) / 3),
                                  "miou_present": 0.5}


class Brighter(gluon.Block):
    """Answers class 1 where red is above green, else class 0."""

    def forward(self, images):
        return (images[:, :2].flip(axis=1),)


class InTurn(SingleProcess):
    """Ranks of two processes that run one after another; each sees the rows of those before it."""

    world_size = 2

    def __init__(self, rank, rows):
        super().__init__([mx.cpu()])
        self.rank, self.rows = rank, rows

    def sum(self, array):
        return np.asarray(array, np.float64)

    def gather(self, row):
        self.rows[self.rank] = row
        return np.array([self.rows.get(rank, np.zeros(len(row))) for rank in (0, 1)])


def test_two_processes_count_each_image_once():
    """Five scenes: three for one process, two for the other; whole numbers beyond float32's stay exact."""
    scenes, rows = Scenes(5), {}
    alone, _ = validate(Brighter(), scenes, 16, SingleProcess([mx.cpu()]))
    for rank in (0, 1):
        scores, kept = validate(Brighter(), scenes, 16, InTurn(rank, rows), keep=(0, 1, 4))
        assert sorted(kept) == ([0, 4], [1])[rank]
    assert scores == alone and sum(map(sum, rows.values())) == 5 * 16 * 16
    rows[0] = np.array([2.0**24 + 1, 0, 0, 0])
    with_many, _ = validate(Brighter(), scenes, 16, InTurn(1, rows))
    right = 2**24 + 1 + rows[1][0] + rows[1][3]
    assert with_many["pix_acc"] == right / (2**24 + 1 + rows[1].sum())


def scene(seed=0, size=(37, 29)):
    rng = np.random.default_rng(seed)
    return (Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)),
            Image.fromarray(rng.integers(0, 7, (size[1], size[0])).astype(np.int32)))


@pytest.mark.parametrize("size", [(37, 29), (29, 37), (30, 30)])
def test_crops_equal_gluoncvs(size):
    """The same draws of `random` give the same crops; only what pads a mask differs, -1 here and 0 there."""
    gluoncv = pytest.importorskip("gluoncv")
    theirs = gluoncv.data.segbase.SegmentationDataset(".", "train", "train", None, base_size=40, crop_size=24)
    for seed in range(6):
        image, mask = scene(seed, size)
        random.seed(seed)
        ours = training_crop(40, 24)(image, mask)
        random.seed(seed)
        other_image, other_mask = theirs._sync_transform(image, mask)
        np.testing.assert_array_equal(ours[0],
                                      normalised(Image.fromarray(other_image.asnumpy().astype(np.uint8))))
        np.testing.assert_array_equal(np.maximum(ours[1], 0), other_mask.asnumpy())
        ours, (other_image, other_mask) = validation_crop(24)(image, mask), theirs._val_sync_transform(image,
                                                                                                       mask)
        np.testing.assert_array_equal(shown(ours[0]), other_image.asnumpy())
        np.testing.assert_array_equal(ours[1], other_mask.asnumpy())


# --- rates --------------------------------------------------------------------------------------------------

def test_detection_rates():
    rate = detection_schedule(0.001, 0.1, [2, 4], updates_per_epoch=10, warmup_updates=5)
    assert rate(0) == pytest.approx(0.001 / 3) and rate(5) == rate(9) == 0.001
    assert rate(3) == pytest.approx(0.001 * (1 / 3 * (1 - 0.6) + 0.6))
    assert [rate(n) for n in (19, 20, 39, 40)] == pytest.approx([1e-3, 1e-4, 1e-4, 1e-5])
    assert detection_schedule(0.001, 0.1, [2], 10)(0) == 0.001                 # no warm-up


def test_segmentation_rates_are_gluoncvs():
    schedulers = pytest.importorskip("gluoncv.utils.lr_scheduler")
    theirs = schedulers.LRSequential([
        schedulers.LRScheduler("linear", base_lr=0, target_lr=0.01, nepochs=1, iters_per_epoch=7),
        schedulers.LRScheduler("poly", base_lr=0.01, target_lr=0, nepochs=4, iters_per_epoch=7, power=0.9)])
    ours = segmentation_schedule(0.01, 5, 7, warmup_epochs=1)
    np.testing.assert_allclose([ours(n) for n in range(35)], [theirs(n + 1) for n in range(35)], rtol=1e-9,
                               atol=1e-15)


# --- pictures -----------------------------------------------------------------------------------------------

def test_colours_differ():
    assert len({tuple(color) for color in palette(150)}) == 150
    assert spread(50, 6) == [0, 9, 19, 29, 39, 49] and spread(2, 6) == [0, 1]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    found = []
    monkeypatch.setattr(pictures, "save", lambda figure, path: found.append(figure))
    return found


def test_words_of_boxes_stay_inside_the_image_and_apart():
    rng, taken, shape = np.random.default_rng(3), [], (300, 400, 3)
    for _ in range(6):
        left, top = rng.uniform(-20, 380), rng.uniform(-20, 280)
        free_place((left, top, left + 40, top + 40), "aeroplane 97 %", shape, taken)
    for left, top, right, bottom in taken:
        assert 0 <= left < right <= 400 and 0 <= top < bottom <= 300
    same = []
    for _ in range(3):                           # three detections of one object: three places
        free_place((100, 100, 150, 150), "dog 97 %", shape, same)
    assert len(set(same)) == 3 and all(one[3] <= other[1] or other[3] <= one[1]
                                       for one in same for other in same if one != other)


@pytest.mark.parametrize("classes, words", [(["cell"], {"91 %"}), (["cell", "dog"], {"cell", "cell 91 %"})])
def test_a_sheet_of_boxes_has_heads_scores_in_percent_and_a_legend(drawn, classes, words):
    image = mx.nd.zeros((60, 80, 3), dtype="uint8")
    label = np.array([[10, 10, 30, 30, 0, 0]], float)
    found = [np.array([[0, 0.91, 12, 12, 28, 28], [0, 0.3, 1, 1, 9, 9]])]
    draw_boxes("boxes.png", [(image, label)], found, classes, "epoch 3: mAP 88.0 %")
    figure, = drawn
    assert {text.get_text() for axes in figure.axes for text in axes.texts} == words
    assert [axes.get_title() for axes in figure.axes[:2]] == ["labels", "detections from 50 %"]
    assert figure.get_suptitle() == "epoch 3: mAP 88.0 %"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cell"]


def test_a_sheet_of_masks_has_heads_classes_and_the_share_of_right_pixels(drawn):
    truth, answer = np.full((8, 8), -1), np.zeros((8, 8), int)
    truth[:, :4], answer[:2] = 0, 2              # of 32 labelled pixels 24 are right
    draw_masks("masks.png", [(np.zeros((8, 8, 3), np.uint8), truth, answer)], ["road", "sky", "traffic_light"],
               "epoch 3: mean IoU 50.0 %")
    figure, = drawn
    assert [axes.get_title() for axes in figure.axes] == ["image", "labels", "prediction"]
    assert figure.axes[2].get_xlabel() == "75.0 % of the pixels right"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no class", "road", "traffic light"]
