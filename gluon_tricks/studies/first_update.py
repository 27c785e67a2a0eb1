"""The first update of a small training, for what a flag changes: by train_imagenet.py's own builders.

resnet18_v1b on 16 images of the embedded CIFAR-10 excerpt, scaled to 64 px.
"""

import functools

import numpy as np

from gluon_tricks.data.paths import EXCERPT_DIR
from gluon_tricks.engines.create import create_engine
from gluon_tricks.script import imagenet as build
from gluon_tricks.script.auto_dtype import as_asked
from gluon_tricks.script.imagenet_data import open_data
from gluon_tricks.script.load import load_script
from gluon_tricks.script.targets import training_targets
from gluon_tricks.script.teacher import build_teacher
from gluon_tricks.training.loop import train_epoch
from gluon_tricks.training.progress import Progress
from gluon_tricks.tricks.low_precision import create_loss_scale

MODEL, BATCH_SIZE = "resnet18_v1b", 16


@functools.cache
def first_update(words, folder):
    """`(loss, rate, change of the weights)` of a run's first update.

    Parameters
    ----------
    words : tuple of str
        Further flags of train_imagenet.py; in one of them, TEACHER stands for the file of a teacher's
        parameters.
    folder : Path
        For that file, which is written when it is needed first.
    """
    script, teacher = load_script("train_imagenet.py"), folder / "teacher.params"
    paths = [word for part, name in (("train", "train"), ("val", "test"))
             for word in (f"--rec-{part}", EXCERPT_DIR / f"{name}.rec", f"--rec-{part}-idx",
                          EXCERPT_DIR / f"{name}.idx")]
    flags = ["--model", MODEL, "--mode", "hybrid", "--use-rec", *paths, "--data-backend", "ours",
             "--input-size", 64, "--batch-size", BATCH_SIZE, "--num-training-samples", 2000, "--auto-lr",
             "--num-epochs", 120, *(word.replace("TEACHER", str(teacher)) for word in words)]
    args = script.parse_args([*map(str, flags)])
    engine = create_engine(0)
    data, precision = open_data(args, engine), as_asked(args)
    if args.teacher and not teacher.exists():
        other = script.parse_args(["--model", MODEL, "--classes", "10", "--seed", "1"])
        build.build_net(other, 10, as_asked(other), engine).save_parameters(str(teacher))
    net = build.build_net(args, data.classes, precision, engine)
    trainer = engine.trainer(net, build.nag(args, args.dtype))
    make_teacher = functools.partial(build_teacher, args, build.net_facts(args, data), precision, engine)
    targets, loss, metric = training_targets(args, data.classes, args.dtype, make_teacher)
    before, progress = _weights(net), Progress()
    train_epoch(net, _FirstBatch(data.train), targets, loss, metric, trainer, build.learning_rate(args),
                engine, progress, lambda meter: None, args.seed, create_loss_scale(args.loss_scale))
    return progress.loss_sum / BATCH_SIZE, trainer.learning_rate, _weights(net) - before


class _FirstBatch:
    """A loader's first batch as an epoch."""

    def __init__(self, loader):
        self.loader, self.batch_size = loader, loader.batch_size

    def epoch(self, epoch, start):
        batches = self.loader.epoch(epoch, start)
        yield next(batches)
        batches.close()


def _weights(net):
    """All trained parameters as one vector."""
    params = net._collect_params_with_prefix()
    return np.concatenate([params[name].data().asnumpy().ravel() for name in sorted(params)
                           if params[name].grad_req != "null"]).astype(np.float64)
