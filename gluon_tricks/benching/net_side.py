"""One side of `bench net` in MXNet: training steps of a net on one synthetic batch, in its own process.

    python -m gluon_tricks.benching.net_side --side ours --model cifar_resnet20_v1 --updates 2 < /dev/null

A step is what the training scripts do with a batch: forward, loss, backward and the update. Side `ours` is
built by the functions of the scripts; side `gluoncv` has GluonCV's net, hybridized and trained as in
GluonCV's scripts.
"""

import argparse
import json
from dataclasses import dataclass

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import mxnet as mx
from mxnet import autograd, gluon, nd

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.launching.worker import serve
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.ready import make_ready, start_precision
from gluon_tricks.models.registry import get_model


@dataclass(frozen=True)
class Job:
    """What a side trains; the flags of the same names."""
    dtype: str
    amx: bool
    model: str
    classes: int
    batch_size: int
    input_size: int
    keywords: dict
    use_gn: bool
    updates: int

    @property
    def channels(self):
        """Channels of the images; nets for grey ones are made with `in_channels`."""
        return self.keywords.get("in_channels", 3)


def main():
    side, job = parse_args()
    start_precision(job.dtype, job.amx)              # only "ours" gets another type than float32
    net, trainer = {"ours": ours, "gluoncv": theirs}[side](job)
    criterion = gluon.loss.SoftmaxCrossEntropyLoss()
    data = nd.random.uniform(-1, 1, shape=(job.batch_size, job.channels, job.input_size, job.input_size))
    label = nd.floor(nd.random.uniform(0, job.classes, shape=job.batch_size))

    def work():
        for _ in range(job.updates):
            with autograd.record():
                loss = criterion(net(data).astype("float32", copy=False), label)
            loss.backward()
            trainer.step(job.batch_size)
        mx.nd.waitall()
        return job.updates * job.batch_size

    learned = sum(param.data().size for param in net.collect_params().values() if param.grad_req != "null")
    serve(work, parameters=learned, version=mx.__version__)


def ours(job):
    """Net and trainer as train_cifar.py and train_imagenet.py make them with --mode hybrid."""
    engine, norm = SingleProcess([mx.cpu()]), {"norm_layer": GroupNorm} if job.use_gn else {}
    net = get_model(job.model, classes=job.classes, **job.keywords, **norm)
    net.initialize(mx.init.Xavier())
    make_ready(net, job.input_size, job.dtype, "hybrid", engine, job.channels, f"--model {job.model}")
    return net, engine.trainer(net, nag())


def theirs(job):
    """The same as GluonCV's scripts make them: the CIFAR ones with plain `hybridize()`."""
    from gluoncv.model_zoo import get_model as gluoncv_model

    net = gluoncv_model(job.model, classes=job.classes)
    net.initialize(mx.init.Xavier())
    static = not job.model.startswith("cifar_")
    net.hybridize(static_alloc=static, static_shape=static)
    net(nd.zeros((1, 3, job.input_size, job.input_size)))
    return net, gluon.Trainer(net.collect_params(), nag())


def nag():
    return mx.optimizer.NAG(learning_rate=0.1, momentum=0.9, wd=1e-4)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=("ours", "gluoncv"), required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--amx", action="store_true", help="in bfloat16")
    parser.add_argument("--model", default="cifar_resnet20_v1")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--input-size", type=int, default=32)
    parser.add_argument("--keywords", type=json.loads, default={},
                        help="further arguments of our net, as JSON")
    parser.add_argument("--use-gn", action="store_true", help="GroupNorm in our net")
    parser.add_argument("--updates", type=int, default=10, help="per turn")
    flags = vars(parser.parse_args())
    return flags.pop("side"), Job(**flags)


if __name__ == "__main__":
    main()
