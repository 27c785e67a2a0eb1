"""Plans of runs: every figure against an independent one."""

import math
import re
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from models.facts import PARAMETERS, SIZES

import train_cifar
import train_imagenet
from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.data.imagenet_augment import ImagenetTestTransform
from gluon_tricks.data.manifest import read_manifest
from gluon_tricks.data.paths import default_record_dir
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.registry import get_model, list_models
from gluon_tricks.optim.lr_schedule import lr_schedule
from gluon_tricks.randomness import MIXUP, generator
from gluon_tricks.script import cifar, imagenet, plan
from gluon_tricks.script.targets import training_targets
from gluon_tricks.tricks.no_bias_decay import exempt_from_decay
from gluon_tricks.tricks.zero_gamma import count_zero_gammas, gammas_from_zero

FP16_ON_8_GPUS = ["--model", "resnet50_v1d", "--mode", "hybrid", "--lr", "0.4", "--lr-mode", "cosine",
                  "--num-epochs", "120", "--batch-size", "128", "--num-gpus", "8", "--use-rec", "--dtype",
                  "float16", "--warmup-epochs", "5", "--last-gamma", "--no-wd", "--label-smoothing"]


def sentences(rows, word):
    """The sentences of a plan under a word."""
    found, here = [], ""
    for row_word, sentence in rows:
        here = row_word or here
        found += [sentence] if here == word else []
    return found


def numbers(text):
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


# --- the net ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", sorted(set(SIZES) & set(list_models())))
@pytest.mark.parametrize("no_wd", [False, True])
@pytest.mark.slow
def test_sizes_and_decay_are_those_of_gluoncvs_parameters(name, no_wd):
    """Names, shapes and what is trained are from GluonCV's nets; --no-wd is the pattern of its script."""
    size, classes = (32, 10) if name.startswith("cifar") else (224, 1000)
    net = get_model(name)
    rows = list(plan.net_rows(net, name, classes, size))
    if no_wd:
        exempt_from_decay(net)
    trained = [fact for fact in PARAMETERS[name].values() if fact.trained]
    assert numbers(sentences(rows, "parameters")[0]) == [SIZES[name].trainable, len(trained),
                                                         SIZES[name].with_statistics]
    assert f"{SIZES[name].multiply_adds / 1e9:.4g} G" in sentences(rows, "model")[0]
    exempt = [fact for fact in trained if no_wd and re.match(".*beta|.*gamma|.*bias", fact.gluon_name)]
    decayed = [fact for fact in trained if fact not in exempt]
    found = sentences(plan.decay_rows(net, 0.0001), "decay")
    assert len(found) == 1 + no_wd
    for sentence, facts in zip(found, [decayed, exempt]):
        sentence = sentence.removeprefix("0.0001 on ")
        ends = sorted({fact.gluon_name.rpartition("_")[2] for fact in facts})
        assert numbers(sentence) == [len(facts), sum(math.prod(fact.shape) for fact in facts),
                                     *(sum(fact.gluon_name.endswith(f"_{end}") for fact in facts)
                                       for end in ends)]
        assert re.findall(r"\*_(\w+)", sentence) == ends


def test_float16_leaves_normalisation_in_float32():
    # ResNet-50-D: 55 BatchNorms with gamma and beta; 55 convolutions and the dense layer's weight and bias
    (_, sentence), = plan.precision_rows(get_model("resnet50_v1d"), "float16", "dynamic")
    assert sentence.startswith("float16: 57 arrays in float16 and 110 arrays in float32; ")
    assert sentence.endswith("loss scale dynamic")
    (_, sentence), = plan.precision_rows(get_model("resnet18_v1"), "float16", is_emulated=True)
    assert sentence.startswith("float16, emulated: ")
    assert list(plan.precision_rows(get_model("resnet18_v1"), "bfloat16")) == [("precision", "bfloat16")]


def test_without_weight_decay_nothing_decays():
    net = get_model("resnet18_v1")
    (word, sentence), = plan.decay_rows(net, 0.0)
    assert word == "decay" and sentence.startswith("none on 62 arrays, 11,689,512 values")


# by counting blocks: ResNet-50 has 3 + 4 + 6 + 3
@pytest.mark.parametrize("name, kwargs, zeros, all_gammas", [
    ("resnet18_v1", {"last_gamma": True}, 8, 20),
    ("resnet50_v1b", {"last_gamma": True}, 16, 53),
    ("resnet50_v1b", {"last_gamma": True, "norm_layer": GroupNorm}, 16, 53),
    ("resnet50_v1d", {}, 0, 55),
    # GluonCV's basic block ignores the flag
    ("resnet18_v1b", {"last_gamma": True, "fix_last_gamma": False}, 0, 20),
    # and its ResNeXt has it inverted
    ("resnext50_32x4d", {"last_gamma": True}, 0, 53),
    ("resnext50_32x4d", {}, 16, 53),
    ("mobilenetv3_small", {"last_gamma": True}, 0, 34),
])
@pytest.mark.slow
def test_gammas_that_start_at_zero_do(name, kwargs, zeros, all_gammas):
    if name.startswith(("resnext", "mobilenet")):
        pytest.importorskip("gluoncv")
    net = get_model(name, **kwargs)
    names, trained = gammas_from_zero(net)
    assert (len(names), trained) == (zeros, all_gammas)
    net.initialize(mx.init.MSRAPrelu())
    net.infer_shape(mx.nd.zeros((1, 3, 64, 64)))
    net(mx.nd.zeros((1, 3, 64, 64)))
    assert count_zero_gammas(net) == (zeros, all_gammas)
    parameters = net._collect_params_with_prefix()
    assert all(parameters[gamma].data().abs().max().asscalar() == 0 for gamma in names)


def test_a_flag_without_effect_is_named():
    assert list(plan.gamma_rows(mx.gluon.nn.Dense(3))) == [("zero gamma", "the model has no gammas")]
    net = get_model("resnet18_v1b", last_gamma=True, fix_last_gamma=False)
    (_, sentence), = plan.gamma_rows(net, asked=True)
    assert sentence == "0 of 20 gammas start at 0; --last-gamma has no effect on this model"
    (_, sentence), = plan.gamma_rows(get_model("resnet50_v1d", last_gamma=True), asked=True)
    assert sentence == "16 of 55 gammas start at 0: layer*.*.bn3.gamma 16"


# --- batch and rate -----------------------------------------------------------------------------------------

def test_batch_arithmetic():
    # 1,281,167 = 1251 x 1024 + 143;  1251 x 120 = 150,120
    rows = list(plan.batch_rows(128, 8, 1_281_167, 120))
    assert sentences(rows, "batch") == ["1024 = 128 per device x 8 devices x 1 process"]
    assert numbers(sentences(rows, "updates")[0]) == [1251, 1_281_167, 143, 150_120, 120]


def corners(rows):
    """{updates done: rate} as a plan prints them."""
    found = [re.match(r"(\S+) +after ([\d,]+) updates", sentence) for sentence in sentences(rows, "rate")[1:]]
    return {int(match[2].replace(",", "")): float(match[1]) for match in found}


def test_the_corners_of_a_cosine():
    schedule = lr_schedule("cosine", 0.4, 120, 1251, 5, formula="logs")
    rows = list(plan.rate_rows(schedule, "cosine", 0.4, 1024, 1251, 120, 5))
    # of 115 epochs after warm-up, one to go
    last = 0.2 * (1 + math.cos(math.pi * (115 * 1251 - 1) / (115 * 1251)))
    assert corners(rows) == pytest.approx({0: 0, 6255: 0.4, 150_119: last}, rel=1e-5)
    assert sentences(rows, "rate")[0] == "cosine, peak 0.4; the linear rule 0.1 x 1024/256 gives 0.4"


def test_the_corners_of_steps():
    rows = list(plan.rate_rows(lr_schedule("step", 0.1, 9, 10, 1, 0.1, [3, 6, 40], formula="paper"), "step",
                               0.1, 256, 10, 9, 1, [3, 6, 40]))
    assert corners(rows) == pytest.approx({0: 0.01, 10: 0.1, 30: 0.01, 60: 0.001, 89: 0.001})


# --- images and targets -------------------------------------------------------------------------------------

@pytest.mark.parametrize("size, ratio, resize", [(224, 0.875, 256), (299, 0.875, 342), (299, 1.16797, 256)])
def test_validation_is_resized_as_the_transform_does(size, ratio, resize):
    assert ImagenetTestTransform(size, ratio).resize == resize
    args = train_imagenet.parse_args(["--model", "resnet18_v1", "--input-size", str(size), "--crop-ratio",
                                      str(ratio)])
    assert sentences(imagenet.plan_of(args), "validation") == [
        f"shorter side to {resize}, centre {size}x{size}, normalise"]


def test_smoothed_targets_of_one_label():
    args = train_imagenet.parse_args(FP16_ON_8_GPUS)
    found, = sentences(imagenet.plan_of(args), "targets")
    # 1 - 0.1 + 0.1 / 1000
    assert found == "0.9001 on the image's class, 0.0001 on each of the other 999"


def test_mixed_targets_are_those_of_the_first_update():
    args = train_imagenet.parse_args([*FP16_ON_8_GPUS, "--mixup", "--seed", "3", "--mixup-off-epoch", "20"])
    rows = list(imagenet.plan_of(args))
    lam = generator(3, MIXUP, 0, 0).beta(0.2, 0.2)
    own, partner, rest, others = map(float,
                                     re.findall(r"[\d.]+(?:e-\d+)?", sentences(rows, "targets")[0])[:4])
    assert (own, partner) == pytest.approx((0.9 * lam + 0.0001, 0.9 * (1 - lam) + 0.0001), rel=1e-4)
    assert (rest, others) == (0.0001, 998)
    assert sentences(rows, "mixup") == [
        "one weight of Beta(0.2, 0.2) per update, partners in reversed order, off in the last 20 epochs"]


def test_the_papers_ways_are_planned_as_such():
    flags = ["--as", "paper", "--colors", "gluoncv", "--mixup", "--teacher", "resnet152_v1d", "--accumulate",
             "2"]
    rows = list(imagenet.plan_of(train_imagenet.parse_args([*FP16_ON_8_GPUS, *flags])))
    assert sentences(rows, "preset") == ["paper, --colors gluoncv"]
    assert "partners in random order" in sentences(rows, "mixup")[0]
    assert sentences(rows, "teacher") == ["resnet152_v1d, temperature 20; weights: labels 1, teacher 1"]
    assert sentences(rows, "batch") == ["2048 = 128 per device x 8 devices x 2 accumulated x 1 process"]
    # warm-up, Eq. of §3.1: i = 1
    assert corners(rows)[0] == pytest.approx(0.4 / (5 * (1_281_167 // 2048)), rel=1e-5)
    lam = generator(0, MIXUP, 0, 0).beta(0.2, 0.2)
    own, partner = map(float, re.findall(r"[\d.]+(?:e-\d+)?", sentences(rows, "targets")[0])[:2])
    eps = 0.1                                                                                  # Eq. 4
    assert own == pytest.approx((1 - eps) * lam + eps / 999 * (1 - lam), rel=1e-4)
    assert partner == pytest.approx((1 - eps) * (1 - lam) + eps / 999 * lam, rel=1e-4)


@pytest.mark.parametrize("flags, says, says_not", [
    (["--use-rec"], ["sides swapped", "brightness, contrast, saturation x 0.6 to 1.4",
                     "mean 123.68, 116.779"], ["hue"]),
    ([], ["log-uniform", "mean 123.675, 116.28"], ["swapped"]),
    (["--use-rec", "--as", "paper"], ["brightness, hue, saturation", "0.75 to 1.33, uniform"],
     ["swapped", "contrast"]),
    (["--data-backend", "dali-gpu", "--num-gpus", "1"], ["no colours, no noise", "mean 123.68, 116.779"],
     ["PCA"]),
])
def test_the_steps_of_the_augmentation_are_those_of_the_flags(flags, says, says_not):
    args = train_imagenet.parse_args(["--model", "resnet18_v1", *flags])
    images = "\n".join(sentences(imagenet.plan_of(args), "images"))
    assert all(words in images for words in says) and not any(words in images for words in says_not)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_hard_targets_of_few_classes(classes):
    args = train_imagenet.parse_args(["--model", "resnet18_v1", "--classes", str(classes)])
    found, = plan.target_rows(training_targets(args, classes, args.dtype, None)[0], classes)
    assert found == ("targets", f"1 on the image's class, 0 on the other {classes - 1}")


# --- the scripts --------------------------------------------------------------------------------------------

def test_a_dry_run_needs_neither_data_nor_gpus_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "nothing"))
    teacher = ["--teacher", "resnet152_v1d", "--use-pretrained"]             # would be downloaded
    assert train_imagenet.main([*FP16_ON_8_GPUS, *teacher, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "1024 = 128 per device x 8 devices x 1 process" in out and "16 of 55 gammas start at 0" in out
    assert "teacher       resnet152_v1d, temperature 20; weights: labels 0.5, teacher 0.5" in out
    assert train_cifar.main(["--model", "cifar_resnet20_v1", "--num-gpus", "4", "--mixup", "--dry-run"]) == 0
    assert "128 = 32 per device x 4 devices x 1 process" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_planned_updates_are_those_of_the_data():
    folder = default_record_dir("cifar10-excerpt")
    images, classes = len(np.load(folder / "train.records.npy")), len(read_manifest(folder).classes)
    assert DATASETS["cifar10-excerpt"][:2] == (images, classes) == (2000, 10)
    args = train_cifar.parse_args(["--model", "cifar_resnet20_v1", "--dataset", "cifar10-excerpt",
                                   "--batch-size", "64"])
    assert "31 per epoch of 2,000 images, 16 over" in sentences(cifar.plan_of(args), "updates")[0]


def test_the_plan_says_what_the_runs_log_says(tmp_path):
    """Opening lines of a real run, of the net after its first forward."""
    flags = ["--model", "cifar_resnet20_v1", "--synthetic", "--classes", "4", "--num-training-samples", "70",
             "--input-size", "32", "--batch-size", "16", "--num-epochs", "1", "--max-updates", "1", "--no-wd",
             "--save-dir", str(tmp_path), "--logging-file", str(tmp_path / "run.log")]
    rows = list(imagenet.plan_of(train_imagenet.parse_args(flags)))
    assert train_imagenet.main(flags) == 0
    log = Path(tmp_path / "run.log").read_text()
    assert sentences(rows, "batch")[0].split(" x 1 process")[0] in log.replace("global batch ", "")
    zero = re.search(r"(\d+ of \d+ gammas start at) zero", log)[1]
    assert sentences(rows, "zero gamma")[0].startswith(zero)
    updates = re.search(r"(\d+) updates/epoch in the schedule", log)[1]
    assert numbers(sentences(rows, "updates")[0])[:1] == numbers(updates)
