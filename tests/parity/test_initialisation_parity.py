"""How nets start: the law of every layer's weights, by formula and against GluonCV's initialised nets.

    train_imagenet.py   MSRAPrelu: normal, variance 2 / (1 + 0.25^2) / mean(fan_in, fan_out)
    train_cifar.py      Xavier: uniform, bound sqrt(3 / mean(fan_in, fan_out)): the paper's sqrt(6 / (in +
                        out)), with the kernel's area in the fans

Kolmogorov-Smirnov tests at 1e-5; seeds are fixed, so what passes once passes always.
"""

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from scipy import stats

import train_cifar
import train_imagenet
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.script import cifar, imagenet
from gluon_tricks.script.auto_dtype import as_asked

ENGINE = SingleProcess([mx.cpu()])
LEAST_P, AT_MOST = 1e-5, 20000           # values of an array that are looked at


def mean_fan(shape):
    area = np.prod(shape[2:])            # 1 for a dense layer
    return (shape[0] + shape[1]) * area / 2


def msra_prelu(shape):
    return stats.norm(0, np.sqrt(2 / (1 + 0.25**2) / mean_fan(shape)))


def xavier(shape):
    bound = np.sqrt(3 / mean_fan(shape))
    return stats.uniform(-bound, 2 * bound)


def imagenet_net(model, *flags):
    args = train_imagenet.parse_args(["--model", model, "--classes", "100", "--input-size", "32",
                                      "--num-training-samples", "64", *flags])
    keywords = {name: value for name, value in imagenet.model_keywords(args).items()
                if not name.startswith("fix_")}
    return imagenet.build_net(args, args.classes, as_asked(args), ENGINE), keywords


def cifar_net(model, *flags):
    args = train_cifar.parse_args(["--model", model, *flags])
    return cifar.build_net(args, 100, as_asked(args), ENGINE), {}


CASES = {
    "resnet18_v1": (imagenet_net, mx.init.MSRAPrelu, msra_prelu, []),
    "resnet50_v1d": (imagenet_net, mx.init.MSRAPrelu, msra_prelu, ["--last-gamma"]),
    "resnet18_v1b": (imagenet_net, mx.init.MSRAPrelu, msra_prelu, ["--last-gamma"]),  # ignored, as in GluonCV
    "cifar_resnet20_v2": (cifar_net, mx.init.Xavier, xavier, []),
    "cifar_wideresnet16_10": (cifar_net, mx.init.Xavier, xavier, ["--drop-rate", "0.3"]),
    "cifar_resnext29_32x4d": (cifar_net, mx.init.Xavier, xavier, []),
}


@pytest.mark.parametrize("model", CASES)
@pytest.mark.slow
def test_weights_have_gluoncvs_law_and_the_rest_its_values(model):
    zoo = pytest.importorskip("gluoncv.model_zoo", exc_type=ImportError)
    build, initializer, law, flags = CASES[model]
    ours, kwargs = build(model, *flags)
    mx.random.seed(99)
    theirs = zoo.get_model(model, classes=100, **kwargs)
    theirs.initialize(initializer())
    theirs(nd.zeros((1, 3, 32, 32)))  # shapes are known, and arrays filled, after a forward
    expected = theirs._collect_params_with_prefix()
    got = ours._collect_params_with_prefix()
    assert got.keys() == expected.keys()
    for name, param in got.items():
        mine, other = param.data().asnumpy(), expected[name].data().asnumpy()
        assert mine.shape == other.shape, name
        if not name.endswith("weight"):                   # gammas, betas, biases, running statistics
            np.testing.assert_array_equal(mine, other, name)
            continue
        assert (mine != other).mean() > 0.99, f"{name}: not drawn at all"
        standard_error = 1 / np.sqrt(2 * mine.size)       # of a normal's deviation; a uniform's has less
        assert mine.std() == pytest.approx(law(mine.shape).std(), rel=5 * standard_error), name
        mine, other = mine.ravel()[:AT_MOST], other.ravel()[:AT_MOST]
        assert stats.kstest(mine, law(param.shape).cdf).pvalue > LEAST_P, name
        assert stats.ks_2samp(mine, other).pvalue > LEAST_P, name
        if law is xavier:                                 # same support
            assert np.abs(mine).max() <= law(param.shape).support()[1] * (1 + 1e-6), name


def test_zero_gamma_is_the_last_of_each_block_and_no_other():
    net, _ = imagenet_net("resnet50_v1d", "--last-gamma")
    zeros = {name for name, param in net._collect_params_with_prefix().items()
             if name.endswith("gamma") and not param.data().asnumpy().any()}
    # 3, 4, 6, 3 bottlenecks, whose third BatchNorm is the last
    assert zeros == {f"layer{stage}.{block}.bn3.gamma" for stage, blocks in enumerate((3, 4, 6, 3), start=1)
                     for block in range(blocks)}


@pytest.mark.slow
def test_two_layers_do_not_share_their_numbers_and_seeds_differ():
    net, _ = imagenet_net("resnet18_v1", "--seed", "1")
    weights = [param.data().asnumpy().ravel()[:64] for name,
               param in net._collect_params_with_prefix().items()
               if name.endswith("weight")]
    again, _ = imagenet_net("resnet18_v1", "--seed", "1")
    other, _ = imagenet_net("resnet18_v1", "--seed", "2")
    first = [n._collect_params_with_prefix()["features.0.weight"].data().asnumpy()
             for n in (net, again, other)]
    normalised = np.array([w / w.std() for w in weights])
    correlation = np.corrcoef(normalised) - np.eye(len(weights))
    assert np.abs(correlation).max() < 0.6  # of 64 pairs of independent numbers: 5 standard errors
    assert (first[0] == first[1]).all() and (first[0] != first[2]).all()
