"""train_imagenet.py: published commands, first updates against numpy, emulated devices, runs on tiny data."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd

import train_imagenet
from gluon_tricks.data.imagenet import ImagenetData, SyntheticLoader
from gluon_tricks.data.images import RecordImages
from gluon_tricks.data.manifest import Manifest, describe_split, read_manifest, record_row, write_manifest
from gluon_tricks.data.mxnet_iterators import ImageNetRecordIter
from gluon_tricks.data.recordio import RecordReader, write_image_records
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.lines import noise_kind
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.models.registry import get_model
from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.published.reference import reference_of
from gluon_tricks.script import imagenet as build
from gluon_tricks.script.auto_dtype import as_asked
from gluon_tricks.script.imagenet_data import open_data
from gluon_tricks.script.targets import training_targets
from gluon_tricks.script.teacher import build_teacher
from gluon_tricks.training.loop import accuracy, train_epoch
from gluon_tricks.training.progress import Progress
from gluon_tricks.tricks import mixing
from tests.script_runs import run_here

ENGINE = SingleProcess([mx.cpu()])
ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = {name: run for name, run in catalogue().items() if run.script == "train_imagenet.py"}


# --- flags --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_commands_are_understood(name):
    words = shlex.split(PUBLISHED[name].command)
    script = next(i for i, word in enumerate(words) if word.endswith("train_imagenet.py"))
    args = vars(train_imagenet.parse_args(words[script + 1:]))
    if any("sh" in flag for flag in PUBLISHED[name].flags):
        return                             # the published command is not the published run's
    for key in ("lr", "lr_mode", "warmup_epochs", "num_epochs", "batch_size", "num_gpus", "dtype", "model",
                "no_wd", "last_gamma", "mixup", "label_smoothing"):
        assert args[key] == PUBLISHED[name].args.get(key, args[key]), key


def parse(*flags):
    return train_imagenet.parse_args(["--model", "resnet18_v1b", *flags])


@pytest.mark.parametrize("flags, says", [
    (["--num-training-samples", "31"], "learning rate would always be 0"),
    (["--warmup-epochs", "2", "--lr-decay-epoch", "1"], "is inside the warm-up"),
    (["--data-backend", "dali-gpu"], "DALI needs GPUs"),
    (["--resume-states", "x.states"], "give all three"),
    (["--resume-epoch", "1", "--resume-params", "x.params"], "without states the momentum would be lost"),
    (["--use_se"], "--use_se: has no effect"),
    (["--loss-scale", "0"], "--loss-scale 0: must be none, dynamic or a positive number"),
    (["--ema", "1"], "--ema 1"),
    (["--loss-scale", "inf"], "--loss-scale inf: must be"),
    (["--num-epochs", "99999999999999999999"], "--num-epochs 99999999999999999999: must be at most 100000"),
    (["--mixup-alpha", "1e-320"], "--mixup-alpha 1e-320: must be at least 0.001"),
    (["--accumulate", "0"], "--accumulate 0"),
    (["--save-dir", ""], "--save-dir ''"),
    (["--rgb-mean", "1,2"], "three numbers"),
    (["--temperature", "0"], "--temperature 0"),
    (["--dtype", "float16"], "--dtype float16: on CPUs it is emulated in the compiled net; give --mode hybrid"),
    (["--emulate-gpus", "4", "--num-gpus", "2"], "--emulate-gpus"),
])
def test_a_value_out_of_range_is_named(flags, says):
    with pytest.raises(UserError, match=re.escape(says)):
        parse(*flags)


def test_auto_lr_is_the_linear_rule_over_all_devices():
    assert parse("--auto-lr", "--batch-size", "128", "--emulate-gpus", "8").lr == pytest.approx(0.4)
    assert parse("--auto-lr", "--batch-size", "128", "--emulate-gpus", "4", "--accumulate",
                 "2").lr == pytest.approx(0.4)


@pytest.mark.parametrize("name", sorted(name for name, run in PUBLISHED.items() if run.is_usable
                                        and not run.flags))
def test_a_published_command_departs_from_no_published_run(name):
    words = shlex.split(PUBLISHED[name].command)
    script = next(i for i, word in enumerate(words) if word.endswith("train_imagenet.py"))
    args = vars(train_imagenet.parse_args(words[script + 1:]))
    assert reference_of(args, "imagenet").departures == ()
    assert reference_of({**args, "lr": 7.0},
                        "imagenet").departures == (f"lr 7.0 (published {PUBLISHED[name].args['lr']})",)


def test_dali_is_asked_for_in_one_sentence(records):
    args = parse(*rec_flags(records), "--data-backend", "dali-cpu", "--num-gpus", "1", "--batch-size", "8")
    with pytest.raises(UserError, match="NVIDIA DALI with its MXNet plugin is not installed"):
        open_data(args, ENGINE)


def test_a_teacher_of_other_classes_is_refused():
    with pytest.raises(UserError, match="zoo's weights are for 1000 classes, the data have 4"):
        args = parse("--teacher", "resnet18_v1b", "--classes", "4", "--synthetic")
        build_teacher(args, build.net_facts(args, open_data(args, ENGINE)), as_asked(args), ENGINE)


def test_a_teacher_file_of_other_classes_is_refused(tmp_path):
    teacher = get_model("cifar_resnet20_v1", classes=5)
    teacher.initialize()
    teacher(nd.zeros((1, 3, 32, 32)))
    teacher.save_parameters(str(tmp_path / "t.params"))
    args = parse("--teacher", f"cifar_resnet20_v1:{tmp_path}/t.params", "--classes", "4", "--input-size",
                 "32", "--synthetic")
    student = build.net_facts(args, open_data(args, ENGINE))
    with pytest.raises(UserError, match="does not load into this model"):
        build_teacher(args, student, as_asked(args), ENGINE)


def test_class_ids_above_2048_survive_float16():
    """GluonCV casts labels to float16, where 2049 becomes 2048."""
    args = parse("--dtype", "float16", "--num-gpus", "1", "--classes", "3000")
    targets, _, _ = training_targets(args, 3000, args.dtype, None)
    data, target, counted = targets(nd.zeros((2, 3, 4, 4)), nd.array([2049, 2999]), 0, 0)
    assert data.dtype == np.float16
    assert target.asnumpy().tolist() == counted.asnumpy().tolist() == [2049, 2999]


# --- first updates, against numpy ---------------------------------------------------------------------------

def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(p, q):
    return -(p * np.log(q)).sum(axis=1)


class Linear(gluon.nn.Dense):
    """Logits linear in the pixels, as numpy can compute them."""

    def __init__(self, classes=4):
        super().__init__(classes, in_units=12)
        self.initialize(mx.init.Uniform(0.5))


def first_loss(args, net, data, label, teacher=None):
    """Loss of the first update, mean over the samples, by the script's own targets and loop."""
    engine = SingleProcess([mx.cpu()])
    targets, loss, metric = training_targets(args, args.classes, args.dtype, lambda: teacher)
    trainer, progress = engine.trainer(net, build.nag(args, args.dtype)), Progress()

    class OneBatch:
        batch_size = len(label)

        @staticmethod
        def epoch(epoch, start):
            yield SyntheticLoader(4, 4, 2, 4)._batch._replace(data=nd.array(data), label=nd.array(label))

    train_epoch(net, OneBatch, targets, loss, metric, trainer, build.learning_rate(args), engine, progress,
                lambda meter: None)
    return progress.loss_sum / len(label)


@pytest.fixture
def batch():
    rng = np.random.default_rng(3)
    return rng.normal(size=(4, 3, 2, 2)).astype(np.float32), np.array([2, 0, 3, 1])


def test_mixup_with_smoothing(batch, monkeypatch):
    data, label = batch
    lam, eta, k = 0.3, 0.1, 4
    monkeypatch.setattr(mixing, "sample_lam", lambda alpha, rng: lam)
    args = parse("--mixup", "--label-smoothing", "--classes", "4", "--num-training-samples", "64")
    net = Linear()
    w = net.weight.data().asnumpy()
    x = lam * data + (1 - lam) * data[::-1]
    rows = np.full((4, k), eta / k) + np.eye(k)[label] * (1 - eta)
    expected = cross_entropy(lam * rows + (1 - lam) * rows[::-1], softmax(x.reshape(4, -1) @ w.T)).mean()
    assert first_loss(args, net, data, label) == pytest.approx(expected, rel=1e-5)


def test_distillation_from_a_teacher(batch):
    data, label = batch
    teacher, t, h = Linear(), 20, 0.5
    args = parse("--teacher", "any", "--classes", "4", "--num-training-samples", "64")
    net = Linear()
    flat = data.reshape(4, -1)
    z, r = flat @ net.weight.data().asnumpy().T, flat @ teacher.weight.data().asnumpy().T
    expected = (h * cross_entropy(np.eye(4)[label], softmax(z))
                + (1 - h) * t * t * cross_entropy(softmax(r / t), softmax(z / t))).mean()
    assert first_loss(args, net, data, label, teacher) == pytest.approx(expected, rel=1e-5)


def test_plain_labels(batch):
    data, label = batch
    args = parse("--no-wd", "--lr-mode", "cosine", "--classes", "4", "--num-training-samples", "64")
    net = Linear()
    z = data.reshape(4, -1) @ net.weight.data().asnumpy().T
    expected = cross_entropy(np.eye(4)[label], softmax(z)).mean()
    assert first_loss(args, net, data, label) == pytest.approx(expected, rel=1e-5)


def test_emulated_devices_equal_real_ones():
    """BatchNorm sees its part only: two devices of 4 and one that emulates two end with the same weights."""
    def train(ctx, parts):
        mx.random.seed(0)
        net = gluon.nn.HybridSequential()
        net.add(gluon.nn.Conv2D(4, 3, in_channels=3), gluon.nn.BatchNorm(in_channels=4),
                gluon.nn.Dense(3, in_units=144))
        net.initialize(mx.init.Xavier(), ctx=ctx)
        engine = SingleProcess(ctx, parts)
        rng = np.random.default_rng(0)

        class Batches:
            batch_size = 8

            @staticmethod
            def epoch(epoch, start):
                for _ in range(3):
                    yield SyntheticLoader(8, 8, 8, 3)._batch._replace(
                        data=nd.array(rng.normal(size=(8, 3, 8, 8))), label=nd.array(rng.integers(0, 3, 8)))

        train_epoch(net, Batches, lambda x, y, e, b: (x, y, y), gluon.loss.SoftmaxCrossEntropyLoss(),
                    accuracy, engine.trainer(net, mx.optimizer.NAG(learning_rate=0.1, momentum=0.9)),
                    lambda n: 0.1, engine,
                    Progress(), lambda meter: None)
        return {name: p.data(ctx[0]).asnumpy() for name, p in net._collect_params_with_prefix().items()
                if p.grad_req != "null"}

    real, emulated, neither = train([mx.cpu(0), mx.cpu(1)], 1), train([mx.cpu()], 2), train([mx.cpu()], 1)
    for name in real:
        np.testing.assert_allclose(emulated[name], real[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert np.abs(neither["0.weight"] - real["0.weight"]).max() > 1e-3


# --- data ---------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """24 + 10 JPEGs of 4 classes, each class one colour; record 5 of bad.rec does not decode."""
    folder, rng = tmp_path_factory.mktemp("records"), np.random.default_rng(0)
    colours = np.array([[220, 40, 40], [40, 200, 40], [40, 40, 220], [200, 200, 60]])

    def images(count):
        for key in range(count):
            size = (int(rng.integers(40, 90)), int(rng.integers(40, 90)), 3)
            image = np.clip(colours[key % 4] + rng.normal(0, 20, size), 0, 255).astype(np.uint8)
            yield key, key % 4, 0, cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()

    for name, count in (("train", 24), ("val", 10)):
        list(write_image_records(folder / f"{name}.rec", folder / f"{name}.idx", images(count)))
    bad = [(key, label, 0, b"not a JPEG" if key == 5 else image) for key, label, _, image in images(8)]
    list(write_image_records(folder / "bad.rec", folder / "bad.idx", bad))
    return folder


def test_a_bad_record_is_named_or_skipped_and_counted(records):
    with pytest.raises(UserError, match=r"bad.rec, key 5, offset \d+: the image does not decode"):
        RecordImages(records / "bad.rec").read([4, 5])
    images = RecordImages(records / "bad.rec", on_bad_record="skip")
    got, labels = images.read([4, 5, 5])
    assert labels.tolist() == [0, 2, 2] and len(images.bad) == 1          # record 6 stands in


def test_the_sliding_window_of_the_published_logs(records):
    """Pass k of N = 10 in batches of 4 gives ceil(k N / B) - ceil((k - 1) N / B) batches: 3, 2, 3, 2."""
    val = ImageNetRecordIter(records / "val.rec", records / "val.idx", 4, False, 32, mean=(0, 0, 0),
                             std=(1, 1, 1))
    assert [sum(1 for _ in val.epoch(0)) for _ in range(4)] == [3, 2, 3, 2]


def test_training_epochs_go_on_where_the_one_before_ended(records):
    """24 images, batches of 7: epoch e has ceil(24 (e + 1) / 7) - ceil(24 e / 7) batches, also if resumed."""
    for first in (0, 5):
        train = ImageNetRecordIter(records / "train.rec", records / "train.idx", 7, True, 32, mean=(0, 0, 0),
                                   std=(1, 1, 1))
        lengths = [sum(1 for _ in train.epoch(first + e)) for e in range(5)]
        assert lengths == [4, 3, 4, 3, 4] == [train.batches_in(first + e) for e in range(5)]
    assert list(train.epoch(10, start=3)) == []            # all done: resumed between training and validation
    with pytest.raises(UserError, match="cannot go on at batch 2"):
        next(train.epoch(10, start=2))


def test_the_exact_protocol_counts_every_image_once(records):
    val = ImageNetRecordIter(records / "val.rec", records / "val.idx", 4, False, 32, mean=(0, 0, 0),
                             std=(1, 1, 1), protocol="exact")
    for _ in range(3):
        labels = np.concatenate([batch.label.asnumpy() for batch in val.epoch(0)])
        np.testing.assert_array_equal(labels, np.arange(10) % 4)


# --- real runs ----------------------------------------------------------------------------------------------

def words(folder, *flags):
    threads = [] if "--synthetic" in flags else ["-j", "2"]
    return ["--model", "cifar_resnet20_v1", "--mode", "hybrid", "--classes", "4", "--input-size", "32",
            "--batch-size", "8", *threads, "--save-dir", f"{folder}/params", "--logging-file",
            f"{folder}/run.log", *flags]


def run(folder, *flags, check=0):
    """In a process of its own."""
    done = subprocess.run([sys.executable, "train_imagenet.py", *words(folder, *flags)], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == check, done.stderr
    return done


def here(folder, *flags, check=0):
    """In this process."""
    return run_here(train_imagenet.main, words(folder, *flags), check)


def rec_flags(records):
    return ["--use-rec", "--num-training-samples", "24", *(word for part in ("train", "val") for word in (
        f"--rec-{part}", f"{records}/{part}.rec", f"--rec-{part}-idx", f"{records}/{part}.idx"))]


@pytest.mark.slow
def test_a_run_on_records_speaks_gluoncvs_language_and_learns(records, tmp_path):
    done = here(tmp_path, *rec_flags(records), "--data-backend", "ours", "--num-epochs", "10", "--lr", "0.05",
                "--log-interval", "2", "--lr-mode", "cosine", "--warmup-epochs", "1", "--no-wd",
                "--label-smoothing")
    log = read_log(tmp_path / "run.log")
    assert log.style == "imagenet-C" and len(log.epochs) == 10
    assert log.epochs[-1].train_metric > 0.6 and log.epochs[-1].lr_last_logged == 0
    names = {path.name for path in (tmp_path / "params").iterdir()}
    assert {"imagenet-cifar_resnet20_v1-9.params", "imagenet-cifar_resnet20_v1-9.states"} <= names
    assert any(re.fullmatch(r"0\.\d{4}-imagenet-cifar_resnet20_v1-\d+-best\.params", name) for name in names)
    assert ("warning: global batch 8 (8 x 1) with --lr 0.05; the linear rule 0.1 x 8/256 gives 0.003125"
            in done.stderr)
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"err_top1", "err_top5", "train_s", "time_s"} <= set(records[-1])


@pytest.mark.slow
def test_stopped_and_resumed_equals_uninterrupted(records, tmp_path):
    flags = [*rec_flags(records), "--data-backend", "ours", "--num-epochs", "2", "--lr", "0.02", "--mixup",
             "--ema", "0.9", "--loss-scale", "dynamic", "--accumulate", "2", "--batch-size", "4"]
    here(tmp_path / "stopped", *flags, "--max-updates", "4")
    here(tmp_path / "straight", *flags)           # in between: the resumed run finds other random states
    done = here(tmp_path / "stopped", *flags, "--resume", "auto")
    for name in ("imagenet-cifar_resnet20_v1-1.params", "imagenet-cifar_resnet20_v1-1-ema.params"):
        straight, stopped = (tmp_path / run / "params" / name for run in ("straight", "stopped"))
        assert straight.read_bytes() == stopped.read_bytes()
    assert "global batch 8 = 4 per device x 1 device x 2 accumulated x 1 process" in done.stderr
    assert "[Epoch 1] loss scale 65536, 0 updates skipped so far" in done.stderr
    assert "[Epoch 1] validation of the averaged parameters: ema-err-top1=" in done.stderr
    metrics = [json.loads(line)
               for line in (tmp_path / "stopped" / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"ema_err_top1", "ema_err_top5", "loss_scale_scale", "loss_scale_skipped"} <= set(metrics[-1])
    # this kit's own lines are not read as GluonCV's
    assert len(read_log(tmp_path / "straight" / "run.log").epochs) == 2


@pytest.mark.slow
def test_goes_on_from_what_gluoncvs_script_saves(records, tmp_path):
    """Parameters and .states of epoch 0: the rest is the uninterrupted run's, to the bit."""
    flags = [*rec_flags(records), "--data-backend", "ours", "--num-epochs", "2", "--lr", "0.02",
             "--save-frequency", "1"]
    here(tmp_path / "straight", *flags)
    saved = tmp_path / "straight" / "params" / "imagenet-cifar_resnet20_v1-0"
    here(tmp_path / "on", *flags, "--resume-epoch", "1", "--resume-params", f"{saved}.params",
        "--resume-states", f"{saved}.states")
    name = "params/imagenet-cifar_resnet20_v1-1.params"
    assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "on" / name).read_bytes()
    log = read_log(tmp_path / "on" / "run.log")
    assert [record.epoch for record in log.epochs] == [1]


@pytest.mark.slow
def test_both_validation_protocols_are_logged_at_the_end(records, tmp_path):
    """10 images, batches of 8: pass 3 of MXNet's window is ceil(20 / 8) 8 = 24 to ceil(30 / 8) 8 = 32."""
    lines = {}
    for backend in ("mxnet", "ours"):
        done = here(tmp_path / backend, *rec_flags(records), "--data-backend", backend, "--num-epochs", "3",
                    "--lr", "0.01")
        found = re.search(r"at the end: exact err-top1=(\S+) err-top5=\S+ \(10 images\); "
                          r"gluoncv err-top1=(\S+) err-top5=\S+ \(8 samples\)", done.stderr)
        lines[backend] = float(found[1]), float(found[2])
        last = re.findall(r"\[Epoch 2\] validation: err-top1=(\S+)", done.stderr)[-1]
        # exact first, window second
        assert float(last) == pytest.approx(lines[backend][backend == "mxnet"], abs=1e-5)


def test_a_pass_in_which_no_batch_begins_has_no_window_and_this_is_said(monkeypatch):
    rows = np.array([[1, 1], [0, 1], [0, 0]])
    monkeypatch.setattr(build, "hits", lambda *_, **__: rows)
    args = parse("--batch-size", "8", "--num-epochs", "2", "--synthetic", "--num-training-samples", "8")
    data = ImagenetData(None, None, 2, "", lambda: None)
    line = build.both_protocols(args, None, data, None, "float32", None)
    assert line == ("both validation protocols at the end: exact err-top1=0.666667 err-top5=0.333333 "
                    "(3 images); gluoncv none, as no batch of 8 begins in pass 2 (0 samples)")
    assert noise_kind(line) == "note"


@pytest.mark.parametrize("flags", [["--synthetic", "--num-training-samples", "32", "--emulate-gpus", "2"],
                                   ["--synthetic", "--num-training-samples", "32", "--dtype", "bfloat16"]])
@pytest.mark.slow
def test_other_settings_train(tmp_path, flags):
    start = run if "bfloat16" in flags else here
    assert "stopped by --max-updates 2" in start(tmp_path, *flags, "--max-updates", "2").stderr


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.slow
def test_the_published_resnet50_v1d_mixup_command_made_small(records, tmp_path, dtype):
    """Eight emulated devices of two images, 32 px; the published float16 needs a GPU."""
    words = shlex.split(PUBLISHED["resnet50_v1d-mixup"].command)
    published = words[next(i for i, word in enumerate(words) if word.endswith("train_imagenet.py")) + 1:]
    start = run if dtype == "bfloat16" else here
    done = start(tmp_path, *published, "--num-gpus", "0", "--emulate-gpus", "8", "--batch-size", "2",
                 "--dtype", dtype, *rec_flags(records), "--input-size", "32", "-j", "1", "--auto-lr",
                 "--max-updates", "1", "--logging-file", f"{tmp_path}/run.log", "--save-dir",
                 f"{tmp_path}/params", "--data-backend", "ours")
    assert "stopped by --max-updates 1" in done.stderr
    assert "16 of 55 gammas start at zero; weight decay on weights only" in done.stderr
    assert "global batch 16 = 2 per device x 8 devices, as 8 devices would compute them," in done.stderr


@pytest.mark.slow
def test_the_papers_preset_trains(records, tmp_path):
    done = here(tmp_path, *rec_flags(records), "--as", "paper", "--mixup", "--label-smoothing", "--lr-mode",
                "cosine", "--lr", "0.01", "--num-epochs", "2", "--lr-formula", "logs")
    assert "preset paper; overrides: --lr-formula logs" in done.stderr
    assert len(read_log(tmp_path / "run.log").epochs) == 2


@pytest.mark.slow
def test_mxnets_iterator_trains(records, tmp_path):
    here(tmp_path, *rec_flags(records), "--data-backend", "mxnet", "--num-epochs", "1", "--lr", "0.01")
    assert len(read_log(tmp_path / "run.log").epochs) == 1


def test_missing_records_are_one_sentence(tmp_path):
    lines = run(tmp_path, "--use-rec", "--rec-train", "nowhere.rec", check=2).stderr.splitlines()
    assert len(lines) == 1 and "--rec-train nowhere.rec: does not exist" in lines[0]


def test_a_sample_count_that_is_not_the_datas_is_refused(records, tmp_path):
    flags = rec_flags(records)
    flags[flags.index("24")] = "1000"
    assert "--num-training-samples 1000: the training set has 24" in here(tmp_path, *flags, check=2).stderr


@pytest.mark.slow
def test_the_manifest_has_the_number_of_classes_and_checks_the_data(records, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    classes, splits = list("abcd"), {}
    for name in ("train", "val"):
        for suffix in ("rec", "idx"):
            (data / f"{name}.{suffix}").write_bytes((records / f"{name}.{suffix}").read_bytes())
        reader = RecordReader(data / f"{name}.rec")
        rows = [record_row(i, int(reader.read_image(i)[0]), reader.read(i)) for i in range(len(reader))]
        splits[name] = describe_split(data, name, classes, rows)
    write_manifest(data, Manifest("imagenet", classes, {}, splits, "test"))
    flags = rec_flags(data)
    args = parse(*flags, "--data-backend", "ours", "--batch-size", "8")
    assert open_data(args, ENGINE).classes == 4
    done = here(tmp_path, *flags, "--data-backend", "ours", "--max-updates", "1")
    assert "24 training images of 4 classes, root hash" in done.stderr
    assert "--classes 5: the data have 4" in here(tmp_path / "b", *flags, "--classes", "5", check=2).stderr
    other = tmp_path / "other"
    shutil.copytree(data, other)
    manifest = read_manifest(other)
    write_manifest(other, Manifest("imagenet", list("abdc"), {}, manifest.splits, "test"))
    with pytest.raises(UserError, match="follow another list of classes"):
        open_data(parse(*flags, "--batch-size", "8", "--rec-val", f"{other}/val.rec",
                              "--rec-val-idx", f"{other}/val.idx"), ENGINE)
    with open(data / "val.rec", "r+b") as stream:
        stream.truncate(100)
    assert "val.rec" in here(tmp_path / "c", *flags, check=2).stderr


def copy_of(records, folder, relabel=lambda key, label: label, bad=()):
    """The record files with other labels and images without content."""
    folder.mkdir(exist_ok=True)
    for part in ("train", "val"):
        reader = RecordReader(records / f"{part}.rec")
        images = ((key, relabel(key, reader.read_image(key)[0]), 0,
                   b"no image" if key in bad else reader.read_image(key)[1]) for key in range(len(reader)))
        list(write_image_records(folder / f"{part}.rec", folder / f"{part}.idx", images))
    return folder


@pytest.mark.parametrize("backend", ["ours", "mxnet"])
@pytest.mark.parametrize("relabel, says", [
    (lambda key, label: label + 1, "train.rec, key 3, offset .*: label 4 is not in 0 to 3, the labels of 4 classes .*; "
                                   "the labels start at 1"),
    (lambda key, label: label + 0.5, "train.rec, key 0, offset 0: label 0.5 is no class index"),
    (lambda key, label: -1 if key == 7 else label, "train.rec, key 7, .*: label -1"),
])
def test_labels_that_are_no_class_indices_are_refused_before_anything_is_written(records, tmp_path, backend,
                                                                                 relabel, says):
    data = copy_of(records, tmp_path / "data", relabel)
    done = here(tmp_path / "run", *rec_flags(data), "--data-backend", backend, check=2)
    assert re.search(says, done.stderr) and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_class_without_training_images_is_a_warning(records, tmp_path):
    data = copy_of(records, tmp_path / "data", lambda key, label: 0)
    for part in ("val.rec", "val.idx"):
        shutil.copy(records / part, data / part)
    done = here(tmp_path / "run", *rec_flags(data), "--max-updates", "1")
    assert "warning: all 24 training images have label 0" in done.stderr
    assert ("warning: classes that have validation images but no training image: 1 (3 images), 2 (2 images), "
            "3 (2 images)") in done.stderr


def test_a_class_folder_without_training_images_is_a_warning(records, tmp_path):
    for part, name in (("train", "a"), ("train", "b"), ("val", "a"), ("val", "b")):
        (tmp_path / part / name).mkdir(parents=True)
        if (part, name) != ("train", "b"):
            (tmp_path / part / name / "x.jpg").write_bytes(RecordReader(records / "val.rec").read_image(0)[1])
    args = parse("--data-dir", str(tmp_path), "--batch-size", "1", "--num-training-samples", "1")
    assert open_data(args, ENGINE).warnings == (
        "all 1 training images have label 0",
        "classes that have validation images but no training image: 1 (1 images)")


@pytest.mark.parametrize("size", ["32", "16"])
def test_records_that_mxnets_iterator_cannot_read_are_refused(records, tmp_path, size):
    """Its own validation would end the process with SIGFPE."""
    data = copy_of(records, tmp_path / "data", bad=(5,))
    for part in ("train.rec", "train.idx"):
        shutil.copy(records / part, data / part)
    done = here(tmp_path / "run", *rec_flags(data), "--data-backend", "mxnet", "--input-size", size, check=2)
    assert re.search(r"val.rec, key 5, offset \d+: the image does not decode.*--data-backend ours", done.stderr)


def test_an_index_that_is_given_is_read_instead_of_the_one_next_to_the_file(records, tmp_path):
    data = copy_of(records, tmp_path / "data")
    whole = (data / "train.idx").read_text()
    (data / "train.idx").write_text("".join(whole.splitlines(keepends=True)[:8]))       # stale
    (tmp_path / "whole.idx").write_text(whole)
    flags = [*rec_flags(data), "--classes", "4", "--batch-size", "8"]
    flags[flags.index(f"{data}/train.idx")] = f"{tmp_path}/whole.idx"
    found = open_data(parse(*flags), ENGINE)
    assert found.train.records == 24 and found.warnings == ()
    stale = open_data(parse(*rec_flags(data), "--classes", "4", "--batch-size", "8",
                                  "--num-training-samples", "8"), ENGINE)
    assert stale.train.records == 8
    assert re.fullmatch(rf"--rec-train-idx {data}/train.idx: lists 8 records; \d+ bytes of the record file belong to "
                        "none of them", stale.warnings[0])


def test_a_missing_index_names_the_command_that_makes_it(records, tmp_path):
    data = copy_of(records, tmp_path / "data")
    (data / "val.idx").unlink()
    with pytest.raises(UserError, match=f"--rec-val-idx {data}/val.idx: does not exist; .*records {data}/val.rec "
                                        f"--index {data}/val.idx"):
        open_data(parse(*rec_flags(data), "--batch-size", "8"), ENGINE)


# --- models -------------------------------------------------------------------------------------------------

def test_last_gamma_is_gluoncvs_unless_fixed():
    from gluon_tricks.tricks.zero_gamma import count_zero_gammas
    engine = SingleProcess([mx.cpu()])
    small = ["--classes", "4", "--input-size", "32", "--num-training-samples", "64", "--last-gamma"]
    zeros = {}
    for more in ([], ["--fix-last-gamma"]):
        args = parse(*small, *more)
        net = build.build_net(args, 4, as_asked(args), engine)       # resnet18_v1b: 8 blocks
        zeros[bool(more)] = count_zero_gammas(net)[0]
    assert zeros == {False: 0, True: 8}


def test_use_gn_is_hybridized(tmp_path):
    engine = SingleProcess([mx.cpu()])
    args = train_imagenet.parse_args(["--model", "resnet50_v1b", "--use-gn", "--mode", "hybrid", "--classes",
                                      "4", "--input-size", "32", "--num-training-samples", "64"])
    net = build.build_net(args, 4, as_asked(args), engine)
    assert net(nd.zeros((1, 3, 32, 32))).shape == (1, 4)
    assert not [name for name in net._collect_params_with_prefix() if "running" in name]
