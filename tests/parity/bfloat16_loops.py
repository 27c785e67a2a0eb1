"""Twenty updates in bfloat16 by this kit's loop and by Gluon's; prints both as JSON.

A program of its own, for bfloat16 changes MXNet's operators for good. The last feature map is 1 x 1, where a
mean and a pooling round alike, so the ReLUs may stay.
"""

import json

import gluon_tricks  # noqa: F401  before mxnet

# isort: split
import mxnet as mx
import numpy as np
from loops import FixedBatches, gluoncvs_net, train_gluoncvs, train_ours

import train_imagenet
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.models.cpu_graph import speed_up
from gluon_tricks.script import imagenet as build
from gluon_tricks.script.auto_dtype import as_asked


def parse(dtype):
    return train_imagenet.parse_args([
        "--model", "cifar_resnet20_v1", "--mode", "hybrid", "--dtype", dtype, "--classes", "10",
        "--input-size", "4",
        "--num-training-samples", "160", "--batch-size", "16", "--num-epochs", "2", "--lr", "0.02",
        "--lr-mode", "cosine", "--label-smoothing"])


engine, batches = SingleProcess([mx.cpu()]), FixedBatches(16, 4, 10, updates=20)
float32 = train_ours(parse("float32"), build.build_net(parse("float32"), parse("float32").classes,
                                                       as_asked(parse("float32")), engine), batches, engine)
args = parse("bfloat16")
net = build.build_net(args, args.classes, as_asked(args), engine)
theirs = gluoncvs_net(args, net, engine.ctx)
speed_up(theirs)  # the same kernels: one rounding otherwise and 20 updates of such nets part for good
theirs.hybridize(static_alloc=True, static_shape=True)
ours, expected = train_ours(args, net, batches, engine), train_gluoncvs(args, theirs, batches, engine.ctx)
print(json.dumps({
    "losses": [ours.losses, expected.losses, float32.losses],
    "types": sorted({str(array.dtype) for array in ours.arrays.values()}),
    "arrays": max(float(np.abs(ours.arrays[name] - array).max()) for name,
                  array in expected.arrays.items())}))
