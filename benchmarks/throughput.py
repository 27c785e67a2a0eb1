"""Images per second of train_cifar.py's loop, image loading included, beside the bare net's on one synthetic
batch.

    python benchmarks/throughput.py                             # cifar_resnet20_v1, batch 128, the excerpt
    python benchmarks/throughput.py --data-dir ~/.mxnet/datasets/cifar10/rec --rounds 5
    python benchmarks/throughput.py --gluoncv                   # also GluonCV's net as its script runs it

Both sides train in turn in one process, `--updates` updates each, `--rounds` times; the ratio is taken round
by round, so that it holds when the machine's speed drifts. The loop is `gluon_tricks.training.train_epoch`
with everything it does (augmentation, loss and accuracy); the bare net does forward, backward and the
optimizer's step, nothing else.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gluon_tricks  # noqa: F401  before mxnet: prepares the process

# isort: split
import mxnet as mx
from mxnet import autograd, gluon, nd

from gluon_tricks.data.cifar import find_cifar, open_cifar
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.machine import environment
from gluon_tricks.models.registry import get_model
from gluon_tricks.training.loop import accuracy, train_epoch
from gluon_tricks.training.progress import Progress, Stop


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cifar_resnet20_v1")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--data-dir", help="a prepared CIFAR-10; default: the embedded excerpt")
    parser.add_argument("--num-workers", "-j", type=int, default=2)
    parser.add_argument("--updates", type=int, default=60, help="per side and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gluoncv", action="store_true", help="also GluonCV's net, hybridized as its script "
                                                               "does")
    args = parser.parse_args()
    data = open_cifar(find_cifar("cifar10" if args.data_dir else "cifar10-excerpt", args.data_dir), "ours",
                      args.batch_size,
                      0, args.num_workers)
    sides = {"train_cifar.py's loop": loop(args, data),
             "bare net": bare(get_model(args.model), args, static=True)}
    if args.gluoncv:
        from gluoncv.model_zoo import get_model as gluoncv_model
        sides["bare GluonCV net"] = bare(gluoncv_model(args.model), args, static=False)
    for side in sides.values():
        side(5)                        # warm-up
    rates = {name: [] for name in sides}
    for _ in range(args.rounds):
        for name, side in sides.items():
            start = time.time()
            side(args.updates)
            mx.nd.waitall()
            rates[name].append(args.updates * args.batch_size / (time.time() - start))
    for name, values in rates.items():
        print(f"{name:22} {statistics.median(values):8.1f} images/s  ({min(values):.1f} to "
              f"{max(values):.1f})")
    for name in list(sides)[1:]:
        ratios = [ours / theirs for ours, theirs in zip(rates["train_cifar.py's loop"], rates[name])]
        print(f"loop / {name:15} {statistics.median(ratios):8.3f}  ({min(ratios):.3f} to {max(ratios):.3f})")
    facts = environment()
    print(f"{args.model}, batch {args.batch_size}, {facts['processor']}, {facts['threads']} operator "
          f"threads, {args.num_workers} loader threads, mxnet {mx.__version__}")


def loop(args, data):
    """`run(updates)` through `train_epoch`, going on where the last call stopped."""
    engine, net = SingleProcess([mx.cpu()]), prepared(get_model(args.model), static=True)
    trainer = engine.trainer(net, nag())
    progress, loss = Progress(), gluon.loss.SoftmaxCrossEntropyLoss()

    def run(updates):
        last = progress.num_update + updates

        def after_update(meter):
            if progress.num_update >= last:
                meter.drain()
                raise Stop

        while progress.num_update < last:
            try:
                train_epoch(net, data.train, lambda x, y, epoch, batch: (x, y, y), loss, accuracy, trainer,
                            lambda n: 0.1,
                            engine, progress, after_update)
                progress.next_epoch()
            except Stop:
                pass
    return run


def bare(net, args, static):
    """`run(updates)`: forward, backward and step on one batch."""
    net = prepared(net, static)
    trainer = gluon.Trainer(net.collect_params(), nag())
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    data = nd.random.uniform(shape=(args.batch_size, 3, 32, 32))
    label = nd.floor(nd.random.uniform(0, 10, shape=args.batch_size))

    def run(updates):
        for _ in range(updates):
            with autograd.record():
                value = loss(net(data), label)
            value.backward()
            trainer.step(args.batch_size)
    return run


def prepared(net, static):
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=static, static_shape=static)
    return net


def nag():
    return mx.optimizer.NAG(learning_rate=0.1, momentum=0.9, wd=1e-4)


if __name__ == "__main__":
    main()
