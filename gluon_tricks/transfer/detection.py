"""Detection: training batches, detections on the validation set, and their average precision."""

import mxnet as mx
import numpy as np

from gluon_tricks.parameters import settle_weights
from gluon_tricks.randomness import generator
from gluon_tricks.training.progress import Stop
from gluon_tricks.transfer.loader import EpochLoader, Seeded, parts


def training_loader(dataset, net, batch_size, engine, seed, num_workers, mixed_epochs=0):
    """An `EpochLoader` with GluonCV's training transform and target generator.

    Parameters
    ----------
    dataset : VocDetection
    net : FasterRCNN
        Initialised; gives the anchors.
    batch_size : int
        Images per update on this process.
    mixed_epochs : int
        Number of first epochs in which images are mixed half and half.
    """
    from gluoncv.data.mixup.detection import MixupDetection

    from gluon_tricks.transfer.targets import train_transform

    transform = train_transform(net)
    mixed = MixupDetection(dataset, np.random.uniform, 0.5, 0.5) if mixed_epochs else None
    return EpochLoader(Seeded(dataset, transform, seed, mixed, mixed_epochs), Collate(net, len(engine.ctx)),
                       batch_size,
                       engine.ctx, num_workers, engine.rank, engine.world_size)


class Collate:
    """Callable: list of samples -> one tuple of padded arrays for each device.

    Loader processes unpickle it.
    """

    def __init__(self, net, devices):
        from gluoncv.data.batchify import FasterRCNNTrainBatchify

        self.devices, self.batchify = devices, FasterRCNNTrainBatchify(net, 1)

    def __call__(self, samples):
        shares = [self.batchify(samples[part]) for part in parts(len(samples), self.devices)]
        return [(images, labels, *(shards[0] for shards in targets)) for images, labels, *targets in shares]


def detections(net, dataset, engine, keep_going=lambda: True):
    """Yield `(position, found)` for each image of this process.

    `found` is float32, shape (D, 6): class, score, and corners in pixels of the original image.

    Raises
    ------
    Stop
        If a process was asked to stop.
    """
    from gluoncv.data.transforms.presets.rcnn import FasterRCNNDefaultValTransform

    transform, own = FasterRCNNDefaultValTransform(net.short, net.max_size), range(engine.rank, len(dataset),
                                                                                   engine.world_size)
    for turn in range(-(-len(dataset) // engine.world_size)):
        engine.beat("computing")
        if turn < len(own):
            position = own[turn]
            image, _, scale = transform(*dataset[position])
            image = image.expand_dims(0).as_in_context(engine.ctx[turn % len(engine.ctx)])
            ids, scores, boxes = (array[0].asnumpy() for array in net(image))
            height, width = image.shape[2:]
            boxes = np.stack([boxes[:, i].clip(0, (width, height)[i % 2] - 1) for i in range(4)], axis=1)
            found = np.concatenate([ids, scores, boxes * scale.asscalar()], axis=1)
            yield position, found[ids[:, 0] >= 0]
        if engine.sum([not keep_going()])[0]:
            raise Stop
    settle_weights(net)


def shared(found, images, engine):
    """The detections of all processes: a list with one array of shape (D, 6) for each image."""
    found = dict(found)
    if engine.world_size > 1:
        counts = np.zeros(images)
        counts[list(found)] = [len(rows) for rows in found.values()]
        counts = engine.sum(counts).astype(int)
        ends, flat = counts.cumsum(), np.zeros((counts.sum(), 6))
        for position, rows in found.items():
            flat[ends[position] - counts[position]:ends[position]] = rows
        if len(flat):                                      # MXNet sums no empty arrays
            flat = engine.sum(flat)
        found = {i: flat[ends[i] - counts[i]:ends[i]] for i in range(images)}
    return [found[i] for i in range(images)]


def mean_average_precision(found, dataset, iou=0.5):
    """Average precision per class by both of VOC's rules; difficult objects are ignored.

    Parameters
    ----------
    found : list of array, shape (D, 6)
    dataset : VocDetection

    Returns
    -------
    (names, values) twice : list of str, list of float
        By eleven points (VOC 2007, as in the paper and the published logs) and by area. The last name is mAP.
        The value of a class without objects is nan, and the mean omits it.
    """
    from gluoncv.utils.metrics.voc_detection import VOC07MApMetric, VOCMApMetric

    results = []
    for metric in (VOC07MApMetric, VOCMApMetric):
        metric = metric(iou_thresh=iou, class_names=dataset.classes)
        for position, rows in enumerate(found):
            label = dataset.label(position)
            if len(rows) or len(label):
                metric.update(*(array[None]
                                for array in (rows[:, 2:6], rows[:, 0:1], rows[:, 1:2], label[:, :4],
                                                          label[:, 4:5], label[:, 5:6])))
        results.append(metric.get())
    return results


class Synthetic:
    """Bright rectangles on noise, for runs without data: images of 160 x 160 pixels with two objects each."""

    classes, root_hash, SIDE = ("rectangle",), "synthetic", 160

    def __init__(self, images, seed=0):
        self.images, self.seed = images, seed

    def __len__(self):
        return self.images

    def label(self, position):
        rng = generator(self.seed, position)
        corner, size = rng.integers(10, 90, (2, 2)), rng.integers(24, 60, (2, 2))
        return np.hstack([corner, corner + size, np.zeros((2, 2))]).astype(np.float64)

    def __getitem__(self, position):
        label = self.label(position)
        image = generator(self.seed, position, 1).integers(0, 120, (self.SIDE, self.SIDE, 3)).astype(np.uint8)
        for left, top, right, bottom in label[:, :4].astype(int):
            image[top:bottom, left:right] = 220
        return mx.nd.array(image, dtype="uint8"), label
