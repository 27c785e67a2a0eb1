"""The scripts' learning rates at every update: GluonCV's scheduler inside MXNet's optimizer, and MXNet's own
schedulers.
"""

import mxnet as mx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import train_cifar
import train_imagenet
from gluon_tricks.optim.lr_schedule import MODES, lr_schedule
from gluon_tricks.script import cifar, imagenet


def gluoncvs_rates(args, updates_per_epoch, updates):
    """What an optimizer with the script's chain of schedulers uses for its first, second, ... update.

    Raises ZeroDivisionError where a stage has a single update, as GluonCV's script would.
    """
    schedulers = pytest.importorskip("gluoncv.utils.lr_scheduler", exc_type=ImportError)
    warmup = args.warmup_epochs
    decay = ([int(epoch) for epoch in args.lr_decay_epoch.split(",")] if not args.lr_decay_period
             else list(range(args.lr_decay_period, args.num_epochs, args.lr_decay_period)))
    chain = schedulers.LRSequential([
        schedulers.LRScheduler("linear", base_lr=0, target_lr=args.lr, nepochs=warmup,
                               iters_per_epoch=updates_per_epoch),
        schedulers.LRScheduler(args.lr_mode, base_lr=args.lr, target_lr=0, nepochs=args.num_epochs - warmup,
                               iters_per_epoch=updates_per_epoch,
                               step_epoch=[epoch - warmup for epoch in decay],
                               step_factor=args.lr_decay, power=2)])
    optimizer = mx.optimizer.NAG(momentum=0.9, lr_scheduler=chain)
    weight, gradient = mx.nd.zeros(1), mx.nd.zeros(1)
    state, rates = optimizer.create_state(0, weight), []
    for _ in range(updates):
        optimizer.update(0, weight, gradient, state)
        rates.append(optimizer.learning_rate)
    return rates


@settings(max_examples=60, deadline=None)
@given(mode=st.sampled_from(MODES), epochs=st.integers(1, 8), updates=st.integers(1, 12),
       warmup=st.integers(0, 3),
       lr=st.sampled_from([0.05, 0.4, 2.6]), factor=st.sampled_from([0.1, 0.5]), period=st.integers(0, 3),
       decay=st.lists(st.integers(3, 9), min_size=1, max_size=3, unique=True),
       formula=st.sampled_from([None, "head"]))
def test_every_update_of_train_imagenet_has_gluoncvs_rate(mode, epochs, updates, warmup, lr, factor, period,
                                                          decay, formula):
    assume(warmup < epochs)
    flags = ["--model", "any", "--batch-size", "7", "--num-training-samples", str(7 * updates + 3),
             "--lr-mode", mode,
             "--num-epochs", str(epochs), "--warmup-epochs", str(warmup), "--lr", str(lr), "--lr-decay",
             str(factor),
             "--lr-decay-period", str(period), "--lr-decay-epoch", ",".join(map(str, sorted(decay)))]
    args = train_imagenet.parse_args(flags + (["--lr-formula", formula] if formula else []))
    try:
        expected = gluoncvs_rates(args, updates, epochs * updates + 5)
    except ZeroDivisionError:
        assume(False)
    rate = imagenet.learning_rate(args)
    assert [rate(n) for n in range(len(expected))] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "step"])
def test_train_cifar_follows_the_same_rule_where_it_leaves_its_own(mode):
    flags = ["--lr-mode", mode, "--num-epochs", "6", "--warmup-epochs", "2", "--lr", "0.3",
             "--lr-decay-epoch", "4,5"]
    args = train_cifar.parse_args(["--model", "any", *flags])
    rate, expected = cifar.learning_rate(args, 11), gluoncvs_rates(args, 11, 70)
    assert [rate(n) for n in range(70)] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def mxnets_scheduler(mode, lr, total, warmup, steps, factor):
    schedulers = mx.lr_scheduler
    if mode == "cosine":
        return schedulers.CosineScheduler(total, base_lr=lr, final_lr=0, warmup_steps=warmup)
    if mode in ("poly", "linear"):
        return schedulers.PolyScheduler(total, base_lr=lr, pwr=2 if mode == "poly" else 1,
                                        warmup_steps=warmup)
    return schedulers.MultiFactorScheduler(steps, factor=factor, base_lr=lr, warmup_steps=warmup)


@pytest.mark.parametrize("mode", ["cosine", "poly", "linear", "step"])
@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("formula, first", [("paper", 1), ("logs", 0)])
def test_the_other_conventions_are_mxnets_schedulers_counted_from_one_and_from_zero(mode, warmup, formula,
                                                                                    first):
    """MXNet's optimizers ask with 1 first, as the paper counts; the rule behind most logs counts from 0."""
    updates, epochs = 13, 7
    rate = lr_schedule(mode, 0.4, epochs, updates, warmup, factor=0.1, decay_epochs=[3, 5], formula=formula)
    theirs = mxnets_scheduler(mode, 0.4, epochs * updates, warmup * updates, [3 * updates, 5 * updates], 0.1)
    for n in range(epochs * updates):
        # at a step MXNet waits until its counter *exceeds* it: one update later when counting from 0
        if mode == "step" and formula == "logs" and n % updates == 0:
            continue
        assert rate(n) == pytest.approx(theirs(n + first), rel=1e-9, abs=1e-12), n
