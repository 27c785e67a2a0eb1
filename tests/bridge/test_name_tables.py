"""Tables of names: timm's names and shapes from our nets, and the way back."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.bridge.architectures import ALL_TABLES, ARCHITECTURES
from gluon_tricks.bridge.tables import AS_HERE
from gluon_tricks.bridge.vgg_names import BY_NAME
from gluon_tricks.models.registry import get_model
from tests.bridge.timm_names import read_names

OWN = ["resnet18_v1", "resnet50_v1d", "resnet50_v1e", "resnet50_v1b_gn"]          # shapes known without an image
ZOO = {"mobilenet1.0": 32, "mobilenetv2_1.0": 32, "mobilenetv3_large": 32, "se_resnext50_32x4d": 32,
       "vgg11_bn": 224, "resnest14": 224}
TIMM = read_names()


def arrays_of(model):
    """{structural name: array of one number, another one in each}."""
    net = get_model(model)
    if model in ZOO:
        net.initialize()
        net.infer_shape(nd.zeros((1, 3, ZOO[model], ZOO[model])))
    return {name: np.broadcast_to(np.float32(number), param.shape)            # takes no memory
            for number, (name, param) in enumerate(net._collect_params_with_prefix().items())}


def test_every_architecture_has_timms_names():
    assert TIMM.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("model", [*OWN, *ZOO])
def test_names_and_shapes_are_timms_and_the_way_back_leads_to_ours(model):
    arrays, table = arrays_of(model), ARCHITECTURES[model].table
    there = table.there(arrays)
    assert {name: value.shape for name, value in there.items()} == TIMM[model]
    fits = [other for other in ALL_TABLES if other.here(there, arrays) is not None]
    assert table in fits
    for other in fits:
        back = other.here(there, arrays)
        assert back.keys() == arrays.keys()
        assert all(back[name].shape == value.shape and back[name].flat[0] == value.flat[0]
                   for name, value in arrays.items())


@pytest.mark.parametrize("model", ["inceptionv3", "densenet121", "senet_154", "resnext101e_64x4d"])
def test_names_are_timms_in_nets_whose_shapes_take_long(model):
    with mx.name.NameManager():
        names = get_model(model)._collect_params_with_prefix()
    table = ARCHITECTURES[model].table
    assert {table.name(name) for name in names} == {
        name for name in TIMM[model] if not name.endswith("num_batches_tracked")}


def test_torchvisions_vgg_keeps_dense_layers_dense():
    timm, torchvision = BY_NAME["vgg11"]
    assert timm.name("features.21.weight") == "pre_logits.fc1.weight"
    assert torchvision.name("features.21.weight") == "classifier.0.weight"
    assert torchvision.name("output.bias") == "classifier.6.bias" and not torchvision.kernels


def test_a_bias_that_our_net_lacks_must_be_zero():
    table = ARCHITECTURES["mobilenetv2_1.0"].table
    ours = {"output.0.weight": np.ones((2, 3, 1, 1), "f4")}
    there = table.there(ours)
    assert there["classifier.weight"].shape == (2, 3) and there["classifier.bias"].tolist() == [0, 0]
    np.testing.assert_array_equal(table.here(there, ours)["output.0.weight"], ours["output.0.weight"])
    there["classifier.bias"][1] = 0.5
    assert table.here(there, ours) is None


def test_counters_and_auxiliary_classifiers_do_not_predict():
    file = {"bn.weight": np.ones(1), "bn.num_batches_tracked": np.array(3), "AuxLogits.fc.weight": np.ones(1)}
    assert list(AS_HERE.here(file, ["bn.gamma"])) == ["bn.gamma"]
    assert AS_HERE.here({"other": np.ones(1)}, ["bn.gamma"]) is None
