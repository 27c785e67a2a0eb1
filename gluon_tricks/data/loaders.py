"""The loader interface and this kit's own loader, `RecordLoader`.

What `RecordLoader` yields is a function of (seed, epoch). A run can therefore be resumed in the middle of an
epoch, and sees the same images on any number of workers or processes.

Every loader has `records`, `batches_per_epoch`, `batches_in(e)`, and `epoch(e, start)`, which yields
`Batch`es from batch `start` on. `resumes_anywhere` is whether `start` may be other than 0. MXNet's iterators
are in `mxnet_iterators`.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
from mxnet import nd

from gluon_tricks.data.encoded import Undecodable, decode
from gluon_tricks.errors import UserError
from gluon_tricks.randomness import epoch_order


class Batch(NamedTuple):
    """Images and labels of one update or evaluation step on one process."""
    data: nd.NDArray            # float32, shape (N, 3, H, W)
    label: nd.NDArray           # float32 class indices, shape (N,)
    positions: np.ndarray  # int64, shape (N,): the records' positions; None where MXNet does not give them


class ImagesInMemory:
    """All images of a split, decoded once; for data sets of some hundred megabytes.

    Images that do not decode are found before training begins.

    Parameters
    ----------
    reader : gluon_tricks.data.recordio.RecordReader
    labels : int array, shape (records,)
        Those of the manifest; a record with another label is an error.
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

        def read(position):
            label, encoded, _, _ = reader.read_image(position)
            try:
                image = decode(encoded, kind)
            except Undecodable as damage:
                return f"{reader.describe(position)}: {damage}"
            if image.shape[:2] != shape:
                found, wanted = (f"{width} x {height}" for height, width in (image.shape[:2], shape))
                return f"{reader.describe(position)}: {found} pixels, expected {wanted}"
            if np.ndim(label) or label != self.labels[position]:
                return f"{reader.describe(position)}: label {label}, manifest {self.labels[position]}"
            # OpenCV decodes to BGR
            self.pixels[position] = image[..., ::-1] if channels == 3 else image[..., None]
            return None

        with ThreadPoolExecutor(max(1, num_workers)) as pool:
            bad = [message for message in pool.map(read, range(len(reader)), chunksize=256) if message]
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

    Threads, not processes: decoding and numpy's bulk operations release the interpreter lock, nothing has to
    be copied between processes, and a killed run leaves nothing behind in /dev/shm.

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
        For images that do not fill a batch on every process. GluonCV discards them in training, where all
        processes must take equally many steps, and keeps them in evaluation.
    num_workers : int
        Threads; 0 prepares each batch when it is requested.
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
        if self.seed is None:
            return np.arange(start, stop)
        return epoch_order(self.seed, epoch, self.records)[start:stop]

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
    def _finish(data, labels, positions):  # in the caller's thread: MXNet arrays are made by one thread only
        # No copy of the images if they are contiguous
        return Batch(nd.from_numpy(np.ascontiguousarray(data)), nd.array(labels), positions)
