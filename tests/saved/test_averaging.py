"""Test-time averaging: the formula and the crops written again, the same numbers from `predict` and `evaluate`,
refusals."""

import csv
import json

import cv2
import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.commands import evaluate, predict
from gluon_tricks.data.imagenet_augment import ImagenetTestTransform, center_crop, five_crops, resize_short
from gluon_tricks.errors import UserError
from gluon_tricks.models.registry import get_model
from gluon_tricks.saved import load_net
from gluon_tricks.saved.averaging import AveragedNet, check_views
from gluon_tricks.saved.record import NetFacts
from tests.saved_nets import softmax, write_params

NAMES = ["ant", "bee", "cow"]
FACTS = NetFacts("cifar_resnet20_v1", {}, 3, NAMES, "imagenet", 32, 3, "center", 0.8, (100.0, 110.0, 90.0),
                 (50.0, 60.0, 70.0))


def picture(seed, height, width):
    small = np.random.default_rng(seed).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for label, name in enumerate(NAMES):
        (folder / name).mkdir()
        for number in range(3):
            image = picture(10 * label + number, 50 + 7 * number, 91 - 9 * number)
            cv2.imwrite(str(folder / name / f"{number}.png"), image)
    return folder


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    return write_params(tmp_path_factory.mktemp("params") / "net.params", FACTS)


# --- Formula ------------------------------------------------------------------------------------------------

def test_the_answer_is_the_mean_of_the_views_probabilities_not_of_their_outputs():
    """f(x) = (10, 0) if the image is brighter on its left, else (0, 4): the mean output is (5, 2), but the mean
    probability of class 0 is (1 + 1/(1 + e^4)) / 2."""
    def net(images):
        left = images[:, 0, 0, 0] > images[:, 0, 0, 1]
        return nd.stack(10 * left, 4 * (1 - left), axis=1)

    got = AveragedNet(net)(nd.array([[[[1, 0]]]])).exp().asnumpy()
    expected = (softmax(np.array([[10.0, 0.0]])) + softmax(np.array([[0.0, 4.0]]))) / 2
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_classes_too_unlikely_for_float32_keep_their_order():
    got = AveragedNet(lambda images: nd.array([[0, -200, -300]]))(nd.zeros((1, 3, 2, 2))).asnumpy()
    np.testing.assert_allclose(got, [[0, -200, -300]], rtol=1e-6)


@pytest.mark.parametrize("height, width", [(256, 256), (256, 400), (301, 256)])
def test_the_crops_are_corners_and_centre_of_the_central_square(height, width):
    image = np.arange(height * width, dtype=np.int64).reshape(height, width, 1)
    row, column = (height - 256) // 2, (width - 256) // 2
    square = image[row:row + 256, column:column + 256]
    got = five_crops(image, 224, 256)
    expected = [square[:224, :224], square[:224, -224:], square[-224:, :224], square[-224:, -224:],
                center_crop(image, 224)]
    assert len(got) == 5 and all((one == other).all() for one, other in zip(got, expected))


# --- Both commands ------------------------------------------------------------------------------------------

def views_of(image, tta):
    """The views of one photograph, cut here by plain slices: 40 = 32 / 0.8 is the resized shorter side."""
    large = resize_short(image, 40)
    top, left = ((edge - 40) // 2 for edge in large.shape[:2])
    corners = [(top + 8 * i, left + 8 * j) for i in (0, 1) for j in (0, 1)] if tta == "10crop" else []
    middle = (large.shape[0] - 32) // 2, (large.shape[1] - 32) // 2
    crops = [large[y:y + 32, x:x + 32] for y, x in [*corners, middle]]
    pixels = np.stack([view for crop in crops for view in (crop, crop[:, ::-1])]).astype(np.float64)
    return ((pixels - FACTS.rgb_mean) / FACTS.rgb_std).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("tta", ["flip", "10crop"])
def test_predict_evaluate_and_load_net_give_the_mean_over_the_views(tta, params, photos, tmp_path, capsys):
    net = get_model("cifar_resnet20_v1", classes=3)
    net.load_parameters(str(params))
    files = sorted(photos.rglob("*.png"))
    expected, plain = {}, {}
    for file in files:
        rows = softmax(net(nd.array(views_of(cv2.imread(str(file))[..., ::-1], tta))).asnumpy().astype(np.float64))
        expected[str(file)], plain[str(file)] = rows.mean(axis=0), rows[-2]
    assert max(np.abs(expected[name] - plain[name]).max() for name in expected) > 0.01

    flags = ["--params-file", str(params), "--tta", tta, "--batch-size", "4", "-j", "0", "--json",
             str(tmp_path / "answers.json")]
    assert predict.main([str(photos), *flags]) == 0
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert answers["tta"] == tta
    for one in answers["answers"]:
        probabilities = {answer["label"]: answer["probability"] for answer in one["answers"]}
        assert [probabilities[label] for label in range(3)] == pytest.approx(expected[one["image"]], abs=1e-6)

    with_report = ["--report", str(tmp_path / "report")] * (tta == "10crop")       # its pictures take seconds
    assert evaluate.main(["--data-dir", str(photos), *with_report, *flags]) == 0
    views = {"flip": 2, "10crop": 10}[tta]
    assert f"--tta {tta}: mean probabilities of {views} views of each image" in capsys.readouterr().out
    right = sum(f"/{NAMES[row.argmax()]}/" in name for name, row in expected.items())
    assert json.loads((tmp_path / "answers.json").read_text())["top1"]["correct"] == right
    lines = (tmp_path / "report" / "predictions.csv").read_text().splitlines() if with_report else []
    for line in csv.DictReader(lines):
        row = expected[str(photos / line["image"])]
        assert line["answer"] == NAMES[row.argmax()]
        assert float(line["probability"]) == pytest.approx(row.max(), abs=2e-6)
        assert float(line["of_truth"]) == pytest.approx(row[NAMES.index(line["truth"])], abs=2e-6)

    [(name, probability)] = load_net(params, tta=tta).predict(files[0], top=1)
    assert NAMES.index(name) == expected[str(files[0])].argmax()
    assert probability == pytest.approx(expected[str(files[0])].max(), abs=1e-6)


def test_five_crops_of_small_images_are_those_of_the_larger_transform():
    image = picture(0, 50, 91)
    got = ImagenetTestTransform(32, 0.8, FACTS.rgb_mean, FACTS.rgb_std, all_crops=True)([image], None, 0)
    np.testing.assert_allclose(got[0], views_of(image, "10crop")[::2], atol=1e-5)


# --- Refusals -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("tta, changes, says", [
    ("20crop", {}, "--tta 20crop: is neither flip nor 10crop"),
    ("10crop", {"crop_ratio": 1.0}, "--tta 10crop: with --crop-ratio 1 images of 32 pixels are shown whole"),
    ("10crop", {"crop": "efficientnet"}, "--tta 10crop: .* the law efficientnet, which has no corners"),
    ("flip", {"dataset": "mnist"}, "--tta flip: a mirrored image of mnist shows something else")])
def test_views_that_images_do_not_have_are_refused(tta, changes, says):
    with pytest.raises(UserError, match=says):
        check_views(tta, FACTS._replace(**changes))


@pytest.mark.parametrize("flags, says", [
    (["--rec-val", "a.rec", "--data-backend", "mxnet"], "--tta 10crop: needs --data-backend ours"),
    (["--dataset", "cifar10-excerpt", "--crop-ratio", "0.8"], "--crop-ratio 0.8: images of cifar10-excerpt")])
def test_evaluate_refuses_what_its_reader_cannot_do(flags, says):
    with pytest.raises(UserError, match=says):
        evaluate.parse_args(["--model", "cifar_resnet20_v1", "--tta", "10crop", *flags])


def test_a_grey_net_gets_one_channel_of_every_crop(tmp_path):
    facts = NetFacts("cifar_preact20", {"in_channels": 1}, 3, NAMES, "fashion-mnist", 28, 1, "center", 0.7, (73.0,),
                     (90.0,))
    params = write_params(tmp_path / "net.params", facts)
    image = picture(2, 40, 40)[..., :1].repeat(3, axis=2)                # 28 / 0.7 = 40: not resized
    crops = [image[y:y + 28, x:x + 28, 0] for y, x in ((0, 0), (0, 12), (12, 0), (12, 12), (6, 6))]
    views = (np.stack([view for crop in crops for view in (crop, crop[:, ::-1])]).astype(np.float32) - 73) / 90
    net = get_model("cifar_preact20", classes=3, in_channels=1)
    net.load_parameters(str(params))
    expected = softmax(net(nd.array(views[:, None])).asnumpy().astype(np.float64)).mean(axis=0)
    found = dict(load_net(params, tta="10crop").predict(image))
    assert [found[name] for name in NAMES] == pytest.approx(expected, abs=1e-5)
