"""Nets that GluonCV does not have: sizes as published and counted here once more, the switches, shake-shake's
passes.
"""

import math

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, nd

from gluon_tricks.errors import UserError
from gluon_tricks.models.cifar_preact import CIFARPreact, PreactBlock
from gluon_tricks.models.cifar_shake_shake import MODES, Shake
from gluon_tricks.models.names import GLUONCV_NETS
from gluon_tricks.models.registry import get_model, list_models
from gluon_tricks.models.sizes import count_parameters

# Millions of parameters as the papers print them for 10 classes
PUBLISHED = {
    "cifar_resnet20_basic": "0.27",                    # 1512.03385, Table 6
    "cifar_resnet110_basic": "1.7",
    "cifar_preact110": "1.7",                          # 1605.07146, Table 5 (pre-activated), and the next two
    "cifar_preact164_bottleneck": "1.7",
    "cifar_preact1001_bottleneck": "10.2",
    "cifar_resnext29_8x64d": "34.4",                   # 1611.05431, Table 7
    "cifar_densenet40_k12": "1.0",                     # 1608.06993, Table 2
    "cifar_densenet100_k12": "7.0",
    "cifar_densenet100_k24": "27.2",
    "cifar_densenet_bc100_k12": "0.8",
    "cifar_densenet_bc250_k24": "15.3",
    "cifar_densenet_bc190_k40": "25.6",
    "cifar_pyramidnet110_a48": "1.7",  # 1610.02915, Table 4; its text floors the channels, its code rounds
    "cifar_pyramidnet110_a84": "3.8",
    "cifar_pyramidnet110_a270": "28.3",
    "cifar_pyramidnet164_a270_bottleneck": "27.0",
    "cifar_pyramidnet272_a200_bottleneck": "26.0",
    "cifar_shake_shake26_2x96d": "26.2",               # 1705.07485, Table 4
}
SMALL = ["cifar_vgg15_bn", "cifar_resnet20_basic", "cifar_preact20", "cifar_se_preact20",
         "cifar_densenet40_k12", "cifar_pyramidnet110_a48", "cifar_shake_shake26_2x32d"]


# --- sizes --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name):
    printed = PUBLISHED[name]
    last_digit = 10 ** -len(printed.partition(".")[2])
    assert count_parameters(get_model(name))[0] / 1e6 == pytest.approx(float(printed), abs=0.6 * last_digit,
                                                                       rel=0.045)


def conv(kernel, before, after):
    return kernel * kernel * before * after


def count_vgg():
    widths = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    return sum(conv(3, a, b) + b + 2 * b for a, b in zip([3, *widths], widths)) + 512 * 10 + 10


def count_preact(depth, width=1, se=0, bottleneck=False, last_bn=False):
    total, before, expansion = conv(3, 3, 16 * width), 16 * width, 4 if bottleneck else 1
    for inner in (16 * width, 32 * width, 64 * width):
        for _ in range((depth - 2) // (9 if bottleneck else 6)):
            after = inner * expansion
            convs = [(1, before, inner), (3, inner, inner), (1, inner, after)] if bottleneck else [
                (3, before, inner), (3, inner, inner)]
            total += sum(conv(*c) + 2 * c[1] for c in convs)  # gamma and beta of the input's channels
            total += conv(1, before, after) if before != after else 0
            total += 2 * after if last_bn else 0
            total += 2 * after * (after // 16) + after // 16 + after if se else 0
            before = after
    return total + 2 * before + 10 * before + 10


def count_densenet(depth, k, bc=False):
    channels, total, layers = (2 * k if bc else 16), 0, (depth - 4) // (6 if bc else 3)
    total = conv(3, 3, channels)
    for block in range(3):
        for _ in range(layers):
            total += 2 * channels + (conv(1, channels, 4 * k) + 8 * k + conv(3, 4 * k, k) if bc
                                     else conv(3, channels, k))
            channels += k
        total += 2 * channels
        if block < 2:
            total += conv(1, channels, channels // 2 if bc else channels)
            channels = channels // 2 if bc else channels
    return total + 10 * channels + 10


def count_pyramid(n, alpha):
    widths = [16] + [math.floor(16 + alpha * i / (3 * n) + 0.5) for i in range(1, 3 * n + 1)]
    blocks = sum(2 * a + conv(3, a, b) + 2 * b + conv(3, b, b) + 2 * b for a, b in zip(widths, widths[1:]))
    return conv(3, 3, 16) + 32 + blocks + 2 * widths[-1] + 10 * widths[-1] + 10


def count_shake_shake(width):
    total, before = conv(3, 3, 16) + 32, 16
    for after in (width, 2 * width, 4 * width):
        total += conv(1, before, after) + 2 * after                              # the shortcut's two halves
        for _ in range(4):
            total += 2 * (conv(3, before, after) + conv(3, after, after) + 4 * after)
            before = after
    return total + 10 * before + 10


@pytest.mark.parametrize("name, count", [
    ("cifar_vgg15_bn", count_vgg()), ("cifar_preact20", count_preact(20)),
    ("cifar_preact50", count_preact(50)),
    ("cifar_preact56", count_preact(56)), ("cifar_preact20_w4", count_preact(20, 4)),
    ("cifar_preact50_w4", count_preact(50, 4)), ("cifar_preact164_bottleneck",
                                                 count_preact(164, bottleneck=True)),
    ("cifar_se_preact20", count_preact(20, se=16)), ("cifar_se_preact110", count_preact(110, se=16)),
    ("cifar_densenet40_k12", count_densenet(40, 12)), ("cifar_densenet_bc100_k12",
                                                       count_densenet(100, 12, True)),
    ("cifar_pyramidnet110_a48", count_pyramid(18, 48)), ("cifar_pyramidnet110_a84", count_pyramid(18, 84)),
    *((f"cifar_shake_shake26_2x{width}d", count_shake_shake(width)) for width in (32, 64, 96, 128))])
def test_sizes_are_those_of_an_independent_count(name, count):
    assert count_parameters(get_model(name))[0] == count


def test_every_net_is_counted_above_or_in_gluoncvs_facts():
    counted = {*PUBLISHED, "cifar_vgg15_bn", "cifar_preact20", "cifar_preact50", "cifar_preact56",
               "cifar_preact20_w4", "cifar_preact50_w4", "cifar_se_preact20", "cifar_se_preact110",
               *(f"cifar_shake_shake26_2x{width}d" for width in (32, 64, 128))}
    odd = {"cifar_resnet164_bottleneck", "cifar_resnext29_4x64d"}                # see below
    assert set(list_models()) - set(GLUONCV_NETS) == counted | odd
    post, pre = (count_parameters(get_model(f"cifar_{name}164_bottleneck"))[0]
                 for name in ("resnet", "preact"))
    # the same convolutions; BatchNorms of 4 x 16 + 4 x 32 + 4 x 64 (shortcuts) and the place of the others
    # differ
    assert post - pre == 896
    assert 2 * 8.4e6 < count_parameters(get_model("cifar_resnext29_4x64d"))[0] < 34.4e6


# --- shapes and modes ---------------------------------------------------------------------------------------

def initialized(net):
    mx.random.seed(3)
    net.initialize(mx.init.Xavier())
    return net


@pytest.mark.parametrize("name", SMALL)
def test_compiled_equals_imperative_in_prediction(name):
    net, data = initialized(get_model(name)), nd.random.normal(shape=(2, 3, 32, 32))
    imperative = net(data).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    np.testing.assert_allclose(net(data).asnumpy(), imperative, rtol=1e-4,
                               atol=1e-5 * np.abs(imperative).max())


@pytest.mark.parametrize("name", [*SMALL, "cifar_resnet20_v1", "cifar_resnet20_v2", "cifar_wideresnet16_10"])
def test_grey_images_of_28_pixels_are_taken(name):
    net = initialized(get_model(name, classes=7, in_channels=1))
    assert net(nd.zeros((2, 1, 28, 28))).shape == (2, 7)


def test_first_relu_and_last_bn_change_what_their_names_say():
    with_bn = count_parameters(get_model("cifar_preact20", last_bn=True))[0]
    assert with_bn == count_preact(20, last_bn=True) == count_preact(20) + 2 * 3 * (16 + 32 + 64)
    graph = get_model("cifar_preact20", first_relu=False,
                      preact_stages=(False,) * 3)(mx.sym.Variable("data")).tojson()
    relus = graph.count('"act_type": "relu"') + graph.count('"op": "relu"')
    assert relus == 9 + 1                          # the second of each of 9 blocks, and the net's last


@pytest.mark.parametrize("activated", [False, True])
def test_the_shortcut_starts_before_or_after_the_activation(activated):
    block = initialized(PreactBlock("basic", 4, 4, 1, activated_shortcut=activated))
    block.rest[-1].weight.set_data(nd.zeros(block.rest[-1].weight.shape))            # no residual
    data = nd.random.normal(shape=(2, 4, 5, 5))
    expected = np.maximum(data.asnumpy() / np.sqrt(1 + 1e-5), 0) if activated else data.asnumpy()
    np.testing.assert_allclose(block(data).asnumpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_pyramid_shortcut_is_a_mean_and_zeros():
    from gluon_tricks.models.cifar_pyramidnet import PyramidBlock
    block = initialized(PyramidBlock("basic", 5, 3, 2))
    block.body[-1].gamma.set_data(nd.zeros(5))                                       # no residual
    data = np.random.default_rng(0).random((2, 3, 4, 4), np.float32)
    expected = np.zeros((2, 5, 2, 2))
    expected[:, :3] = data.reshape(2, 3, 2, 2, 2, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(block(nd.array(data)).asnumpy(), expected, rtol=1e-6)


# --- shake-shake --------------------------------------------------------------------------------------------

class Reference(autograd.Function):
    """The paper's two passes, each written down as it stands."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = a, b

    def forward(self, first, second):
        return self.a * first + (1 - self.a) * second

    def backward(self, out):
        return self.b * out, (1 - self.b) * out


def shaken(mode, hybrid, n=6):
    shake = Shake(mode)
    if hybrid:
        shake.hybridize()
    mx.random.seed(11)
    first, second = (nd.random.normal(shape=(n, 2, 3, 3)) for _ in range(2))
    for branch in (first, second):
        branch.attach_grad()
    with autograd.record():
        out = shake(first, second)
    out.backward()
    return first, second, out


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_values_and_gradients_have_the_weights_of_the_mode(mode, hybrid):
    first, second, out = shaken(mode, hybrid)
    difference = (first - second).asnumpy()
    a = ((out - second).asnumpy() * difference).sum(axis=(1, 2, 3)) / (difference**2).sum(axis=(1, 2, 3))
    b = first.grad.asnumpy()[:, 0, 0, 0]
    # both passes once more, by an autograd function of Python, from the weights found
    again = [branch.copy() for branch in (first, second)]
    for branch in again:
        branch.attach_grad()
    a_array, b_array = (nd.array(weights.reshape(-1, 1, 1, 1)) for weights in (a, b))
    with autograd.record():
        expected = Reference(a_array, b_array)(*again)
    expected.backward()
    np.testing.assert_allclose(out.asnumpy(), expected.asnumpy(), rtol=1e-4, atol=1e-5)
    for branch, reference in zip((first, second), again):
        np.testing.assert_allclose(branch.grad.asnumpy(), reference.grad.asnumpy(), rtol=1e-5)
    forward, backward, level = mode.split("-")
    for weights, kind in ((a, forward), (b, backward if backward != "K" else forward)):
        assert (weights >= -1e-4).all() and (weights <= 1 + 1e-4).all()
        spread = np.ptp(weights)
        assert spread < 1e-4 if kind == "E" or level == "B" else spread > 0.05
        assert abs(weights - 0.5).max() < 1e-4 if kind == "E" else abs(weights - 0.5).max() > 1e-3
    same = np.allclose(a, b, atol=1e-4)
    assert same == (backward == "K" or (forward, backward) == ("E", "E"))


def test_shaking_is_uniform_and_follows_the_seed():
    first, second, out = shaken("S-S-I", True, n=4000)
    a = ((out - second) / (first - second)).asnumpy()[:, 0, 0, 0]
    assert np.abs(np.sort(a) - np.linspace(0, 1, 4000)).max() < 0.04             # Kolmogorov-Smirnov
    assert (shaken("S-S-I", False)[2] == shaken("S-S-I", False)[2]).asnumpy().all()


def test_prediction_takes_the_mean_of_the_branches():
    shake = Shake()
    shake.hybridize()
    first, second = (nd.random.normal(shape=(3, 2, 4, 4)) for _ in range(2))
    np.testing.assert_allclose(shake(first, second).asnumpy(), ((first + second) / 2).asnumpy(), rtol=1e-5,
                               atol=1e-6)


def test_an_unknown_mode_is_refused():
    with pytest.raises(UserError, match="shake must be one of S-S-I"):
        get_model("cifar_shake_shake26_2x32d", shake="S-S-X")


def test_a_depth_that_does_not_fit_is_our_mistake():
    with pytest.raises(AssertionError, match="no basic net of depth 21"):
        CIFARPreact(21)
