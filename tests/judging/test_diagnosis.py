"""Each rule on a log that shows its mistake, and none on a published log that is sound."""

import math
import random

import pytest

from gluon_tricks.commands.compare import main
from gluon_tricks.judging.diagnosis import diagnose
from gluon_tricks.judging.verdict import Verdict, hold_against, judge
from gluon_tricks.log_lines.lines import (
    ImagenetSpeed,
    ImagenetTrain,
    ImagenetValidation,
    namespace_line,
)
from gluon_tricks.log_lines.reading import RunLog, read_log
from gluon_tricks.published.catalogue import catalogue, curve, published_run
from gluon_tricks.published.reference import find_reference
from tests.epoch_lines import cifar_epoch_line

SOFT_LABEL_LOGS = {"resnet50_v1", "resnet50_v1b", "resnet50_v1c", "resnet50_v1d", "resnet101_v1d",
                   "resnet152_v1d", "darknet53"}
# a real run with --lr 0.8
RATE_08_TRAIN, RATE_08_VAL = [0.193349, 0.348357, 0.469872], [0.2681, 0.4173, 0.4617]


def names(verdict):
    return [finding.name for finding in diagnose(verdict)]


def verdict_of(name, epochs):
    """The verdict on the first epochs of a published run, from its curve."""
    run = published_run(name)
    log = RunLog(f"{name}.log", run.style, run.args, 1, curve(name)[:epochs], {})
    match = find_reference(log)
    return Verdict("INSIDE", "", [log], match, [hold_against([log], match.reference)] if match.reference else [])


def cifar_log(path, train, val, attempts=(), **args):
    """A log of train_cifar.py; `attempts` are epochs before which another header stands."""
    header = {**published_run("cifar_resnet20_v1").args, "dataset": "cifar10", "seed": 0, "mixup": False,
              "num_gpus": 0, **args}
    lines = [namespace_line(header)]
    for epoch, figures in enumerate(zip(train, val)):
        lines += [namespace_line(header)] if epoch in attempts else []
        lines.append(cifar_epoch_line(epoch, *figures, 1.0, 16.0))
    path.write_text("\n".join(f"INFO:root:{line}" for line in lines) + "\n")
    return path


def imagenet_log(path, name, train=None, err=None, speed=None, epochs=3, metric=None, **args):
    """A published ImageNet run's log written again in today's dialect, with some of its figures replaced."""
    header = {**published_run(name).args, **args}
    lines = [namespace_line(header)]
    for i, record in enumerate(curve(name)[:epochs]):
        shown = metric or record.train_metric_name
        lines += [str(ImagenetTrain(i, shown, train[i] if train else record.train_metric)),
                  str(ImagenetSpeed(i, int(speed or record.samples_per_sec), 300.0)),
                  str(ImagenetValidation(i, err[i] if err else record.val_err_top1, record.val_err_top5))]
    path.write_text("\n".join(lines) + "\n")
    return path


# --- no false alarm -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("epochs", [1, 2, 3, 6, 15, 40, None])
@pytest.mark.slow
def test_published_logs_are_silent_but_for_the_seven_with_the_old_metric(epochs):
    found = {name: names(verdict_of(name, epochs)) for name in catalogue()}
    assert {name for name in found if found[name]} == SOFT_LABEL_LOGS
    assert all(found[name] == ["metric on soft labels"] for name in SOFT_LABEL_LOGS)


def test_our_own_logs_are_silent():
    from gluon_tricks.judging.numbers import our_runs

    found = [names(run.verdict) for run in our_runs()]
    assert len(found) >= 2 and not any(found)


# --- chance validation --------------------------------------------------------------------------------------

def test_flat_validation_folder_on_imagenet_is_seen_in_the_first_epoch(tmp_path):
    log = imagenet_log(tmp_path / "run.log", "resnet50_v2", err=[0.999], epochs=1)
    [finding] = diagnose(judge(log))
    assert finding.name == "chance validation"
    assert "validation top-1 is 0.10 % in epoch 0, chance of 1000 classes is 0.10 %, while training accuracy is 2.76 %" in (
        finding.says)


def test_shuffled_labels_of_ten_classes_need_two_epochs(tmp_path):
    train = [record.train_metric for record in curve("cifar_resnet20_v1")]
    assert names(judge(cifar_log(tmp_path / "one.log", train[:1], [0.101]))) == []
    assert names(judge(cifar_log(tmp_path / "two.log", train[:2], [0.101, 0.098]))) == ["chance validation"]
    assert names(judge(cifar_log(tmp_path / "sound.log", train[:3], [0.101, 0.098, 0.3]))) == []


def test_with_mixup_the_falling_rmse_is_the_sign(tmp_path):
    log = imagenet_log(tmp_path / "run.log", "resnet50_v1d-mixup", err=[0.999] * 8, epochs=8)
    assert names(judge(log)) == ["chance validation"]
    flat = imagenet_log(tmp_path / "flat.log", "resnet50_v1d-mixup", train=[0.0261] * 8, err=[0.999] * 8,
                        epochs=8)
    assert names(judge(flat)) == []                     # nothing is learned: no sign of wrong labels


# --- unscaled rate ------------------------------------------------------------------------------------------

def test_a_real_run_with_eight_times_the_rate(tmp_path, capsys):
    log = cifar_log(tmp_path / "run.log", RATE_08_TRAIN, RATE_08_VAL, lr=0.8)
    [finding] = diagnose(judge(log))
    assert finding.name == "unscaled rate"
    assert ("--lr 0.8 for a global batch of 128 is 8 times the published rate, 0.1 at 128 images, scaled to "
            "this batch; train accuracy in epoch") in finding.says
    assert "train accuracy in epoch 0 is 19.33, published 46.76" in finding.says
    assert finding.remedy.startswith("give --lr 0.1;")
    assert main([str(log)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].startswith("diagnosis: unscaled rate: ") and lines[-1].startswith("verdict: OUTSIDE")


def test_one_gpu_with_the_rate_of_eight(tmp_path):
    log = imagenet_log(tmp_path / "run.log", "resnet50_v2", train=[0.003, 0.005, 0.006], metric="accuracy",
                       num_gpus=1)
    [finding] = diagnose(judge(log))
    assert "--lr 0.4 for a global batch of 128 is 8 times" in finding.says and "give --lr 0.05;" in finding.remedy


def test_another_rate_that_the_curve_does_not_mind_is_no_mistake(tmp_path):
    train = [record.train_metric for record in curve("cifar_resnet20_v1")[:5]]
    val = [1 - record.val_err_top1 for record in curve("cifar_resnet20_v1")[:5]]
    assert names(judge(cifar_log(tmp_path / "run.log", train, val, lr=0.8))) == []


def test_without_a_published_log_the_linear_rule_and_a_curve_at_chance_speak(tmp_path):
    args = {"lr": 0.8, "num_training_samples": 2000, "classes": 10}
    assert names(judge(cifar_log(tmp_path / "a.log", [0.10, 0.11], [0.1, 0.12], **args))) == ["unscaled rate"]
    assert names(judge(cifar_log(tmp_path / "b.log", [0.2, 0.3], [0.2, 0.3], **args))) == []


# --- lost momentum ------------------------------------------------------------------------------------------

def rising(epochs=20, seed=1):
    """A training curve at a constant rate, with a tenth of a point of noise."""
    draw = random.Random(seed)
    return [0.9 - 0.4 * math.exp(-epoch / 6) + draw.gauss(0, 0.001) for epoch in range(epochs)]


def test_a_drop_where_the_run_was_resumed(tmp_path):
    train = rising()
    dropped = [*train[:12], train[12] - 0.06, *train[13:]]
    val = [0.5] * 20
    [finding] = [f for f in diagnose(judge(cifar_log(tmp_path / "a.log", dropped, val, attempts=[12])))
                 if f.name == "lost momentum"]
    assert "resumed at epoch 12" in finding.says
    # no resume there
    assert "lost momentum" not in names(judge(cifar_log(tmp_path / "b.log", dropped, val)))
    # no drop
    assert "lost momentum" not in names(judge(cifar_log(tmp_path / "c.log", train, val, attempts=[12])))
    assert "lost momentum" not in names(judge(cifar_log(tmp_path / "d.log", dropped, val, attempts=[15])))


def test_gluoncvs_resume_epoch_is_a_resume_too(tmp_path):
    train = [0.3 + 0.02 * i + 0.001 * (i % 2) for i in range(14)]
    train[10:] = [value - 0.05 for value in train[10:]]
    log = imagenet_log(tmp_path / "run.log", "resnet18_v1", train=train, err=None, epochs=14,
                       metric="accuracy", resume_epoch=10, resume_params="x.params")
    assert "lost momentum" in names(judge(log))


def test_a_second_header_says_where_a_log_was_resumed(tmp_path):
    assert read_log(cifar_log(tmp_path / "a.log", rising(6), [0.5] * 6, attempts=[4])).resumed_at == [4]
    assert read_log(cifar_log(tmp_path / "b.log", rising(6), [0.5] * 6)).resumed_at == []


# --- the other two ------------------------------------------------------------------------------------------

def test_the_old_metric_is_named_with_both_accuracies(tmp_path):
    [finding] = diagnose(verdict_of("resnet50_v1", 1))
    assert "training accuracy is 75.11 % in epoch 0 (validation: 5.26 %)" in finding.says
    assert names(verdict_of("cifar_resnet20_v1", 200)) == []            # ten classes: 0.6 is no miracle there
    cold = imagenet_log(tmp_path / "a.log", "resnet50_v2", train=[0.71], metric="accuracy", epochs=1)
    warm = imagenet_log(tmp_path / "b.log", "resnet50_v2", train=[0.71], metric="accuracy", epochs=1,
                        use_pretrained=True)
    # it had been trained before
    assert names(judge(cold)) == ["metric on soft labels"] and names(judge(warm)) == []


def test_a_third_of_the_published_speed_is_the_input(tmp_path):
    slow = imagenet_log(tmp_path / "slow.log", "resnet50_v2", speed=900, num_workers=4)
    [finding] = diagnose(judge(slow))
    assert finding.name == "input bound"
    assert "112 images/s per GPU with 4 loader threads; the published run has 349 with 60" in finding.says
    fewer = imagenet_log(tmp_path / "four.log", "resnet50_v2", speed=1300, num_gpus=4, batch_size=256)
    assert names(judge(fewer)) == []                                    # half the GPUs, half the speed
    cpu = imagenet_log(tmp_path / "cpu.log", "resnet50_v2", speed=20, num_gpus=0, batch_size=1024)
    assert names(judge(cpu)) == []                                      # a CPU is no input problem
