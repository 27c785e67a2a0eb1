"""Counting parameters and multiply-adds of nets small enough to count by hand."""

import mxnet as mx
import pytest
from mxnet.gluon import nn

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.models.ready import make_ready
from gluon_tricks.models.registry import get_model
from gluon_tricks.models.sizes import count_multiply_adds, count_parameters, layer_sizes


def small_net(in_channels):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(8, 3, strides=2, padding=1, groups=2, use_bias=False, in_channels=in_channels),
            nn.BatchNorm(in_channels=8),
            nn.Dense(5, in_units=8 * 3 * 3))
    return net


def test_running_statistics_are_counted_but_not_trained():
    # convolution in two groups; gamma, beta; weight; bias
    trained = 8 * (4 // 2) * 3 * 3 + 2 * 8 + 5 * 72 + 5
    assert count_parameters(small_net(in_channels=4)) == (trained, trained + 2 * 8)


def test_frozen_parameters_are_counted_but_not_trained():
    net = nn.Dense(5, in_units=8)
    net.weight.grad_req = "null"
    assert count_parameters(net) == (5, 5 * 8 + 5)


def test_an_unknown_shape_is_an_error_not_a_zero():
    with pytest.raises(ValueError, match=r"conv\d+_weight is still unknown"):
        count_parameters(small_net(in_channels=0))


@pytest.mark.parametrize("in_channels", [4, 0])  # 0: found from the image
def test_multiply_adds_follow_stride_groups_and_image_size(in_channels):
    # 8 channels of 3x3 outputs, each a sum over 2 channels of 3x3 inputs
    convolution = 8 * 3 * 3 * (4 // 2 * 3 * 3)
    dense = 5 * 72
    assert count_multiply_adds(small_net(in_channels), (4, 6, 6)) == convolution + dense


def test_layers_are_described_in_the_order_they_are_computed():
    net = small_net(in_channels=4)
    assert [(layer.weight, layer.kind, layer.output_shape) for layer in layer_sizes(net, (4, 6, 6))] == [
        (net[0].weight.name, "conv 3x3, stride 2, groups 2", (8, 3, 3)),
        (net[2].weight.name, "dense", (5,))]


def test_dilation_is_told():
    net = nn.Conv2D(8, 3, dilation=2, padding=2, in_channels=3)
    assert [layer.kind for layer in layer_sizes(net, (3, 6, 6))] == ["conv 3x3, dilation 2"]


@pytest.mark.parametrize("name, size, made_for", [("googlenet", 32, 224), ("inceptionv3", 224, 299)])
def test_a_net_that_does_not_take_the_size_says_so_where_training_evaluate_and_export_start(name, size, made_for):
    net = get_model(name, classes=2)
    net.initialize()
    says = rf"--model {name}: takes no images of {size}x{size} pixels \(kernel size .*; it is made for {made_for}"
    with pytest.raises(UserError, match=says):
        make_ready(net, size, "float32", "hybrid", SingleProcess([mx.cpu()]), what=f"--model {name}")
