"""Batches of photographs: the same for any number of workers and from any start; bad records by their policy.
"""

import gc
import random

import cv2
import mxnet as mx
import numpy as np
import pytest
from small_records import write_rec

from gluon_tricks.data.imagenet_augment import ImagenetTestTransform, ImagenetTrainTransform
from gluon_tricks.data.images import LEFT_OUT, BatchMemory, FolderImages, PhotographLoader, RecordImages
from gluon_tricks.errors import UserError

COUNT, BAD = 14, 5


def jpegs(seed=0):
    """JPEGs of various sizes, some smaller than a crop."""
    rng = np.random.default_rng(seed)
    for _ in range(COUNT):
        height, width = rng.integers(20, 120, 2)
        noise = rng.integers(0, 256, (height, width, 3), np.uint8)
        yield cv2.imencode(".jpg", cv2.GaussianBlur(noise, (0, 0), 2))[1].tobytes()


@pytest.fixture(scope="module")
def rec(tmp_path_factory):
    return write_rec(tmp_path_factory.mktemp("rec"), jpegs(), np.arange(COUNT) % 4).path


@pytest.fixture(scope="module")
def bad_rec(tmp_path_factory):
    encoded = [b"no JPEG" if key == BAD else image for key, image in enumerate(jpegs())]
    return write_rec(tmp_path_factory.mktemp("bad"), encoded, np.arange(COUNT)).path


def loader_of(rec, train=True, num_workers=0, on_bad_record="fail", **options):
    transform = ImagenetTrainTransform(3, 32, **options) if train else ImagenetTestTransform(32)
    return PhotographLoader(RecordImages(rec, on_bad_record), transform, 4, 3 if train else None,
                            "discard" if train else "keep", num_workers)


def arrays_of(batches):
    return [(batch.data.asnumpy(), batch.label.asnumpy(), batch.positions) for batch in batches]


def assert_same(got, expected):
    assert len(got) == len(expected)
    for one, other in zip(got, expected):
        for a, b in zip(one, other):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", [{}, {"law": "folder"}, {"law": "paper", "colors": "paper"}], ids=str)
@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_batches_do_not_depend_on_workers_or_on_where_the_epoch_began(rec, num_workers, options):
    whole = arrays_of(loader_of(rec, **options).epoch(7))
    assert [data.shape for data, _, _ in whole] == 3 * [(4, 3, 32, 32)]
    assert_same(arrays_of(loader_of(rec, num_workers=num_workers, **options).epoch(7)), whole)
    for start in (1, 2, 3):
        assert_same(arrays_of(loader_of(rec, num_workers=num_workers, **options).epoch(7, start)),
                    whole[start:])


def test_an_image_does_not_depend_on_its_batch_or_the_number_of_records(rec):
    """What happens to record i in epoch e follows from (seed, e, i)."""
    seen = {int(p): image for data, _, positions in arrays_of(loader_of(rec).epoch(2)) for p,
            image in zip(positions, data)}
    transform, images = ImagenetTrainTransform(3, 32), RecordImages(rec)
    for position, image in seen.items():
        [pixels], _ = images.read([position])
        np.testing.assert_array_equal(transform([pixels], [position], 2)[0], image)
    other = {int(p): image for data, _, positions in arrays_of(loader_of(rec).epoch(3)) for p,
             image in zip(positions, data)}
    assert all((seen[p] != other[p]).any() for p in seen.keys() & other.keys())


def test_validation_has_every_image_once_in_order(rec):
    batches = arrays_of(loader_of(rec, train=False, num_workers=2).epoch(0))
    assert [len(data) for data, _, _ in batches] == [4, 4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([label for _, label, _ in batches]), np.arange(COUNT) % 4)
    expected = ImagenetTestTransform(32)(RecordImages(rec).read(range(COUNT))[0], None, 0)
    np.testing.assert_array_equal(np.concatenate([data for data, _, _ in batches]), expected)


def test_folders_give_what_records_give(rec, tmp_path):
    for key, image in enumerate(jpegs()):
        (tmp_path / f"class{key % 4}").mkdir(exist_ok=True)
        (tmp_path / f"class{key % 4}" / f"{key:02}.jpg").write_bytes(image)
    images = FolderImages(tmp_path)
    order = [int(path.stem) for path, _ in images.files]
    pixels, labels = images.read(range(COUNT))
    expected, expected_labels = RecordImages(rec).read(order)
    assert all((a == b).all() for a,
               b in zip(pixels, expected)) and labels.tolist() == expected_labels.tolist()


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_bad_photograph_ends_the_run_is_replaced_or_left_out(bad_rec, num_workers):
    with pytest.raises(UserError, match=r"train.rec, key 5, offset \d+: the image does not decode; prepare "
                                        r"the data again, or give --on-bad-record skip"):
        list(loader_of(bad_rec, train=False, num_workers=num_workers).epoch(0))
    for policy, label in (("skip", BAD + 1), ("leave out", LEFT_OUT)):
        loader = loader_of(bad_rec, train=False, num_workers=num_workers, on_bad_record=policy)
        labels = np.concatenate([batch.label.asnumpy() for batch in loader.epoch(0)])
        assert labels[BAD] == label and np.delete(labels, BAD).tolist() == np.delete(np.arange(COUNT),
                                                                                     BAD).tolist()
        assert list(loader.images.bad) == [BAD]


def test_a_batch_owns_its_images(rec):
    """MXNet gets them without a copy; they stay when everything else has gone and other batches were made."""
    def first():
        batches = loader_of(rec, num_workers=2).epoch(0)
        batch = next(batches)
        return batch.data, batch.data.asnumpy().copy()

    data, expected = first()
    gc.collect()
    assert len(arrays_of(loader_of(rec, num_workers=2).epoch(1))) == 3
    np.testing.assert_array_equal(data.asnumpy(), expected)
    data[:] = 0                                                 # and nobody else's
    np.testing.assert_array_equal(first()[1], expected)


def test_memory_is_used_again_but_never_while_a_batch_is_held(rec):
    """Some batches are held for a while, whole or as a part: none changes in the meantime."""
    loader, held, chance = loader_of(rec, num_workers=2), [], random.Random(0)
    expected = {epoch: arrays_of(loader_of(rec).epoch(epoch)) for epoch in range(20)}
    for epoch in range(20):
        for number, batch in enumerate(loader.epoch(epoch)):
            held.append((batch.data[1:3], expected[epoch][number][0][1:3]))
            chance.shuffle(held)
            for data, wanted in held:
                np.testing.assert_array_equal(data.asnumpy(), wanted)
            del held[4:]
    del batch, data
    held.clear()
    mx.nd.waitall()
    gc.collect()
    assert 0 < len(loader._memory._spare) < 15              # of 60 batches


def test_a_short_batch_takes_part_of_spare_memory_and_a_long_one_new():
    memory = BatchMemory()
    first = memory.array((4, 3))
    address = first.ctypes.data
    del first
    short = memory.array((2, 3))
    assert short.shape == (2, 3) and short.ctypes.data == address
    assert memory.array((4, 3)).ctypes.data != address
    del short
    assert memory.array((9, 9)).shape == (9, 9)
