"""How far bfloat16 turns the gradients of a net, beside what a little noise on the images does.

    python benchmarks/low_precision.py                              # ResNet-20 on the embedded images
    python benchmarks/low_precision.py --model cifar_resnet56_v1 --updates 0 100 --noise 0.004

The gradients of the same weights and batches are computed in float32, in bfloat16, and in float32 with images
that are multiplied, pixel by pixel, by 1 + noise x N(0, 1): bfloat16 rounds to 1 part in 256. Printed are,
over all weights of a batch, the cosine of the angle to float32's gradient and the share of it that is left in
its direction; the least of the batches. Each side is a process of its own, for AMP patches MXNet for good.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cifar_resnet20_v1")
    parser.add_argument("--updates", type=int, nargs="+", default=[0, 25], help="in float32 before (default "
                                                                                "0 25)")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.002, 0.008],
                        help="(default 0.002 0.008)")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--batches", type=int, default=4, help="(default 4)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)  # type, noise, file of gradients
    args = parser.parse_args()
    if args.side:
        compute(args)
    else:
        compare(args)


def compare(args):
    """Let every side compute, and print what their gradients have in common."""
    sides = [("float32", 0.0), ("bfloat16", 0.0), *(("float32", noise) for noise in args.noise)]
    rows = []
    with tempfile.TemporaryDirectory() as folder, tqdm(total=len(args.updates) * len(sides),
                                                       disable=None) as bar:
        for updates in args.updates:
            found = []
            for dtype, noise in sides:
                path = Path(folder, f"{updates}-{dtype}-{noise}.npz")
                words = [word for name in ("model", "batch_size", "batches", "seed")
                         for word in (f"--{name.replace('_', '-')}", str(getattr(args, name)))]
                subprocess.run([sys.executable, __file__, *words, "--updates", str(updates), "--side", dtype,
                                str(noise),
                                str(path)], check=True)
                found.append(list(np.load(path).values()))
                bar.update()
            for (dtype, noise), gradients in list(zip(sides, found))[1:]:
                pairs = [(ours @ exact, ours @ ours, exact @ exact) for ours,
                         exact in zip(gradients, found[0])]
                rows.append((updates, f"{dtype}, noise {noise:g}" if noise else dtype,
                             f"{min(dot / np.sqrt(a * b) for dot, a, b in pairs):.4f}",
                             f"{min(dot / b for dot, _, b in pairs):.4f}"))
    from gluon_tricks.benching.paired import machine_line, table

    print(table(("updates before", "gradients of", "cosine", "share left"), rows))
    print(f"{args.model}, {args.batches} batches of {args.batch_size}, seed {args.seed}; {machine_line()}")


def compute(args):
    """The gradients of each batch as one vector, to the file that --side names."""
    import mxnet as mx

    import train_cifar
    from gluon_tricks.data.cifar import find_cifar, open_cifar
    from gluon_tricks.engines.single import SingleProcess
    from gluon_tricks.script import cifar as build
    from gluon_tricks.script.auto_dtype import as_asked

    dtype, noise, path = args.side
    flags = train_cifar.parse_args(["--model", args.model, "--mode", "hybrid", "--dataset",
                                    "cifar10-excerpt", "--seed",
                                    str(args.seed), "--dtype", dtype])
    engine = SingleProcess([mx.cpu()])
    images = open_cifar(find_cifar(flags.dataset), "ours", args.batch_size, args.seed, 1)
    # the first side, float32 without noise, leaves it
    weights = Path(path).with_name(f"{args.updates[0]}.params")
    net = build.build_net(flags, images.classes, as_asked(flags), engine)
    if weights.exists():
        net.load_parameters(str(weights))
    else:
        trainer, done = engine.trainer(net, build.optimizer(flags, flags.dtype)), 0
        while done < args.updates[0]:
            for batch in images.train.epoch(1 + done // images.train.batches_per_epoch):
                if done < args.updates[0]:
                    backward(net, batch, 0.0)
                    trainer.step(args.batch_size)
                    done += 1
        net.save_parameters(str(weights))
    gradients = []
    for _, batch in zip(range(args.batches), images.train.epoch(0)):
        backward(net, batch, float(noise))
        gradients.append(np.concatenate([param.grad().asnumpy().astype(np.float64).ravel()
                                         for name,
                                         param in net.collect_params().items() if name.endswith("weight")]))
    np.savez(path, *gradients)


def backward(net, batch, noise):
    from mxnet import autograd, gluon, nd

    factor = 1 + noise * nd.random.normal(shape=batch.data.shape)
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(batch.data * factor).astype("float32", copy=False),
                                                    batch.label)
    loss.backward()


if __name__ == "__main__":
    main()
