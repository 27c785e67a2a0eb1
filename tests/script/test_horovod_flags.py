"""The flags of train_horovod.py against its published log: learning rates, kinds of lines, defaults."""

import shlex

import mxnet as mx
import numpy as np
import pytest

import train_imagenet
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.dialects import HorovodDialect
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.models.initializers import imagenet_initializer
from gluon_tricks.published.catalogue import catalogue, curve
from gluon_tricks.script.horovod_flags import cosine_schedule, is_asked_for, translate

# Header of the one published log of train_horovod.py, resnest14: 8 workers of 128, 270 epochs, 5 of them
# warm-up
WORKERS, BATCH, EPOCHS, WARMUP, LR = 8, 128, 270, 5, 0.05


def parse(monkeypatch, *flags, workers=WORKERS):
    for name, value in {"HOROVOD_RANK": "0", "HOROVOD_SIZE": str(workers)}.items():
        monkeypatch.setenv(name, value)
    return train_imagenet.parse_args(["--flags", "horovod", *flags])


def test_every_published_rate_is_ours():
    rate = cosine_schedule(LR * WORKERS, 0.0, EPOCHS, WARMUP, 1281167, BATCH, WORKERS)
    rows = curve("resnest14")
    assert len(rows) == EPOCHS
    for row in rows:
        # 1251 updates done an epoch, of 1252 scheduled
        done = row.epoch * 1251 + row.last_batch_logged
        assert f"{rate(done - 1):.6f}" == f"{row.lr_last_logged:.6f}", row


def test_warm_up_starts_at_its_own_rate():
    rate = cosine_schedule(0.4, 0.1, 10, 2, 1000, 10, 2)          # 50 updates an epoch
    assert [rate(0), rate(49), rate(99)] == pytest.approx([0.1 + 0.3 * 1 / 100, 0.25, 0.4])
    assert rate(10 * 50 - 1) == pytest.approx(0.0)


def test_defaults_are_those_of_train_horovod(monkeypatch):
    args = parse(monkeypatch, "--model", "resnet50_v1d", "--no-cuda")
    got = {key: getattr(args, key) for key in ("batch_size", "num_epochs", "warmup_epochs", "log_interval",
                                               "save_frequency", "num_workers", "kvstore", "init", "lr_mode",
                                               "num_gpus")}
    assert got == {"batch_size": 128, "num_epochs": 90, "warmup_epochs": 10, "log_interval": 40,
                   "save_frequency": 20, "num_workers": 8, "kvstore": "horovod", "init": "horovod",
                   "lr_mode": "cosine", "num_gpus": 0}
    assert args.lr == pytest.approx(0.05 * WORKERS) and args.rec_train.endswith("/rec/train.rec")


def test_the_published_command_is_understood(monkeypatch):
    words = shlex.split(catalogue()["resnest14"].command)
    flags = words[next(i for i, word in enumerate(words) if word.endswith("train_horovod.py")) + 1:]
    args = parse(monkeypatch, *flags)
    published = catalogue()["resnest14"].args
    for key in ("num_epochs", "warmup_epochs", "last_gamma", "mixup", "label_smoothing", "no_wd",
                "batch_size", "log_interval", "auto_aug"):
        assert getattr(args, key) == published[key], key


@pytest.mark.parametrize("size, law", [(224, "folder"), (319, "folder"), (320, "efficientnet")])
def test_images_are_seen_as_in_folders_or_by_efficientnets_crops(monkeypatch, size, law):
    args = parse(monkeypatch, "--input-size", str(size))
    assert (args.crop_law, args.data_backend, args.mode) == (law, "ours", "hybrid")
    assert args.rgb_mean == pytest.approx([255 * mean for mean in (0.485, 0.456, 0.406)])
    assert args.rgb_std == pytest.approx([255 * std for std in (0.229, 0.224, 0.225)])


@pytest.mark.parametrize("flag, what", [("--use_sk", "selective kernels"), ("--use_avd", "AVD pooling"),
                                        ("--dropblock-prob=0.1", "a probability of DropBlock")])
def test_what_no_model_takes_is_refused(flag, what):
    with pytest.raises(UserError, match=f"{flag.split('=')[0]}: no model takes {what}"):
        translate(["--flags", "horovod", flag], 2)


def test_only_with_the_flag():
    assert is_asked_for(["--model", "x", "--flags=horovod"]) and not is_asked_for(["--model", "x"])


def test_weights_are_normal_with_variance_2_by_fan_in():
    mx.random.seed(0)
    weight = mx.nd.zeros((64, 32, 3, 3))
    imagenet_initializer("horovod")("conv_weight", weight)
    values = weight.asnumpy()
    assert values.std() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.02) and abs(values.mean()) < 1e-3
    # of a normal distribution
    assert (np.abs(values) > 3 * values.std()).mean() == pytest.approx(0.0027, abs=0.002)


def test_its_lines_are_written_and_read(tmp_path):
    dialect = HorovodDialect(2, 5)
    numbers = {"epoch": 1, "batch": 1251, "loss": 6.9684, "rmse": 0.02611, "lr": 0.00639, "train_s": 411.25,
               "samples_per_s": 3114.92, "err_top1": 0.25, "err_top5": 0.075}
    (tmp_path / "a.log").write_text("".join(f"INFO:root:{line}\n" for line in [
        *dialect.interval_lines(numbers, "rmse"), *dialect.epoch_lines(numbers, "rmse")]))
    (epoch,) = read_log(tmp_path / "a.log").epochs
    assert (epoch.train_metric, epoch.time_s) == (0.02611, 411.25)
    assert (epoch.val_err_top1, epoch.val_err_top5) == (0.25, 0.075)
    printed = ["Validation" in "".join(dialect.epoch_lines({**numbers, "epoch": epoch}, "rmse"))
               for epoch in range(5)]
    assert printed == [False, True, False, True, True]
