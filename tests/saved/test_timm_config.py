"""config.json of timm as the record of the weights next to it."""

import json

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.saved.described import saved_net

# As timm's hub has it for resnet50d.ra2_in1k, with three classes
CONFIG = {"architecture": "resnet50d", "num_classes": 3, "num_features": 2048, "label_names": ["a", "b", "c"],
          "pretrained_cfg": {"input_size": [3, 256, 256], "interpolation": "bicubic", "crop_pct": 0.95,
                             "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "num_classes": 3,
                             "first_conv": "conv1.0", "classifier": "fc"}}


def weights(folder, **changes):
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    return folder / "model.safetensors"


def test_net_classes_and_preparation_come_from_config_json(tmp_path):
    facts = saved_net(weights(tmp_path), {}).facts
    assert (facts.model, facts.classes, facts.class_names) == ("resnet50_v1d", 3, ["a", "b", "c"])
    assert (facts.input_size, facts.crop_ratio) == (256, 0.95)
    assert facts.rgb_mean == pytest.approx((123.675, 116.28, 103.53))
    assert facts.rgb_std == pytest.approx((58.395, 57.12, 57.375))


def test_flags_change_the_preparation_but_not_the_net(tmp_path):
    assert saved_net(weights(tmp_path), {"input_size": 224}).facts.input_size == 224
    with pytest.raises(UserError, match=r"--model resnet50_v1b: .*config\.json says timm's resnet50d, which is "
                                        "resnet50_v1d here"):
        saved_net(weights(tmp_path), {"model": "resnet50_v1b"})


def test_arguments_are_a_part_of_the_net(tmp_path):
    assert saved_net(weights(tmp_path, model_args={"stem_width": 64}), {}).facts.model == "resnet50_v1e"
    with pytest.raises(UserError, match="timm's mobilenetv1_100, which is no net of this kit"):
        saved_net(weights(tmp_path, architecture="mobilenetv1_100"), {})        # ReLU6, GluonCV's has ReLU


def test_two_nets_that_are_one_in_timm_may_both_be_named(tmp_path):
    path = weights(tmp_path, architecture="resnet18")
    assert saved_net(path, {}).facts.model == "resnet18_v1b"
    assert saved_net(path, {"model": "resnet18_v1"}).facts.model == "resnet18_v1"


@pytest.mark.parametrize("content", ["{", '{"architecture": "resnet50d"}', '{"architecture": 1, "num_classes": 2, '
                                     '"pretrained_cfg": {"input_size": [3]}}'])
def test_a_damaged_config_is_refused_with_a_remedy(tmp_path, content):
    path = weights(tmp_path)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json: is no config\.json of timm .*--run-json none and --model"):
        saved_net(path, {})
    assert saved_net(path, {"model": "resnet50_v1d"}, "none").facts.input_size == 224
