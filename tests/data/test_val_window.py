"""The sliding window of MXNet's record iterator: by a walk over the file, by MXNet itself, and in every
published log.
"""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_tricks.data.mxnet_iterators import ImageNetRecordIter
from gluon_tricks.data.recordio import write_image_records
from gluon_tricks.data.val_window import (
    batches_before,
    sample_counts,
    samples_in_pass,
    val_window,
)
from gluon_tricks.errors import UserError
from gluon_tricks.published.catalogue import VAL_IMAGES, catalogue, curve

SYNTHETIC = "resnet152_v1d"                # its validation errors are the straight line (120 - epoch) / 120
IMAGENET = [name for name, run in catalogue().items() if run.script == "train_imagenet.py"]


def is_counted_over(error, samples):
    """Whether `error`, a fraction with six decimals, is a whole number of wrong answers among `samples`.

    GluonCV prints 1 - accuracy, so the candidate is computed in the same way: the seventh decimal may be a
    tie.
    """
    right = round((1 - error) * samples)
    return 0 <= right <= samples and f"{1 - right / samples:.6f}" == f"{error:.6f}"


def positions_by_walking(passes, images, batch_size):
    """Positions of each pass: take whole batches until the file's end is reached, borrow the missing from its
    start.
    """
    stream, place, found = itertools.cycle(range(images)), 0, []
    for _ in range(passes):
        seen = []
        while place < images:
            seen += itertools.islice(stream, batch_size)
            place += batch_size
        found.append(seen)
        place -= images                    # what was borrowed is not seen again
    return found


@given(st.integers(1, 200), st.integers(1, 200))
def test_passes_are_those_of_a_walk_over_the_file(images, batch_size):
    walked = positions_by_walking(9, images, batch_size)
    for number, positions in enumerate(walked, start=1):
        assert val_window(number, images, batch_size).tolist() == positions
        assert samples_in_pass(number, images, batch_size) == len(positions) in sample_counts(images,
                                                                                              batch_size)
        assert batch_size * batches_before(number, images, batch_size) == sum(map(len, walked[:number]))


def test_imagenet_in_batches_of_1024():
    # 50,000 / 1024 = 48.83 batches a pass; after so many passes 48.8, 97.7, 146.5, 195.3, 244.1, 293.0, 341.8
    # batches, rounded up 49, 98, 147, 196, 245, 293, 342
    assert sample_counts(50_000, 1024) == [50_176, 49_152]
    assert [samples_in_pass(number, 50_000, 1024) // 1024 for number in range(1, 8)] == [49, 49, 49, 49, 49,
                                                                                         48, 49]


@pytest.fixture(scope="module")
def ten_images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ten")
    image = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    list(write_image_records(folder / "val.rec", folder / "val.idx",
                             ((key, key, 0, image) for key in range(10))))
    return folder


@pytest.mark.parametrize("batch_size", [1, 3, 4, 7, 9, 10])
def test_passes_are_those_of_mxnets_iterator(ten_images, batch_size, caplog):
    loader = ImageNetRecordIter(ten_images / "val.rec", ten_images / "val.idx", batch_size, False, 8,
                                mean=(0, 0, 0), std=(1, 1, 1), num_workers=1)
    seen = [np.concatenate([batch.label.asnumpy() for batch in loader.epoch(epoch)]) for epoch in range(5)]
    assert [len(labels) for labels in seen] == [samples_in_pass(number, 10, batch_size)
                                                for number in range(1, 6)]
    # nothing is left out
    np.testing.assert_array_equal(np.concatenate(seen), np.arange(sum(map(len, seen))) % 10)
    assert "validation pass" not in caplog.text


def test_a_validation_set_smaller_than_a_batch_is_refused(ten_images):
    # 10 images in batches of 15: ceil(30 / 15) - ceil(20 / 15) = 0 batches in pass 3, so an accuracy of 0 / 0
    assert samples_in_pass(3, 10, 15) == 0
    with pytest.raises(UserError,
                       match="10 validation images, less than a batch of 15.*--val-protocol exact"):
        ImageNetRecordIter(ten_images / "val.rec", ten_images / "val.idx", 15, False, 8, mean=(0, 0, 0),
                           std=(1, 1, 1))


def counted(name, samples_of):
    """How many of a run's printed errors, top-1 and top-5, are whole numbers of images; and how many there
    are.
    """
    errors = [(record.epoch, error) for record in curve(name)
              for error in (record.val_err_top1, record.val_err_top5)
              if error is not None]
    return sum(is_counted_over(error, samples_of(epoch)) for epoch, error in errors), len(errors)


def window_of(name):
    batch_size = catalogue()[name].global_batch_size
    return lambda epoch: samples_in_pass(epoch + 1, VAL_IMAGES["imagenet"], batch_size)


def test_every_published_imagenet_error_is_a_whole_number_of_the_windows_images():
    counts = {name: counted(name, window_of(name)) for name in IMAGENET}
    right = {name for name, (whole, errors) in counts.items() if whole == errors}
    assert len(IMAGENET) == 52 and right == set(IMAGENET) - {SYNTHETIC}
    assert sum(errors for name, (_, errors) in counts.items() if name != SYNTHETIC) == 15_960  # two an epoch


def test_the_log_of_synthetic_errors_is_recognised():
    whole, errors = counted(SYNTHETIC, window_of(SYNTHETIC))
    assert errors == 240 and whole < errors / 3
    assert "synthetic-validation" in catalogue()[SYNTHETIC].flags


def test_without_the_window_published_errors_are_no_whole_numbers_of_images():
    """The rule is a real one: were it 50,000 images an epoch, next to no error would fit."""
    whole, errors = map(sum, zip(*(counted(name, lambda epoch: 50_000) for name in IMAGENET
                                   if name != SYNTHETIC)))
    assert whole < errors / 10


def test_one_pass_late_no_window_fits():
    late = {name: counted(name, lambda epoch, name=name: window_of(name)(epoch + 1)) for name in IMAGENET}
    assert not any(whole == errors for whole, errors in late.values())


@pytest.mark.parametrize("name", [name for name, run in catalogue().items()
                                  if run.script != "train_imagenet.py"])
def test_the_other_scripts_count_every_image_once(name):
    """CIFAR: 10,000; train_horovod.py: the mean of 8 workers with 6,250 images each."""
    whole, errors = counted(name, lambda epoch: VAL_IMAGES[catalogue()[name].dataset])
    assert whole == errors > 0
