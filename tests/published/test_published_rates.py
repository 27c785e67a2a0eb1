"""Every learning rate of the published ImageNet logs, to the last printed digit."""

from collections import Counter

import mxnet as mx
import pytest

from data_prep.published_commands import workers_of
from gluon_tricks.data.val_window import batches_before
from gluon_tricks.optim.lr_schedule import lr_schedule
from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.published.rates import IMAGES, LoggedRate, formula_of, mismatches, schedule_of
from tests.logged_rates import logged_rates

HEAD = {"googlenet_mixup", "mobilenetv2_0.25", "mobilenetv2_0.5", "mobilenetv2_0.75", "mobilenetv2_1.0",
        "mobilenetv3_large", "mobilenetv3_small"}          # made after 2019-03-12


def formula(name):
    return "paper" if name == "resnest14" else "head" if name in HEAD else "logs"


def of(name):
    """What `mismatches` needs of a run."""
    run = catalogue()[name]
    return logged_rates()[name], run.script, run.args, workers_of(run.command)


@pytest.mark.slow
def test_every_logged_rate_is_the_schedules_to_the_last_digit():
    assert set(logged_rates()) == {name for name, run in catalogue().items() if run.dataset == "imagenet"}
    compared, wrong = Counter(), []
    for name, rates in logged_rates().items():
        compared[formula(name)] += len(rates)
        wrong += [(name, *mismatch) for mismatch in mismatches(*of(name), formula(name))]
    assert wrong == []
    assert compared == {"logs": 259_532, "head": 73_641, "paper": 3_240} and sum(compared.values()) == 336_413


def test_there_are_as_many_logged_rates_as_lines_in_the_logs():
    # 333,173 batch lines of train_imagenet.py and 3,240 of train_horovod.py, in 53 logs
    assert (len(logged_rates()), sum(map(len, logged_rates().values()))) == (53, 333_173 + 3_240)
    # Epoch[0] Batch [49]  Speed: 1293.070153 samples/sec  accuracy=0.817061  lr=0.003133
    assert logged_rates()["resnet50_v1d"][0] == LoggedRate(0, 49, "0.003133")        # 0.4 x 49 / (5 x 1251)


@pytest.mark.parametrize("name, other", [
    ("resnet50_v1d", "head"), ("mobilenetv2_1.0", "logs"), ("vgg16", "head"), ("resnest14", "logs"),
    ("resnest14", "head")])
def test_another_formula_does_not_fit(name, other):
    assert mismatches(*of(name), other)
    assert formula_of(*of(name)) == formula(name)


def test_epochs_that_begin_at_a_multiple_of_the_schedules_do_not_fit():
    """The logs after 2019-03-12 fit only if epoch e begins at update ceil(e N / B), as MXNet's iterator wraps
    round."""
    rates, script, args, _ = of("googlenet_mixup")
    schedule, updates = schedule_of(script, args, formula="head"), IMAGES // 1024
    plain = sum(f"{schedule(logged.epoch * updates + logged.batch):.6f}" != logged.lr for logged in rates)
    wrapped = sum(f"{schedule(batches_before(logged.epoch, IMAGES, 1024) + logged.batch):.6f}" != logged.lr
                  for logged in rates)
    assert plain > 1000 and wrapped == 0


@pytest.mark.parametrize("change",
                         [{"lr": 0.40001}, {"num_epochs": 199}, {"warmup_epochs": 4}, {"batch_size": 127}])
def test_a_slightly_different_recipe_does_not_fit(change):
    rates, script, args, workers = of("resnet50_v1d-mixup")
    assert not mismatches(rates, script, args, workers, "logs")
    assert mismatches(rates, script, {**args, **change}, workers, "logs")


@pytest.mark.parametrize("warmup", [0, 2])
def test_the_papers_formula_is_mxnets_cosine_scheduler(warmup):
    """train_horovod.py takes that scheduler; MXNet asks it after counting the update."""
    theirs = mx.lr_scheduler.CosineScheduler(90, base_lr=0.4, final_lr=0, warmup_steps=warmup * 9,
                                             warmup_begin_lr=0)
    ours = lr_schedule("cosine", 0.4, 10, 9, warmup, formula="paper")
    assert [ours(n) for n in range(95)] == pytest.approx([theirs(n + 1) for n in range(95)], rel=1e-12,
                                                         abs=1e-15)
