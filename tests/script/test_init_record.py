"""The record next to --init-params: what it fills in, what it refuses, what it warns of."""

from types import SimpleNamespace

import pytest

import train_cifar
import train_imagenet
from gluon_tricks.errors import UserError
from gluon_tricks.saved.record import NetFacts
from gluon_tricks.script.fine_tuning import record_lines
from gluon_tricks.script.init_record import check_net, init_run
from gluon_tricks.script.transfer import first_weights
from gluon_tricks.training.record import write_params_record

NAMES = ["ant", "bee", "cow"]
FACTS = NetFacts("resnet18_v1b", {"use_gn": True}, 3, NAMES, "imagenet", 160, 3, "center", 0.9, (100.0, 110.0, 90.0),
                 (50.0, 60.0, 70.0))


def recorded(folder, facts=FACTS):
    """A file and the record of its training; what it holds is not read when flags are."""
    path = folder / "net.params"
    path.write_bytes(b"parameters")
    write_params_record(path, {"net": facts._asdict(), "args": {}, "dtype": "float32"})
    return str(path)


def test_train_imagenet_takes_net_and_images_from_the_record(tmp_path):
    args = train_imagenet.parse_args(["--init-params", recorded(tmp_path)])
    assert (args.model, args.use_gn, args.input_size, args.crop_ratio) == ("resnet18_v1b", True, 160, 0.9)
    assert args.rgb_mean == FACTS.rgb_mean and args.rgb_std == FACTS.rgb_std and args.classes is None


def test_flags_of_the_images_win_over_the_record_also_with_their_default(tmp_path):
    args = train_imagenet.parse_args(["--init-params", recorded(tmp_path), "--input-size", "224", "--rgb-mean",
                                      "1,2,3"])
    assert (args.input_size, args.rgb_mean, args.rgb_std) == (224, (1, 2, 3), FACTS.rgb_std)


def test_train_cifar_takes_the_net_from_the_record(tmp_path):
    facts = FACTS._replace(model="cifar_preact20", switches={"last_bn": True, "in_channels": 1, "drop_rate": 0})
    args = train_cifar.parse_args(["--init-params", recorded(tmp_path, facts)])
    assert args.model == "cifar_preact20" and args.model_kwargs == ["last_bn=True"]
    assert train_cifar.parse_args(["--init-params", recorded(tmp_path), "--model", "x"]).model == "x"


@pytest.mark.parametrize("flags", [[], ["--init-params", "zoo"], ["--init-params", "no_record.params"]])
def test_without_a_record_the_model_must_be_named(flags):
    with pytest.raises(UserError, match="^--model: give the name of the model"):
        train_imagenet.parse_args(flags)
    assert train_imagenet.parse_args([*flags, "--model", "resnet18_v1b"]).input_size == 224


def test_a_plan_needs_no_flag_but_the_file(tmp_path, capsys):
    assert train_imagenet.main(["--init-params", recorded(tmp_path), "--dry-run", "--classes", "4",
                                "--num-training-samples", "64"]) == 0
    said = capsys.readouterr().out
    assert "resnet18_v1b" in said and "160" in said


@pytest.mark.parametrize("changes, says", [
    ({"model": "resnet34_v1b"}, "is of a resnet18_v1b, as .*net.json says, not of a resnet34_v1b"),
    ({"switches": {}}, "its resnet18_v1b was made with use_gn=True, as .* says, this one with none; give the same")])
def test_the_record_of_another_net_is_refused(changes, says, tmp_path):
    path = recorded(tmp_path)
    with pytest.raises(UserError, match=f"^--init-params {path}: {says}"):
        list(record_lines(path, FACTS._replace(**changes)))


def test_dropout_and_channels_and_equal_names_of_one_net_are_no_contradiction(tmp_path):
    path = recorded(tmp_path, FACTS._replace(model="resnext50_32x4d", switches={"use_se": True, "fix_use_se": True}))
    assert len(list(record_lines(path, FACTS._replace(model="se_resnext50_32x4d", switches={"drop_rate": 0.3})))) == 1
    check_net("--backbone-params", path, init_run(path), "SE_ResNeXt50_32x4d")


def test_a_base_of_another_net_is_refused(tmp_path):
    path = recorded(tmp_path)
    args = SimpleNamespace(resume="", backbone_params=path, init="gluoncv", pretrained_base=False)
    with pytest.raises(UserError, match=f"^--backbone-params {path}: is of a resnet18_v1b, .* not of a resnet50_v1s"):
        first_weights(args, None, "resnet50", resumed=False)


def test_a_net_of_another_task_is_refused(tmp_path):
    path = recorded(tmp_path, FACTS._replace(task="segmentation"))
    with pytest.raises(UserError, match=f"^--init-params {path}: is a net for segmentation, as .* give a classifier"):
        train_imagenet.parse_args(["--init-params", path])


def test_the_record_of_other_parameters_is_refused(tmp_path):
    path = recorded(tmp_path)
    (tmp_path / "net.params").write_bytes(b"other parameters")
    with pytest.raises(UserError, match="is of other parameters: their SHA-256 differs"):
        train_imagenet.parse_args(["--init-params", path])


def test_other_images_and_classes_are_warned_of_and_equal_ones_are_not(tmp_path):
    path = recorded(tmp_path)
    [line] = record_lines(path, FACTS)
    assert line == f"--init-params {path}: of a resnet18_v1b for 3 classes, as {tmp_path}/net.json says"
    own = FACTS._replace(input_size=224, crop_ratio=0.875, rgb_mean=(124.0, 117.0, 104.0),
                         class_names=["ant", "cow", "bee"])
    _, size, ratio, mean, classes = record_lines(path, own)
    assert size == f"warning: --init-params {path}: was trained with --input-size 160, this run has 224"
    assert "--crop-ratio 0.9, this run has 0.875" in ratio
    assert "mean 100,110,90 and deviation 50,60,70, this run has mean 124,117,104" in mean
    assert "label 1 is 'bee', but 'cow' in the training set" in classes and classes.startswith("warning: ")
    assert len(list(record_lines(path, FACTS._replace(classes=4, class_names=list("abcd"))))) == 1
    half = FACTS._replace(rgb_mean=(100.5, 110.5, 90.5))               # GluonCV's own values differ so
    assert len(list(record_lines(path, half))) == 1
