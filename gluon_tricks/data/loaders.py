"""Batches for training and evaluation.

`RecordLoader` is this project's own: what it yields is a function of (seed, epoch), so a run can be resumed in the middle
of an epoch and sees the same images on any number of workers or processes. `MXNetLoader` wraps `ImageRecordIter`, the
path that made the published ImageNet logs, unchanged, with its unpredictable augmentation.

Both have `records`, `batches_per_epoch`, `batches_in(e)`, and `epoch(e, start)` that yields `Batch`es from batch `start` on.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_tricks.data.augment import CIFAR_MEAN, CIFAR_STD, PAD
from gluon_tricks.errors import UserError
from gluon_tricks.randomness import epoch_order

CIFAR_BACKENDS = ("ours", "mxnet")


class Batch(NamedTuple):
    """Images and labels of one update or evaluation step on one process."""
    data: nd.NDArray            # float32, shape (N, 3, H, W)
    label: nd.NDArray           # float32 class indices, shape (N,)
    positions: np.ndarray       # int64, shape (N,): which records these are; None where MXNet does not say


class ImagesInMemory:
    """All images of a split, decoded once; right for data sets of some hundred megabytes.

    Decoding everything at the start also finds every image that does not decode, before training begins.

    Parameters
    ----------
    reader : gluon_tricks.data.recordio.RecordReader
    labels : int array, shape (records,)
        As the manifest has them; a record that says otherwise is an error.
    shape : (int, int)
        Height and width in pixels that every image must have.
    num_workers : int
        Decoding threads.
    channels : 3 or 1
        Colour or grey.
    """

    def __init__(self, reader, labels, shape=(32, 32), num_workers=2, channels=3):
        self.labels = np.asarray(labels)
        self.pixels = np.empty((len(reader), *shape, channels), np.uint8)
        kind = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE

        def decode(position):
            label, encoded, _, _ = reader.read_image(position)
            image = cv2.imdecode(np.frombuffer(encoded, np.uint8), kind) if encoded else None
            if image is None:
                return f"{reader.describe(position)}: the image does not decode"
            if image.shape[:2] != shape:
                found, wanted = (f"{width} x {height}" for height, width in (image.shape[:2], shape))
                return f"{reader.describe(position)}: {found} pixels, expected {wanted}"
            if np.ndim(label) or label != self.labels[position]:
                return f"{reader.describe(position)}: label {label}, manifest {self.labels[position]}"
            self.pixels[position] = image[..., ::-1] if channels == 3 else image[..., None]       # OpenCV decodes to BGR
            return None

        with ThreadPoolExecutor(max(1, num_workers)) as pool:
            bad = [message for message in pool.map(decode, range(len(reader)), chunksize=256) if message]
        if bad:
            raise UserError(f"{bad[0]} ({len(bad)} bad records in all); prepare the data again")

    def __len__(self):
        return len(self.labels)

    def read(self, positions):
        """uint8 images, shape (N, H, W, C), RGB where there are colours, and their labels, shape (N,)."""
        return self.pixels[positions], self.labels[positions]


class EqualEpochs:
    """A loader whose epochs all have `batches_per_epoch` batches."""

    def batches_in(self, epoch):
        """Batches of that epoch on this process."""
        return self.batches_per_epoch


class RecordLoader(EqualEpochs):
    """Batches prepared ahead by worker threads, in a fixed order.

    Threads, not processes: decoding and numpy's bulk operations release the interpreter lock, nothing has to be copied
    between processes, and a killed run leaves nothing behind in /dev/shm.

    Parameters
    ----------
    images : object with `__len__` and `read(positions)`
    transform : callable
        `(uint8 images, positions, epoch) -> float32 data`.
    batch_size : int
        Images per batch on this process.
    seed : int or None
        Decides the order of an epoch; None keeps the records' order.
    last_batch : "discard" or "keep"
        What becomes of images that do not fill a batch on every process. GluonCV discards them in training, where all
        processes must take equally many steps, and keeps them in evaluation.
    num_workers : int
        Threads; 0 prepares each batch when it is asked for.
    rank, world_size : int
        This process takes batches rank, rank + world_size, ... of the epoch's one order.
    """

    PREFETCH_PER_WORKER = 2
    resumes_anywhere = True

    def __init__(self, images, transform, batch_size, seed=None, last_batch="discard", num_workers=2,
                 rank=0, world_size=1):
        if last_batch not in ("discard", "keep"):
            raise ValueError(f"last_batch must be 'discard' or 'keep', got {last_batch!r}")
        self.images, self.transform, self.batch_size = images, transform, batch_size
        self.seed, self.num_workers, self.rank, self.world_size = seed, num_workers, rank, world_size
        self.records = len(images)
        whole, rest = divmod(self.records, batch_size * world_size)
        self.batches_per_epoch = whole + (last_batch == "keep" and rest > rank * batch_size)
        self._pool = ThreadPoolExecutor(num_workers, "loader") if num_workers else None

    def positions(self, epoch, batch):
        """Records of this process's batch number `batch` in an epoch, shape (at most batch_size,)."""
        start = (batch * self.world_size + self.rank) * self.batch_size
        stop = min(start + self.batch_size, self.records)
        return np.arange(start, stop) if self.seed is None else epoch_order(self.seed, epoch, self.records)[start:stop]

    def epoch(self, epoch, start=0):
        """Batches `start`, `start` + 1, ... of an epoch."""
        if self._pool is None:
            for batch in range(start, self.batches_per_epoch):
                yield self._finish(*self._prepare(epoch, batch))
            return
        pending, batches = deque(), iter(range(start, self.batches_per_epoch))
        try:
            for _ in range(self.num_workers * self.PREFETCH_PER_WORKER):
                self._submit(pending, epoch, batches)
            while pending:
                prepared = pending.popleft().result()
                self._submit(pending, epoch, batches)
                yield self._finish(*prepared)
        finally:
            for future in pending:
                future.cancel()

    def _submit(self, pending, epoch, batches):
        batch = next(batches, None)
        if batch is not None:
            pending.append(self._pool.submit(self._prepare, epoch, batch))

    def _prepare(self, epoch, batch):
        positions = self.positions(epoch, batch)
        images, labels = self.images.read(positions)
        return self.transform(images, positions, epoch), labels, positions

    @staticmethod
    def _finish(data, labels, positions):        # in the caller's thread: MXNet arrays are made by one thread only
        # The images change hands without a copy, if they lie in memory as MXNet wants them
        return Batch(nd.from_numpy(np.ascontiguousarray(data)), nd.array(labels), positions)


class MXNetLoader(EqualEpochs):
    """`ImageRecordIter` as the original recipes use it, for CIFAR-sized records.

    Order depends on `seed`; crops and flips come from generators of MXNet's decoding threads that ignore it and start
    afresh in every process, so a resumed run is not bit-equal and can only go on at the start of an epoch.

    Parameters
    ----------
    rec_path : path
        The index lies beside it.
    records : int
        Number of records in it; MXNet does not say.
    train : bool
        Pad, crop, mirror and shuffle; whole batches only. Otherwise every record once, in order.
    rank, world_size : int
        This process has the `Shard` of that number, in every epoch.
    """

    resumes_anywhere = False

    def __init__(self, rec_path, records, batch_size, train, seed=0, num_workers=2, shape=(3, 32, 32), rank=0, world_size=1):
        self.records, self.batch_size, self.train = records, batch_size, train
        self.shard = Shard(records, rank, world_size)
        self.batches_per_epoch = self.shard.batches_per_epoch(batch_size, train)
        mean, std = ([255 * x for x in values] for values in (CIFAR_MEAN, CIFAR_STD))
        augmentation = dict(rand_crop=True, rand_mirror=True, pad=PAD, fill_value=0, shuffle=True) if train else {}
        self._iter = mx.io.ImageRecordIter(
            path_imgrec=str(rec_path), path_imgidx=str(rec_path.with_suffix(".idx")), data_shape=shape,
            batch_size=batch_size, preprocess_threads=max(1, num_workers), seed=seed, verbose=False, device_id=-1,
            num_parts=world_size, part_index=rank,
            # MXNet fills the last batch up from the front and starts the next pass behind that. Training keeps it so:
            # a pass then never runs out before the last whole batch. Evaluation wants every record once.
            round_batch=train,
            **dict(zip(("mean_r", "mean_g", "mean_b"), mean)), **dict(zip(("std_r", "std_g", "std_b"), std)),
            **augmentation)

    def epoch(self, epoch, start=0):
        """The batches of the iterator's next pass; `epoch` is not looked at."""
        if start:
            raise UserError(f"--data-backend mxnet: MXNet's iterator cannot go on at batch {start} of an epoch; "
                            f"resume at an epoch's start, or use --data-backend ours")
        self._iter.reset()
        for number in range(self.batches_per_epoch):
            batch = next_around(self._iter) if self.train else self._iter.next()
            start, stop = number * self.batch_size, (number + 1) * self.batch_size
            positions = None if self.train else self.shard.positions(start, stop)
            valid = self.batch_size if self.train else len(positions)      # batch.pad cannot be trusted
            # copies: the iterator reuses its buffers
            yield Batch(batch.data[0][:valid].copy(), batch.label[0][:valid].copy(), positions)


def next_around(iterator):
    """The next batch; after the last one the first of another pass, for a short shard must take as many steps as others."""
    try:
        return iterator.next()
    except StopIteration:
        iterator.reset()
        return iterator.next()


class Shard:
    """The contiguous block of records that MXNet's iterators read with `num_parts=world_size, part_index=rank`.

    It never changes, so a process sees the same images in every epoch; the last block may be short.
    """

    def __init__(self, records, rank, world_size):
        block = -(-records // world_size)
        self.start = min(rank * block, records)
        self.stop = min(self.start + block, records)
        self._records, self._world_size = records, world_size
        if self.start == self.stop:
            raise UserError(f"--data-backend mxnet: {records} records are too few for {world_size} processes; use "
                            f"--data-backend ours, or fewer processes")

    def __len__(self):
        return self.stop - self.start

    def batches_per_epoch(self, batch_size, train):
        """Whole batches, equally many on every process; or as many as this block needs."""
        return self._records // (batch_size * self._world_size) if train else -(-len(self) // batch_size)

    def positions(self, start, stop):
        """Positions in the file of records `start` to `stop` of the block: int64, shape (at most stop - start,)."""
        return np.arange(self.start + start, min(self.start + stop, self.stop))
