"""One training told twice: by this kit's loop and builders, and by Gluon and GluonCV alone.

Both nets get softplus in place of ReLU. Two graphs of the same function differ in their last bits, and a ReLU
whose input is a rounding error away from 0 may fall on either side: gradients then differ by percents, and
after twenty updates nothing is equal any more. Through softplus a difference only grows as the function is
steep. ReLU nets are compared update for update in tests/models.
"""

from functools import partial
from types import SimpleNamespace

import mxnet as mx
import numpy as np
from gluoncv import model_zoo
from gluoncv.loss import DistillationSoftmaxCrossEntropyLoss
from gluoncv.utils import LRScheduler, LRSequential
from mxnet import autograd, gluon, nd

from gluon_tricks.data.imagenet import ImagenetData
from gluon_tricks.data.loaders import Batch
from gluon_tricks.parameters import settle_weights
from gluon_tricks.randomness import MIXUP, generator
from gluon_tricks.script import imagenet as build
from gluon_tricks.script.auto_dtype import as_asked
from gluon_tricks.script.targets import training_targets
from gluon_tricks.script.teacher import build_teacher
from gluon_tricks.training.loop import train_epoch
from gluon_tricks.training.progress import Progress

BATCHES_PER_EPOCH = 10


def smooth_activations(monkeypatch):
    """Softplus wherever a net asks for ReLU, in nets of both sides."""
    for namespace in (mx.nd, mx.sym):
        def smooth(x, act_type=None, _real=namespace.Activation, **kwargs):
            return _real(x, act_type={"relu": "softrelu"}[act_type], **kwargs)
        monkeypatch.setattr(namespace, "Activation", smooth)


class FixedBatches:
    """The same normal images and labels to whoever asks; data float32, shape (batch_size, 3, size, size)."""

    def __init__(self, batch_size, size, classes, updates, seed=1):
        rng = np.random.default_rng(seed)
        self.batch_size, self.batches_per_epoch = batch_size, BATCHES_PER_EPOCH
        self.batches = [(rng.normal(size=(batch_size, 3, size, size)).astype(np.float32),
                         rng.integers(0, classes, batch_size)) for _ in range(updates)]

    def of_epoch(self, epoch):
        return self.batches[epoch * BATCHES_PER_EPOCH:(epoch + 1) * BATCHES_PER_EPOCH]

    def epoch(self, epoch, start):
        for data, label in self.of_epoch(epoch)[start:]:
            yield Batch(nd.array(data), nd.array(label), None)


def arrays_of(net):
    """{name in a .params file: numpy array}"""
    return {name: param.list_data()[0].asnumpy() for name, param in net._collect_params_with_prefix().items()}


def train_ours(args, net, batches, engine):
    """Losses of the updates (sample means), metric per epoch, arrays after update 1 and at the end."""
    student = build.net_facts(args, ImagenetData(None, None, args.classes, "", None))
    make_teacher = partial(build_teacher, args, student, as_asked(args), engine)
    targets, loss, metric = training_targets(args, args.classes, args.dtype, make_teacher)
    trainer, schedule = engine.trainer(net, build.nag(args, args.dtype)), build.learning_rate(args)
    progress, losses, metrics, first = Progress(), [], [], {}
    for _ in range(len(batches.batches) // BATCHES_PER_EPOCH):
        sums = [0.0]

        def note(meter, sums=sums):
            meter.drain()
            sums.append(progress.loss_sum)
            if progress.num_update == 1:
                first.update(arrays_of(net))

        train_epoch(net, batches, targets, loss, metric, trainer, schedule, engine, progress, note)
        losses += list(np.diff(sums) / batches.batch_size)
        metrics.append(progress.train_metric)
        progress.next_epoch()
    return SimpleNamespace(losses=losses, metrics=metrics, first=first, arrays=arrays_of(net))


def gluoncvs_net(args, ours, ctx, **kwargs):
    """GluonCV's net of that name as its script starts it, but with our random weights.

    Whatever is not random must be equal already: gammas, betas, biases and running statistics.
    """
    net = model_zoo.get_model(args.model, classes=args.classes, **kwargs)
    net.initialize(mx.init.MSRAPrelu(), ctx=ctx)
    net(nd.zeros((2, 3, args.input_size, args.input_size), ctx=ctx[0]))  # shapes are known after a forward
    mine = ours._collect_params_with_prefix()
    for name, param in net._collect_params_with_prefix().items():
        if name.endswith("weight"):
            param.set_data(mine[name].list_data()[0])
        else:
            np.testing.assert_array_equal(param.list_data()[0].asnumpy(), mine[name].list_data()[0].asnumpy(),
                                          name)
    # or the first update after that forward races with MXNet's reordering, to 1e-4 of a weight
    settle_weights(net)
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def train_gluoncvs(args, net, batches, ctx, teacher=None):
    """The same with Gluon's Trainer and GluonCV's scheduler, losses and arithmetic on labels."""
    warmup, epochs = args.warmup_epochs, args.num_epochs
    batch_size = args.batch_size * len(ctx)
    lr = 0.1 * batch_size / 256 if args.auto_lr else args.lr
    schedule = LRSequential([
        LRScheduler("linear", base_lr=0, target_lr=lr, nepochs=warmup, iters_per_epoch=BATCHES_PER_EPOCH),
        LRScheduler(args.lr_mode, base_lr=lr, target_lr=0, nepochs=epochs - warmup,
                    iters_per_epoch=BATCHES_PER_EPOCH,
                    step_epoch=[int(e) - warmup for e in args.lr_decay_epoch.split(",")],
                    step_factor=args.lr_decay, power=2)])
    if args.no_wd:
        for param in net.collect_params(".*beta|.*gamma|.*bias").values():
            param.wd_mult = 0.0
    trainer = gluon.Trainer(net.collect_params(), "nag", {"wd": args.wd, "momentum": args.momentum,
                                                          "lr_scheduler": schedule})
    dense = args.mixup or args.label_smoothing
    if teacher:
        criterion = DistillationSoftmaxCrossEntropyLoss(temperature=args.temperature,
                                                        hard_weight=args.hard_weight, sparse_label=not dense)
    else:
        criterion = gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=not dense)
    metric = mx.metric.RMSE() if args.mixup else mx.metric.Accuracy()
    eta = 0.1 if args.label_smoothing else 0.0
    losses, metrics, first = [], [], None
    for epoch in range(epochs):
        metric.reset()
        for number, (images, labels) in enumerate(batches.of_epoch(epoch)):
            # lambda is the one random number; everything else is arithmetic
            lam = float(generator(args.seed, MIXUP, epoch, number).beta(args.mixup_alpha, args.mixup_alpha))
            if not args.mixup or epoch >= epochs - args.mixup_off_epoch:
                lam = 1.0
            data, hard, target = [], [], []
            for x, y in zip(np.split(images, len(ctx)), np.split(labels, len(ctx))):      # a device's part
                rows = np.full((len(y), args.classes), eta / args.classes, np.float32)
                rows[np.arange(len(y)), y] += 1 - eta
                data.append(lam * x + (1 - lam) * x[::-1])
                target.append(lam * rows + (1 - lam) * rows[::-1] if dense else y)
                hard.append(y)
            data, hard, target = ([nd.array(part, ctx=device, dtype="float32") for part,
                                   device in zip(parts, ctx)]
                                  for parts in (data, hard, target))
            softened = [(nd.softmax(teacher(x) / args.temperature),)
                        for x in data] if teacher else [()] * len(ctx)
            with autograd.record():
                outputs = [net(x) for x in data]
                values = [criterion(z, y, *p) for z, y, p in zip(outputs, target, softened)]
            for value in values:
                value.backward()
            trainer.step(batch_size)
            losses.append(sum(float(value.sum().asscalar()) for value in values) / batch_size)
            first = first or arrays_of(net)
            if args.mixup:
                metric.update(target, [nd.softmax(z) for z in outputs])
            else:
                metric.update(hard, outputs)
        metrics.append(metric.get()[1])
    return SimpleNamespace(losses=losses, metrics=metrics, first=first, arrays=arrays_of(net))
