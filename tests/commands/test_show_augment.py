"""`show-augment`: rows of every augmentation, through train_cifar.py's functions."""

import cv2
import numpy as np
import pytest

from gluon_tricks.commands import show_augment
from gluon_tricks.data.cifar import find_cifar, open_cifar
from gluon_tricks.errors import UserError
from gluon_tricks.tricks.mixing import KINDS
from tests.lab_runs import write_data


@pytest.fixture(scope="module")
def data():
    return open_cifar(find_cifar("cifar10-excerpt"), "ours", 1, 0, 1)


def rows(data, *names):
    args = show_augment.parse_args([])
    positions = show_augment.one_of_each_class(data.train.images.labels, 8)
    return [show_augment.row(name, data, positions, args) for name in names]


@pytest.mark.parametrize("name", show_augment.NAMES)
def test_weights_under_each_image_sum_to_1(data, name):
    (_, images, targets), = rows(data, name)
    assert images.shape == (8, 32, 64 if name == "dual-cutout" else 32,
                            3) and 0 <= images.min() <= images.max() <= 1
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
    assert ((targets > 0).sum(axis=1) > 1).any() == (name in KINDS)


def test_the_plain_row_is_the_images_themselves(data):
    (_, images, targets), = rows(data, "plain")
    positions = show_augment.one_of_each_class(data.train.images.labels, 8)
    np.testing.assert_allclose(images, data.train.images.pixels[positions] / 255, atol=1e-6)
    assert targets.argmax(axis=1).tolist() == list(range(8))


def test_a_sheet_is_written(tmp_path, capsys):
    assert show_augment.main(["--only", "plain,cutmix", "--images", "3", "--out",
                              str(tmp_path / "sheet.png")]) == 0
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None and np.ptp(sheet) == 255
    assert "2 rows of 3 images" in capsys.readouterr().out


def test_grey_images_have_a_sheet_without_colours(tmp_path, capsys):
    data = write_data(tmp_path / "data", "mnist", train=20)
    flags = ["--dataset", "mnist", "--data-dir", str(data), "--images", "2", "--out",
             str(tmp_path / "sheet.png")]
    assert show_augment.main(flags) == 0
    assert f"{len(show_augment.NAMES) - 1} rows of 2 images" in capsys.readouterr().out
    with pytest.raises(UserError, match="--augment follow-up: changes colours, and images of mnist are grey"):
        show_augment.main([*flags, "--only", "follow-up"])


@pytest.mark.parametrize("flags, says", [(["--only", "blur"], "--only blur: there are plain"),
                                         (["--images", "0"], "--images 0"),
                                         (["--alpha", "0"], "must be at least 0.001")])
def test_what_cannot_be_is_said(flags, says):
    with pytest.raises(UserError, match=says):
        show_augment.parse_args(flags)
