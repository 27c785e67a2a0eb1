"""Batches: the same for any number of workers, from any start, over any number of processes."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_records import png, random_images, write_rec

from gluon_tricks.data.augment import CifarTestTransform, CifarTrainTransform
from gluon_tricks.data.loaders import ImagesInMemory, RecordLoader
from gluon_tricks.data.manifest import open_split, read_manifest
from gluon_tricks.data.mxnet_iterators import CifarRecordIter
from gluon_tricks.data.paths import EXCERPT_DIR
from gluon_tricks.errors import UserError
from gluon_tricks.randomness import epoch_order


class Images:
    """`records` images of 6 x 6 pixels; counts how often it is read."""

    def __init__(self, records):
        self.pixels, self.labels, self.reads = random_images(records, size=6), np.arange(records) % 10, 0

    def __len__(self):
        return len(self.labels)

    def read(self, positions):
        self.reads += 1
        return self.pixels[positions], self.labels[positions]


def loader_of(records, batch_size, seed=0, **options):
    return RecordLoader(Images(records), CifarTrainTransform(seed or 0, records), batch_size, seed, **options)


def arrays_of(batches):
    return [(batch.data.asnumpy(), batch.label.asnumpy(), batch.positions) for batch in batches]


def assert_same(batches, expected):
    assert len(batches) == len(expected)
    for found, wanted in zip(batches, expected):
        for array, wanted_array in zip(found, wanted):
            np.testing.assert_array_equal(array, wanted_array)


sizes = dict(records=st.integers(1, 40), batch_size=st.integers(1, 9),
             last_batch=st.sampled_from(["discard", "keep"]))


# --- RecordLoader -------------------------------------------------------------------------------------------

@settings(max_examples=25, deadline=None)
@given(**sizes, epoch=st.integers(0, 100), num_workers=st.sampled_from([1, 2, 4]))
def test_batches_do_not_depend_on_the_number_of_workers(records, batch_size, last_batch, epoch, num_workers):
    threaded = loader_of(records, batch_size, last_batch=last_batch, num_workers=num_workers)
    plain = loader_of(records, batch_size, last_batch=last_batch, num_workers=0)
    assert_same(arrays_of(threaded.epoch(epoch)), arrays_of(plain.epoch(epoch)))


@settings(max_examples=25, deadline=None)
@given(**sizes, data=st.data(), epoch=st.integers(0, 100), num_workers=st.sampled_from([0, 2]))
def test_an_epoch_goes_on_at_any_batch_as_if_never_interrupted(records, batch_size, last_batch, data, epoch,
                                                               num_workers):
    whole = loader_of(records, batch_size, last_batch=last_batch, num_workers=num_workers)
    start = data.draw(st.integers(0, whole.batches_per_epoch))
    resumed = loader_of(records, batch_size, last_batch=last_batch, num_workers=num_workers)
    assert_same(arrays_of(resumed.epoch(epoch, start)), arrays_of(whole.epoch(epoch))[start:])


@settings(max_examples=50, deadline=None)
@given(**sizes, seed=st.sampled_from([None, 0, 5]), epoch=st.integers(0, 100), world_size=st.integers(1, 3))
def test_processes_share_one_order(records, batch_size, last_batch, seed, epoch, world_size):
    loaders = [loader_of(records, batch_size, seed, last_batch=last_batch, num_workers=0, rank=rank,
                         world_size=world_size)
               for rank in range(world_size)]
    taken = [[batch.positions for batch in loader.epoch(epoch)] for loader in loaders]
    assert [len(batches) for batches in taken] == [loader.batches_per_epoch for loader in loaders]
    in_turn = [batches[step] for step in range(len(taken[0])) for batches in taken if step < len(batches)]

    order = np.arange(records) if seed is None else epoch_order(seed, epoch, records)
    global_batch = batch_size * world_size
    visited = records // global_batch * global_batch if last_batch == "discard" else records
    np.testing.assert_array_equal(np.concatenate([[], *in_turn]), order[:visited])
    if last_batch == "discard":
        # no process waits for another's step
        assert {len(batches) for batches in taken} == {records // global_batch}
    assert all(len(positions) for positions in in_turn)  # and nobody computes on nothing


@pytest.mark.parametrize("last_batch, expected", [("discard", [4, 4]), ("keep", [4, 4, 2])])
def test_what_does_not_fill_a_batch_is_discarded_or_kept(last_batch, expected):
    loader = loader_of(10, 4, last_batch=last_batch)
    assert [batch.data.shape[0] for batch in loader.epoch(0)] == expected
    assert loader.batches_per_epoch == len(expected)


def test_another_word_for_the_last_batch_is_refused():
    with pytest.raises(ValueError, match="last_batch must be 'discard' or 'keep', got 'rollover'"):
        loader_of(10, 4, last_batch="rollover")


def test_a_batch_holds_the_images_and_labels_of_its_positions():
    images = Images(10)
    for batch in RecordLoader(images, CifarTestTransform(), 3, seed=1).epoch(2):
        np.testing.assert_array_equal(batch.data.asnumpy(),
                                      CifarTestTransform()(images.pixels[batch.positions], None, None))
        np.testing.assert_array_equal(batch.label.asnumpy(), images.labels[batch.positions])
        assert batch.data.dtype == batch.label.dtype == np.float32


def within(seconds, work):
    """What `work()` returns, if it does so in time."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"hangs for more than {seconds} s"
    return results[0]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_can_be_left_early_and_the_next_is_whole(num_workers):
    loader = loader_of(400, 4, num_workers=num_workers)

    def leave_early():
        batches = loader.epoch(0)
        next(batches)
        batches.close()
        return loader.images.reads

    ahead = num_workers * RecordLoader.PREFETCH_PER_WORKER
    assert within(20, leave_early) <= 1 + ahead
    assert within(20, lambda: len(list(loader.epoch(1)))) == 100


def test_an_error_in_a_worker_reaches_the_loop():
    def broken(images, positions, epoch):
        raise RuntimeError("no such transform")

    loader = RecordLoader(Images(10), broken, 2, num_workers=2)
    with pytest.raises(RuntimeError, match="no such transform"):
        list(loader.epoch(0))


# --- ImagesInMemory -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_images_in_memory_are_the_pixels_that_were_written(tmp_path, num_workers):
    pixels, labels = random_images(7), np.arange(7)
    images = ImagesInMemory(write_rec(tmp_path, map(png, pixels), labels), labels, num_workers=num_workers)
    positions = np.array([5, 0, 5])
    got, got_labels = images.read(positions)
    np.testing.assert_array_equal(got, pixels[positions])
    np.testing.assert_array_equal(got_labels, labels[positions])


def spoil(encoded, labels, what):
    """Alter the third of some encoded images and their labels; what the message then says."""
    if what == "no image":
        encoded[2] = b"no image"
        return "the image does not decode"
    if what == "empty":
        encoded[2] = b""
        return "the image does not decode (empty)"
    if what == "size":
        encoded[2] = png(np.zeros((20, 24, 3), np.uint8))
        return "24 x 20 pixels, expected 32 x 32"
    labels[2] = 9
    return "label 9.0, manifest 2"


@pytest.mark.parametrize("what", ["no image", "empty", "size", "label"])
def test_a_bad_record_is_named_and_counted(tmp_path, what):
    encoded, labels = [png(image) for image in random_images(5)], list(range(5))
    expected = spoil(encoded, labels, what)
    encoded[4] = b"no image either"
    reader = write_rec(tmp_path, encoded, labels)
    with pytest.raises(UserError) as raised:
        ImagesInMemory(reader, np.arange(5))
    assert str(raised.value) == (f"{tmp_path}/train.rec, key 2, offset {reader.offsets[2]}: {expected} "
                                 f"(2 bad records in all); prepare the data again")


# --- CifarRecordIter ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def excerpt():
    """{split: (reader, labels)} of the excerpt of CIFAR-10 that comes with the package"""
    manifest = read_manifest(EXCERPT_DIR)
    return {name: open_split(EXCERPT_DIR, name, manifest) for name in ("train", "test")}


def mxnet_loader(excerpt, split, batch_size, **options):
    reader, _ = excerpt[split]
    return CifarRecordIter(reader.path, batch_size, train=split == "train", **options)


@pytest.mark.parametrize("batch_size", [100, 128, 512])
def test_mxnets_iterator_validates_on_our_pixels_each_once_in_every_pass(excerpt, batch_size):
    ours = list(RecordLoader(ImagesInMemory(*excerpt["test"]), CifarTestTransform(), batch_size, None,
                             "keep").epoch(0))
    loader = mxnet_loader(excerpt, "test", batch_size)
    for epoch in range(3):
        theirs = list(loader.epoch(epoch))
        assert len(theirs) == len(ours) == loader.batches_per_epoch
        for batch, expected in zip(theirs, ours):
            np.testing.assert_allclose(batch.data.asnumpy(), expected.data.asnumpy(), rtol=0, atol=1e-5)
            np.testing.assert_array_equal(batch.label.asnumpy(), expected.label.asnumpy())


@pytest.mark.parametrize("batch_size", [128, 300])
def test_mxnets_iterator_trains_on_whole_batches_only(excerpt, batch_size):
    loader = mxnet_loader(excerpt, "train", batch_size)
    for epoch in range(3):
        assert [batch.data.shape for batch in loader.epoch(epoch)] == 2000 // batch_size * [(batch_size, 3,
                                                                                             32, 32)]


def test_mxnets_iterator_crops_mirrors_and_shuffles_in_training(excerpt):
    reader, labels = excerpt["train"]
    first, second = (list(mxnet_loader(excerpt, "train", 500, seed=seed).epoch(0)) for seed in (1, 2))
    for batches in (first, second):
        assert np.bincount(np.concatenate([b.label.asnumpy()
                                           for b in batches]).astype(int)).tolist() == [200] * 10
    assert (first[0].label.asnumpy() != labels[:500]).any()
    assert (first[0].label.asnumpy() != second[0].label.asnumpy()).any()
    black = CifarTestTransform()(np.zeros((1, 32, 32, 3), np.uint8), None, None)
    # a border of four rows
    assert (np.abs(first[0].data.asnumpy() - black)[:, :, :4].max(axis=(1, 2, 3)) < 1e-5).any()


def test_mxnets_iterator_cannot_go_on_within_an_epoch(excerpt):
    with pytest.raises(UserError,
                       match=r"--data-backend mxnet: .* at batch 3 of an epoch; .* use --data-backend ours"):
        next(mxnet_loader(excerpt, "train", 500).epoch(0, start=3))


def test_mxnets_iterator_can_be_left_early(excerpt):
    loader = mxnet_loader(excerpt, "train", 100)

    def leave_early():
        batches = loader.epoch(0)
        next(batches)
        batches.close()
        return len(list(loader.epoch(1)))

    assert within(60, leave_early) == 20
