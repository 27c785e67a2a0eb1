"""The rewritten graph computes what the original one does."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd

from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.models.cpu_graph import rewritten, speed_up
from gluon_tricks.models.ready import make_ready
from gluon_tricks.models.registry import get_model
from gluon_tricks.saved.torch_proof import spread

NETS = [("ours", "cifar_resnet20_v1", 32), ("ours", "cifar_resnet20_v2", 32), ("ours", "resnet50_v1", 64),
        ("ours", "resnet50_v1d", 64), ("gluoncv", "cifar_resnet20_v1", 32), ("gluoncv", "resnet50_v1d", 70),
        ("gluoncv", "mobilenet1.0", 64), ("ours", "cifar_preact20", 32),
        ("ours", "cifar_resnext29_32x4d", 32), ("gluoncv", "resnext50_32x4d", 64)]


def make(source, name):
    """A net of 10 classes with the same values at each call, none of them special."""
    if source == "gluoncv":
        make_net = pytest.importorskip("gluoncv.model_zoo").get_model
    else:
        make_net = get_model
    return spread(make_net(name, classes=10), 5, (1, 3, 64, 64))


def results(net, data, label):
    """Outputs in evaluation and training, gradients and statistics after one step: arrays by name."""
    found = {"evaluated": net(data).astype("float32").asnumpy()}
    with autograd.record():
        output = net(data).astype("float32", copy=False)
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(output, label)
    loss.backward()
    mx.nd.waitall()
    found["trained"] = output.asnumpy()
    for key, param in net._collect_params_with_prefix().items():
        found[key] = (param.data() if param.grad_req == "null" else param.grad()).asnumpy()
    return found


@pytest.mark.parametrize("source, name, size", NETS, ids=lambda value: str(value))
@pytest.mark.slow
def test_values_gradients_and_statistics_stay(source, name, size):
    rng = np.random.default_rng(1)
    data, label = nd.array(rng.normal(size=(4, 3, size, size))), nd.array([1, 3, 5, 7])
    plain, fast = make(source, name), make(source, name)
    for net in (plain, fast):
        net.hybridize(static_alloc=True, static_shape=True)
    speed_up(fast)
    expected, got = results(plain, data, label), results(fast, data, label)
    assert operators(fast._cached_graph[1]) != operators(plain._cached_graph[1]), "nothing was rewritten"
    assert got.keys() == expected.keys()
    largest = max(np.abs(array).max() for key, array in expected.items() if "running" not in key)
    for key, array in expected.items():
        # A bias before BatchNorm has a gradient of rounding errors alone: compare with what the net's
        # gradients are like
        scale = max(np.abs(array).max(), 1e-3 * largest)
        np.testing.assert_allclose(got[key], array, rtol=0, atol=1e-5 * scale, err_msg=key)


def trace(net, size=32):
    net.hybridize()
    return net._get_graph(nd.zeros((1, 3, size, size)))[1]


def operators(graph):
    return Counter(node["op"] for node in json.loads(graph.tojson(remove_amp_cast=False))["nodes"])


def test_what_becomes_of_a_relu_that_is_no_layer():
    """`F.relu` in the blocks of pre-activated nets, for which MXNet has a slow loop in bfloat16, becomes
    oneDNN's.
    """
    before = trace(get_model("cifar_preact20"))
    assert operators(before)["relu"] == 9
    ops = operators(rewritten(before, "data", (1, 3, 32, 32)))
    assert ops["relu"] == 0
    assert ops["_contrib_BatchNormWithReLU"] == 1 + 9        # after the stem; inside each block
    assert ops["Activation"] == 8 + 1  # after the sums: at the blocks' starts, and before the mean


def test_what_becomes_of_resnet_d():
    before = trace(get_model("resnet50_v1d"), 224)
    ops = operators(rewritten(before, "data", (1, 3, 224, 224)))
    # 2 of the stem and its last one; 2 in each of 16 blocks
    assert ops["_contrib_BatchNormWithReLU"] == 3 + 2 * 16
    assert ops["Activation"] == 16                           # after the sums
    assert ops["BatchNorm"] == 16 + 4  # the last of each path A, and path B where there is one
    assert (ops["elemwise_add"], ops["add_n"]) == (0, 16)
    assert ops["Pooling"] == 1 + 3 + 1  # maximum, averages of stages 2 to 4, that of the global average


def test_groups_of_few_channels_keep_their_norms_from_fusing():
    """Groups of 4, 8 and 16 channels in three stages of three blocks: fused are the stem, and around groups
    of 16.
    """
    ops = operators(rewritten(trace(get_model("cifar_resnext29_32x4d")), "data", (1, 3, 32, 32)))
    assert ops["_contrib_BatchNormWithReLU"] == 1 + 3 * 2
    ops = operators(rewritten(trace(get_model("cifar_resnext29_4x64d")), "data", (1, 3, 32, 32)))
    assert ops["_contrib_BatchNormWithReLU"] == 1 + 9 * 2


@pytest.mark.parametrize("size, halved", [(64, True), (70, False)])       # of 16, 8, 4;  of 18, 9, 5
def test_averages_that_round_up_are_left_alone(size, halved):
    graph = rewritten(trace(get_model("resnet50_v1d"), size), "data", (1, 3, size, size))
    kinds = [node["attrs"].get("pooling_convention", "valid") for node in json.loads(graph.tojson())["nodes"]
             if node["op"] == "Pooling" and node["attrs"]["kernel"] == "(2, 2)"]
    assert len(kinds) == 3
    assert (set(kinds) == {"valid"}) == halved


def test_arguments_and_outputs_keep_their_order():
    before = trace(make("ours", "cifar_resnet20_v1"))
    after = rewritten(before, "data", (1, 3, 32, 32))
    assert after.list_arguments() == before.list_arguments()
    assert after.list_auxiliary_states() == before.list_auxiliary_states()
    assert len(after.list_outputs()) == 1


def test_a_relu_whose_norm_is_read_twice_stays():
    class Fork(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = gluon.nn.Conv2D(4, 3, in_channels=3), gluon.nn.BatchNorm(in_channels=4)

        def hybrid_forward(self, F, x):
            x = self.norm(self.conv(x))
            return F.Activation(x, act_type="relu") - x

    net, data = Fork(), nd.random.normal(shape=(2, 3, 8, 8))
    net.initialize()
    expected = net(data).asnumpy()
    net.hybridize()
    speed_up(net)
    np.testing.assert_allclose(net(data).asnumpy(), expected, atol=1e-6)
    assert operators(net._cached_graph[1])["_contrib_BatchNormWithReLU"] == 0


def test_only_a_compiled_net_on_a_cpu_is_rewritten():
    for mode, rewrites in (("hybrid", True), (None, False)):
        net = get_model("cifar_resnet20_v1")
        net.initialize()
        make_ready(net, 32, "float32", mode, SingleProcess([mx.cpu()]))
        assert net(nd.zeros((2, 3, 32, 32))).shape == (2, 10)
        assert bool(net._cached_graph) == rewrites
        if rewrites:
            assert operators(net._cached_graph[1])["add_n"] == 9


def test_a_net_is_traced_at_its_first_call_and_again_after_each_hybridize():
    """GluonCV's DropBlock asks while it is traced whether the net is training."""
    class Asks(gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            return 2 * x if autograd.is_training() else x

    net = Asks()
    net.hybridize()
    speed_up(net)
    speed_up(net)                          # once is enough
    with autograd.record():
        assert net(nd.ones((1, 3, 4, 4))).sum().asscalar() == 2 * 48
    net.hybridize()
    assert net(nd.ones((1, 3, 4, 4))).sum().asscalar() == 48


BFLOAT16 = """
import gluon_tricks, json
import mxnet as mx, numpy as np
from mxnet import nd
from tests.models.test_cpu_graph import get_model, make, operators, results
from gluon_tricks.models.cpu_graph import speed_up
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.models.ready import start_precision
data, label = nd.array(np.random.default_rng(1).normal(size=(16, 3, 32, 32))), nd.array(np.arange(16) % 10)
expected = results(make("ours", "cifar_resnet20_v1"), data, label)
start_precision("bfloat16", amx=False)
plain, fast = make("ours", "cifar_resnet20_v1"), make("ours", "cifar_resnet20_v1")
for net in (plain, fast):
    net.hybridize(static_alloc=True, static_shape=True)
speed_up(fast)
found = [results(net, data, label) for net in (plain, fast)]
graph = fast._cached_graph[1]
def apart(name, one):
    return float(np.linalg.norm(one[name] - expected[name]) / np.linalg.norm(expected[name]))
names = [name for name in expected if np.abs(expected[name]).max() > 1e-6]
print(json.dumps({"ops": operators(graph), "types": sorted({str(array.dtype) for array in found[1].values()}),
                  "apart": [[name, apart(name, found[0]), apart(name, found[1])] for name in names]}))
"""


@pytest.mark.slow
def test_bfloat16_is_rewritten_and_no_further_from_float32_than_before():
    done = subprocess.run([sys.executable, "-c", BFLOAT16], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["types"] == ["float32"]                     # parameters' gradients and statistics
    assert "amp_multicast" not in facts["ops"]
    # 21 convolutions and the classifier cast weights, it also its bias and input; images; features to float32
    assert facts["ops"]["amp_cast"] == 21 + 2 + 1 + 1 + 1
    assert facts["ops"]["Concat"] == 2                       # images and first weights get channels of zeros
    for name, plain, fast in facts["apart"]:
        assert fast < max(1.5 * plain, 0.02), (name, plain, fast)
