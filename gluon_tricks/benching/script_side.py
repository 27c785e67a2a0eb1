"""One side of `bench script`, in its own process: a turn is an epoch of CIFAR training with its validation.

    python -m gluon_tricks.benching.script_side --side gluoncv --images 2000 --val-images 500 < /dev/null

Side `ours` uses train_cifar.py's builders and loop. Side `gluoncv` uses GluonCV's objects as its
train_cifar10.py does:
Gluon's DataLoader over the images in memory with worker processes, GluonCV's transforms for each image, the
metric and the loss read after each batch. Both start from the same weights. `ours-io` loads the images and
trains nothing; `ours-net` trains on one batch again and again.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import mxnet as mx
from mxnet import autograd, gluon

from gluon_tricks.data.augment import CIFAR_MEAN, CIFAR_STD, CifarTestTransform, CifarTrainTransform
from gluon_tricks.data.cifar import find_cifar, open_cifar
from gluon_tricks.data.loaders import RecordLoader
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.launching.worker import serve
from gluon_tricks.script import cifar as build
from gluon_tricks.script.auto_dtype import as_asked
from gluon_tricks.script.load import load_script
from gluon_tricks.script.targets import training_targets
from gluon_tricks.training.evaluation import evaluate
from gluon_tricks.training.loop import train_epoch
from gluon_tricks.training.progress import Progress


@dataclass(frozen=True)
class Job:
    """What a side trains; the flags of the same names."""
    model: str
    dtype: str
    data_dir: str            # None: the embedded excerpt
    images: int
    val_images: int
    batch_size: int
    lr: float
    num_workers: int


def main():
    side, job = parse_args()
    epoch, batches = SIDES[side](job)
    history = []

    def work():
        history.append(epoch(len(history)))
        return batches * job.batch_size

    serve(work, lambda: {"history": history[-1]})


class Share:
    """The first images of a split in memory."""

    def __init__(self, images, count, flag):
        if count > len(images):
            raise UserError(f"{flag} {count}: there are {len(images)}; --data-dir can name a larger data set")
        self.pixels, self.labels = images.pixels[:count], images.labels[:count]

    def __len__(self):
        return len(self.labels)

    def read(self, positions):
        return self.pixels[positions], self.labels[positions]


def images_of(job):
    """Training and test images: `Share`s of a prepared data set, or of the excerpt."""
    prepared = find_cifar("cifar10" if job.data_dir else "cifar10-excerpt", job.data_dir)
    data = open_cifar(prepared, "ours", job.batch_size, 0, 2)
    return (Share(data.train.images, job.images, "--images"),
            Share(data.val.images, job.val_images, "--val-images"))


# --- this kit -----------------------------------------------------------------------------------------------

def ours(job, trains=True, loads=True):
    """`epoch(number) -> figures` of train_cifar.py's loop, and the number of batches of an epoch."""
    train_images, val_images = images_of(job)
    train = RecordLoader(train_images, CifarTrainTransform(0, len(train_images)), job.batch_size, 0,
                         num_workers=job.num_workers)
    val = RecordLoader(val_images, CifarTestTransform(), job.batch_size, None, "keep", job.num_workers)
    if not trains:
        return lambda number: walk(train, val, number), train.batches_per_epoch
    engine, progress = SingleProcess([mx.cpu()]), Progress()
    flags = flags_of(job)
    net = build.build_net(flags, 10, as_asked(flags), engine)
    trainer = engine.trainer(net, build.optimizer(flags, flags.dtype))
    targets, loss, metric = training_targets(flags, 10, flags.dtype, None)
    if not loads:
        train, val = Again(train), Again(val)

    def epoch(number):
        train_epoch(net, train, targets, loss, metric, trainer, lambda num_update: job.lr, engine, progress,
                    lambda meter: None)
        figures = {"accuracy": progress.train_metric,
                   "val_accuracy": evaluate(net, val, engine, job.dtype)[0]}
        progress.next_epoch()
        return figures

    return epoch, train.batches_per_epoch


def flags_of(job):
    """The flags of train_cifar.py."""
    return load_script("train_cifar.py").parse_args(["--model", job.model, "--mode", "hybrid", "--batch-size",
                                                     str(job.batch_size), "--lr", str(job.lr), "--dtype",
                                                     job.dtype])


class Again:
    """A loader that prepares its first batch only, and yields it as often as there are batches."""

    def __init__(self, loader):
        self._batch = next(iter(loader.epoch(0)))
        self.records, self.batch_size = loader.records, loader.batch_size
        self.batches_per_epoch = loader.batches_per_epoch

    def epoch(self, epoch, start=0):
        for _ in range(self.batches_per_epoch):
            yield self._batch


def walk(train, val, number):
    """Prepare all batches of an epoch."""
    for loader, epoch in ((train, number), (val, 0)):
        for batch in loader.epoch(epoch):
            batch.data.wait_to_read()
    return {}


# --- GluonCV's way ------------------------------------------------------------------------------------------

def theirs(job):
    """The same with GluonCV's net, transforms and way of counting."""
    from gluoncv.data import transforms as gluoncv_transforms
    from gluoncv.model_zoo import get_model
    from mxnet.gluon.data.vision import transforms

    normalized = [transforms.ToTensor(), transforms.Normalize(CIFAR_MEAN, CIFAR_STD)]
    augmented = [gluoncv_transforms.RandomCrop(32, pad=4), transforms.RandomFlipLeftRight(), *normalized]
    train, val = (loader(images, transforms.Compose(steps), job.batch_size, job.num_workers, train)
                  for images, steps, train in zip(images_of(job), (augmented, normalized), (True, False)))
    net = get_model(job.model, classes=10)
    with tempfile.TemporaryDirectory() as scratch:
        drawn = Path(scratch, "drawn.params")
        flags = flags_of(job)
        build.build_net(flags, 10, as_asked(flags), SingleProcess([mx.cpu()])).save_parameters(str(drawn))
        net.load_parameters(str(drawn), ctx=mx.cpu())
    net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), "nag",
                            {"learning_rate": job.lr, "wd": 1e-4, "momentum": 0.9})
    criterion, metric = gluon.loss.SoftmaxCrossEntropyLoss(), mx.metric.Accuracy()

    def epoch(number):
        metric.reset()
        total = 0.0
        for batch in train:
            images, labels = (gluon.utils.split_and_load(part, [mx.cpu()], batch_axis=0) for part in batch)
            with autograd.record():
                outputs = [net(data) for data in images]
                losses = [criterion(output, label) for output, label in zip(outputs, labels)]
            for one in losses:
                one.backward()
            trainer.step(job.batch_size)
            total += sum(one.sum().asscalar() for one in losses)
            metric.update(labels, outputs)
        right = mx.metric.Accuracy()
        for batch in val:
            images, labels = (gluon.utils.split_and_load(part, [mx.cpu()], batch_axis=0,
                                                         even_split=False) for part in batch)
            right.update(labels, [net(data) for data in images])
        return {"accuracy": metric.get()[1], "val_accuracy": right.get()[1]}

    return epoch, job.images // job.batch_size


def loader(images, transform, batch_size, num_workers, train):
    """Gluon's DataLoader over images in memory."""
    data = gluon.data.ArrayDataset(mx.nd.array(images.pixels, dtype="uint8"), images.labels.astype(np.int32))
    return gluon.data.DataLoader(data.transform_first(transform), batch_size=batch_size, shuffle=train,
                                 last_batch="discard" if train else "keep", num_workers=num_workers)


SIDES = {
    "ours": ours,
    "ours-io": lambda job: ours(job, trains=False),
    "ours-net": lambda job: ours(job, loads=False),
    "gluoncv": theirs,
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("--model", default="cifar_resnet20_v1")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--data-dir")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--val-images", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--num-workers", type=int, default=2)
    flags = vars(parser.parse_args())
    return flags.pop("side"), Job(**flags)


if __name__ == "__main__":
    main()
