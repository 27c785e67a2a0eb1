"""What is peculiar to the ResNets. Their names, shapes and sizes: see test_facts.py."""

import gc
import json

import mxnet as mx
import numpy as np
import pytest
from facts import PARAMETERS, SHALLOW_RESNETS
from mxnet import autograd, nd
from mxnet.gluon import nn

from gluon_tricks.errors import UserError
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.registry import get_model
from gluon_tricks.models.resnet import VARIANTS
from gluon_tricks.models.sizes import count_multiply_adds, layer_sizes

BLOCKS = {"18": 8, "34": 16, "50": 16}  # 2+2+2+2, 3+4+6+3, 3+4+6+3


def initialized(name, **kwargs):
    gc.collect()  # the nets before: cycles of references, of up to a quarter of a GB
    mx.random.seed(7)
    net = get_model(name, **kwargs)
    net.initialize(mx.init.Xavier())
    return net


def images(size=64):
    return nd.random.normal(shape=(2, 3, size, size))


def residual_blocks(net):
    """[(residual block, its number of input channels)]"""
    stages = net.features[4:8] if hasattr(net, "features") else [net.layer1, net.layer2, net.layer3,
                                                                 net.layer4]
    blocks = [block for stage in stages for block in stage]
    first = [block.body[0] if hasattr(block, "body") else block.conv1 for block in blocks]
    return [(block, convolution.weight.shape[1]) for block, convolution in zip(blocks, first)]


def last_gamma(block):
    """Gamma of the last normalization of path A."""
    return (block.body[-1] if hasattr(block, "body") else getattr(block, "bn3", None) or block.bn2).gamma


def operators(net, **attributes):
    """Operators of a net's graph, in the order they are computed; only those with these attributes."""
    nodes = json.loads(net(mx.sym.Variable("data")).tojson())["nodes"]
    return [node["op"] for node in nodes if attributes.items() <= node.get("attrs", {}).items()]


def strided(name):
    """The layers with stride 2: {weight in a .params file: kind}."""
    net = get_model(name)
    keys = {parameter.name: key for key, parameter in net._collect_params_with_prefix().items()}
    return {keys[layer.weight]: layer.kind for layer in layer_sizes(net, (3, 224, 224))
            if "stride 2" in layer.kind}


# --- The three tweaks ---------------------------------------------------------------------------------------

def test_each_variant_of_the_paper_turns_one_more_switch():
    switches = {name: sum((tweaks.stride_3x3, tweaks.deep_stem, tweaks.avg_down)) for name,
                tweaks in VARIANTS.items()}
    assert [switches[name] for name in ("v1", "v1b", "v1c", "v1d")] == [0, 1, 2, 3]


def test_resnet_b_moves_the_stride_of_path_a_to_its_3x3_convolution():  # Figure 2a
    assert strided("resnet50_v1") == {
        "features.0.weight": "conv 7x7, stride 2",
        **{f"features.{stage}.0.{layer}.weight": "conv 1x1, stride 2"
           for stage in (5, 6, 7) for layer in ("body.0", "downsample.0")}}
    assert strided("resnet50_v1b") == {
        "conv1.weight": "conv 7x7, stride 2",
        **{f"layer{stage}.0.conv2.weight": "conv 3x3, stride 2" for stage in (2, 3, 4)},
        **{f"layer{stage}.0.downsample.0.weight": "conv 1x1, stride 2" for stage in (2, 3, 4)}}


def test_resnet_c_has_three_3x3_convolutions_for_a_stem():  # Figure 2b
    stem = [(layer.kind, layer.output_shape) for layer in layer_sizes(get_model("resnet50_v1c"),
                                                                      (3, 224, 224))[:3]]
    assert stem == [("conv 3x3, stride 2", (32, 112, 112)), ("conv 3x3", (32, 112, 112)),
                    ("conv 3x3", (64, 112, 112))]


def test_resnet_d_averages_in_path_b_in_place_of_a_stride():  # Figure 2c
    assert strided("resnet50_v1d") == {
        "conv1.0.weight": "conv 3x3, stride 2",
        **{f"layer{stage}.0.conv2.weight": "conv 3x3, stride 2" for stage in (2, 3, 4)}}
    assert operators(get_model("resnet50_v1d"), pool_type="avg", kernel="(2, 2)",
                     stride="(2, 2)") == ["Pooling"] * 3
    assert "Pooling" not in operators(get_model("resnet50_v1c"), pool_type="avg")


def test_path_b_of_resnet_d_sees_every_input_and_that_of_resnet_c_a_quarter():
    for name, share in [("resnet50_v1c", 1 / 4), ("resnet50_v1d", 1)]:
        path_b = initialized(name).layer2[0].downsample
        data = nd.ones((1, 256, 8, 8))
        data.attach_grad()
        with autograd.record(train_mode=False):
            path_b(data).sum().backward()
        assert (data.grad.asnumpy() != 0).any(axis=1).mean() == share


# --- Zero gamma (§3.1) --------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", SHALLOW_RESNETS)
@pytest.mark.slow
def test_zero_gamma_starts_every_residual_block_as_its_shortcut(name):
    blocks = residual_blocks(initialized(name, last_gamma=True, classes=10))
    assert len(blocks) == BLOCKS[name[6:].split("_")[0]]
    for block, in_channels in blocks:
        data = nd.random.normal(shape=(2, in_channels, 4, 4))
        for train_mode in (False, True):
            with autograd.record(train_mode=train_mode):
                shortcut = data if block.downsample is None else block.downsample(data)
                assert (block(data) == nd.relu(shortcut)).asnumpy().all()


@pytest.mark.parametrize("name", ["resnet18_v1", "resnet18_v1b", "resnet50_v1d", "resnet50_v1b_gn"])
@pytest.mark.slow
def test_zero_gamma_is_the_last_of_each_block_only(name):
    for zero in (False, True):
        net = initialized(name, last_gamma=zero)
        last = {last_gamma(block) for block, _ in residual_blocks(net)}
        for key, parameter in net._collect_params_with_prefix().items():
            if key.endswith("gamma"):
                assert (parameter.data().asnumpy() == (0 if zero and parameter in last else 1)).all(), key


def test_without_zero_gamma_residual_blocks_are_not_their_shortcuts():
    for block, in_channels in residual_blocks(initialized("resnet18_v1b")):
        data = nd.random.normal(shape=(2, in_channels, 4, 4))
        shortcut = data if block.downsample is None else block.downsample(data)
        assert (block(data) != nd.relu(shortcut)).asnumpy().any()


# --- The other options --------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["resnet18_v1b", "resnet50_v1b", "resnet50_v1d"])
@pytest.mark.slow
def test_dilated_nets_keep_an_eighth_of_height_and_width(name):
    def features(net):
        x = net.maxpool(net.relu(net.bn1(net.conv1(nd.zeros((1, 3, 64, 64))))))
        return net.layer4(net.layer3(net.layer2(net.layer1(x))))

    channels = 512 if "18" in name else 2048
    assert features(initialized(name)).shape == (1, channels, 2, 2)
    assert features(initialized(name, dilated=True)).shape == (1, channels, 8, 8)


@pytest.mark.parametrize("name", ["resnet18_v1b", "resnet50_v1d"])
def test_dilated_nets_have_the_same_parameters(name):
    parameters = get_model(name, dilated=True)._collect_params_with_prefix()
    assert ({key: parameter.shape for key, parameter in parameters.items()}
            == {key: fact.shape for key, fact in PARAMETERS[name].items()})


def test_final_drop_acts_before_the_classifier_in_training_only():
    assert "Dropout" not in operators(get_model("resnet18_v1b"))
    net, data = initialized("resnet18_v1b", final_drop=0.5), images()
    computed = [op for op in operators(net) if op != "null"]
    assert computed[-2:] == ["Dropout", "FullyConnected"]
    with autograd.predict_mode():
        assert (net(data) == net(data)).asnumpy().all()
    with autograd.train_mode():
        assert (net(data) != net(data)).asnumpy().any()


@pytest.mark.parametrize("final_drop", [-0.1, 1.0])
def test_final_drop_is_a_share(final_drop):
    with pytest.raises(UserError, match=rf"final_drop must be in \[0, 1\), got {final_drop}"):
        get_model("resnet50_v1d", final_drop=final_drop)


def test_global_statistics_make_training_normalize_as_evaluation_does():
    net, data = initialized("resnet18_v1b", use_global_stats=True), images()
    with autograd.train_mode():
        training = net(data).asnumpy()
    np.testing.assert_allclose(training, net(data).asnumpy(), rtol=1e-5, atol=1e-5 * np.abs(training).max())


def test_group_norm_has_no_statistics_to_use():
    with pytest.raises(UserError, match="use_global_stats is for BatchNorm.*leave it out"):
        get_model("resnet50_v1b_gn", use_global_stats=True)


@pytest.mark.parametrize("name", ["resnet18_v1", "resnet50_v1d"])
def test_any_net_can_be_group_normalized(name):
    net = get_model(name, norm_layer=GroupNorm)
    assert "BatchNorm" not in operators(net)
    assert not any("running" in key for key in net.collect_params())


def test_thumbnails_meet_a_single_3x3_convolution():
    net = get_model("resnet18_v1", thumbnail=True, classes=10)
    assert [(layer.kind, layer.output_shape)
            for layer in layer_sizes(net, (3, 32, 32))[:1]] == [("conv 3x3", (64, 32, 32))]
    assert count_multiply_adds(net, (3, 32, 32)) > 10 * count_multiply_adds(get_model("resnet18_v1"),
                                                                            (3, 32, 32))


@pytest.mark.parametrize(("name", "keyword"), [
    ("resnet50_v1d", "thumbnail"),   # as in GluonCV, v1 only
    ("resnet50_v1", "dilated"),      # v1b and later only
    ("resnet50_v1", "use_se"),
    ("resnet50_v1d", "last_gama"),
    ("resnet50_v1d", "variant"),     # the name says it
])
def test_a_keyword_a_resnet_does_not_take_is_named(name, keyword):
    with pytest.raises(UserError, match=f"model {name} takes no {keyword}"):
        get_model(name, **{keyword: True})


# --- In MXNet -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["resnet18_v1", "resnet34_v1b", "resnet50_v1", "resnet50_v1d",
                                  "resnet50_v1b_gn"])
@pytest.mark.parametrize("train_mode", [False, True])
@pytest.mark.slow
def test_hybridized_equals_imperative(name, train_mode):
    net, data = initialized(name, classes=10), images()
    with autograd.record(train_mode=train_mode):
        imperative = net(data).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    with autograd.record(train_mode=train_mode):
        hybridized = net(data).asnumpy()
    assert imperative.shape == (2, 10)
    np.testing.assert_allclose(hybridized, imperative, rtol=1e-5, atol=1e-5 * np.abs(imperative).max())


@pytest.mark.parametrize("name", SHALLOW_RESNETS)
@pytest.mark.slow
def test_no_global_pooling_operator_slows_the_backward(name):  # see GlobalMean
    net = get_model(name)
    assert "mean" in operators(net)
    assert "Pooling" not in operators(net, global_pool="True")


@pytest.mark.parametrize(("name", "expected"), [
    ("resnet50_v1", 53 + 53 + 32 + 1),  # gammas, betas, biases of 16 x 2 convolutions and of the classifier
    ("resnet50_v1d", 55 + 55 + 1),
    ("resnet50_v1b_gn", 53 + 53 + 1),
])
def test_no_bias_decay_finds_every_normalization_and_bias(name, expected):  # §3.1; the pattern is --no-wd's
    assert len(get_model(name).collect_params(".*beta|.*gamma|.*bias").keys()) == expected


def both(prefix):
    """A block with a teacher and a student of the same kind as children."""
    block = nn.HybridSequential()
    block.add(get_model("resnet18_v1b", prefix=prefix), get_model("resnet18_v1b"))
    return block


def test_two_nets_of_a_kind_share_gluon_names_unless_one_gets_a_prefix():
    with pytest.raises(AssertionError, match="same name|different Parameters"):
        both(prefix=None).collect_params()
    assert len(both(prefix="teacher_").collect_params().keys()) == 2 * len(PARAMETERS["resnet18_v1b"])
