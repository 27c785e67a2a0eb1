"""Records that MXNet's iterator reads wrongly are refused before it is opened, and only those."""

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import recordio
from small_records import png, random_images, write_rec
from test_recordio import edit, write

from gluon_tricks.data.mxnet_iterators import CifarRecordIter, ImageNetRecordIter
from gluon_tricks.data.mxnet_limits import check_readable
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.errors import UserError

SIZE = 16
IMAGE = random_images(1, 20)[0]


def encoded(kind, image=IMAGE):
    return cv2.imencode(kind, image[..., ::-1])[1].tobytes()


def open_iterator(reader, train, **options):
    return ImageNetRecordIter(reader.path, reader.idx_path, 2, train, SIZE, mean=(0, 0, 0), std=(1, 1, 1),
                              num_workers=1, protocol="exact", **options)


def ramp(height, width):
    """An image whose grey rises evenly to the right and down: so does any crop of it."""
    y, x = np.mgrid[:height, :width]
    return np.repeat((100 * x / width + 100 * y / height + 20).round().astype(np.uint8)[..., None], 3, axis=2)


def unevenness(image):
    """The largest distance in grey levels of a channel from a plane."""
    y, x = np.mgrid[:SIZE, :SIZE]
    ones = np.stack([np.ones(SIZE * SIZE), x.ravel(), y.ravel()], axis=1)
    plane = np.linalg.lstsq(ones, image.ravel(), rcond=None)[0]
    return np.abs(ones @ plane - image.ravel()).max()


def test_only_random_crops_of_images_as_large_as_the_crop_are_garbage(tmp_path):
    """MXNet's own iterator, on images with neither, one or both sides equal to the crop's."""
    shapes = [(SIZE, SIZE), (SIZE, 24), (24, SIZE), (24, 24), (8, SIZE)]
    reader = write_rec(tmp_path, [png(ramp(*shape)) for shape in shapes], range(len(shapes)))
    common = dict(path_imgrec=str(reader.path), path_imgidx=str(reader.idx_path), batch_size=len(shapes),
                  data_shape=(3, SIZE, SIZE), preprocess_threads=1, verbose=False, device_id=-1)
    train = mx.io.ImageRecordIter(**common, random_resized_crop=True, max_aspect_ratio=4 / 3,
                                  min_aspect_ratio=3 / 4, max_random_area=1, min_random_area=0.08)
    worst = np.zeros(len(shapes))
    for _ in range(30):
        train.reset()
        worst = np.maximum(worst, [unevenness(image[0]) for image in train.next().data[0].asnumpy()])
    assert worst[0] > 20 and worst[1:].max() < 10
    val = mx.io.ImageRecordIter(**common, resize=SIZE)
    assert max(unevenness(image[0]) for image in val.next().data[0].asnumpy()) < 10


def test_images_as_large_as_the_crop_are_refused_in_training_only(tmp_path):
    images = [png(random_images(1, size)[0]) for size in (20, SIZE, 20, SIZE)]
    reader = write_rec(tmp_path, images, range(4))
    with pytest.raises(UserError, match=r"train.rec, key 1, offset \d+: has 16 x 16 pixels, as the crop \(2 such "
                                        r"records\): .*garbage.*; use --data-backend ours"):
        open_iterator(reader, True)
    assert len(next(open_iterator(reader, False).epoch(0)).data) == 2


def test_other_sizes_are_read(tmp_path):
    images = [png(np.zeros((*shape, 3), np.uint8)) for shape in ((SIZE, 20), (20, SIZE), (5, 1), (20, 20))]
    reader = write_rec(tmp_path, images, range(4))
    for train in (True, False):
        assert sum(len(batch.data) for batch in open_iterator(reader, train).epoch(0)) == 4


def test_images_whose_crop_would_be_empty_are_refused_in_training(tmp_path):
    reader = write_rec(tmp_path, [png(IMAGE), png(np.zeros((2, 2, 3), np.uint8))], [0, 1])
    with pytest.raises(UserError, match="key 1, .*: has 4 pixels, too few"):
        check_readable(reader, crop=SIZE)
    check_readable(reader)


JPEG = encoded(".jpg")


@pytest.mark.parametrize("bad, says", [
    (b"not a JPEG", "does not decode"), (b"", "does not decode"), (JPEG[:30], "does not decode"),
    (JPEG[:-200], "does not decode"), (encoded(".png")[:200], "does not decode"),
    (encoded(".webp"), "is WebP.*reads JPEG, PNG, BMP, TIFF"), (encoded(".jp2", random_images(1, 40)[0]), "is JPEG 2000"),
    (encoded(".ppm"), "is another format"),
])
@pytest.mark.parametrize("train", [True, False])
def test_a_record_that_mxnet_cannot_decode_is_named_before_its_iterator_is_opened(tmp_path, bad, says, train):
    reader = write_rec(tmp_path, [JPEG, bad, JPEG], range(3))
    with pytest.raises(UserError, match=rf"train.rec, key 1, offset \d+: .*{says}.*--data-backend ours"):
        open_iterator(reader, train)


def test_every_format_of_mxnets_decoder_is_let_through(tmp_path):
    reader = write_rec(tmp_path, [encoded(kind) for kind in (".jpg", ".png", ".bmp", ".tiff")], range(4))
    for train in (True, False):
        assert sum(len(batch.data) for batch in open_iterator(reader, train).epoch(0)) == 4


def test_several_labels_are_refused_with_their_number(tmp_path):
    payload = recordio.pack(recordio.IRHeader(0, [1.0, 2.0], 0, 0), png(IMAGE))
    with pytest.raises(UserError, match="key 0, offset 0: has 2 labels"):
        check_readable(RecordReader(write(tmp_path, {0: payload})))


@pytest.mark.parametrize("lines", [[0, 2], [0, 1, 1, 2]])
def test_an_index_of_other_records_than_the_files_is_refused(tmp_path, lines):
    reader = write_rec(tmp_path, [png(IMAGE)] * 3, range(3))
    reader.idx_path.write_text("".join(f"{key}\t{reader.offsets[at]}\n" for key, at in enumerate(lines)))
    with pytest.raises(UserError, match="does not list every record of .*train.rec once.*records .* --index"):
        check_readable(RecordReader(reader.path))


def test_a_damaged_place_is_refused(tmp_path):
    reader = write_rec(tmp_path, [png(IMAGE)] * 3, range(3))
    edit(reader.path, int(reader.offsets[1]), b"\0")
    with pytest.raises(UserError, match="train.rec"):
        check_readable(RecordReader(reader.path))


def test_cifar_images_of_another_size_are_refused(tmp_path):
    reader = write_rec(tmp_path, [png(image) for image in random_images(4, 32)] + [png(IMAGE)], range(5))
    with pytest.raises(UserError, match="images of 20 to 32 x 20 to 32 pixels, expected 32 x 32"):
        CifarRecordIter(reader.path, 2, train=True)
