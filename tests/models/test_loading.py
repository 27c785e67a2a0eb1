"""PyTorch's parameter files load wherever `.params` files do, under timm's names."""

import mxnet as mx
import numpy as np
import pytest

from gluon_tricks.bridge.architectures import ARCHITECTURES
from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_write
from gluon_tricks.models.loading import load_params, own_arrays, read_weights
from gluon_tricks.models.registry import get_model
from gluon_tricks.models.safetensors_file import safetensors_pieces
from gluon_tricks.parameters import named_parameters
from gluon_tricks.saved.torch_proof import spread
from gluon_tricks.transfer.backbone import base_network, start_base

HEAD = ("output.weight", "output.bias")
SMALL = "mobilenet0.25"          # with the names of mobilenet1.0


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """`(arrays, file)`: a small net of 7 classes and its parameters under timm's names."""
    net = spread(get_model(SMALL, classes=7), 1, (1, 3, 32, 32))
    arrays = {name: param.data().asnumpy() for name, param in named_parameters(net).items()}
    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    atomic_write(path, safetensors_pieces(ARCHITECTURES["mobilenet1.0"].table.there(arrays), {"format": "pt"}))
    return arrays, path


def test_timms_names_load_bit_for_bit(source):
    arrays, path = source
    net = get_model(SMALL, classes=7)
    assert "conv_stem.weight" in read_weights("", path)
    assert load_params(net, "--init-params", path, mx.cpu()) == {}
    for name, param in named_parameters(net).items():
        assert param.data().asnumpy().tobytes() == arrays[name].tobytes(), name


def test_a_head_for_other_classes_stays_as_drawn(source):
    net = get_model(SMALL, classes=3)
    net.initialize()
    assert load_params(net, "--init-params", source[1], mx.cpu(), HEAD) == {"output.weight": (7, 256),
                                                                            "output.bias": (7,)}


def test_a_file_without_a_head_loads_too(source, tmp_path):
    arrays = {name: value for name, value in read_weights("", source[1]).items() if "classifier" not in name}
    atomic_write(tmp_path / "x.safetensors", safetensors_pieces(arrays, {}))
    net = get_model(SMALL, classes=3)
    net.initialize()
    assert load_params(net, "--init-params", tmp_path / "x.safetensors", mx.cpu(), HEAD) == dict.fromkeys(HEAD)
    with pytest.raises(UserError, match="does not load into this model"):
        load_params(net, "--init-params", tmp_path / "x.safetensors", mx.cpu())


def test_another_nets_file_is_refused(source):
    with pytest.raises(UserError, match=r"^--params-file .*model\.safetensors: does not load into this model "
                                        r"\(it has no features\.0\.weight\)"):
        load_params(get_model("cifar_resnet20_v1"), "--params-file", source[1], mx.cpu())


def test_of_torchvisions_names_counters_are_left_out():
    net = get_model("resnet18_v1")
    table = ARCHITECTURES["resnet18_v1"].table
    arrays = {name: np.zeros(param.shape, "f4") for name, param in named_parameters(net).items()}
    there = table.there(arrays)
    assert "layer1.0.bn1.num_batches_tracked" in there
    assert own_arrays(there, net).keys() == arrays.keys()


def test_the_base_of_a_detector_starts_from_a_file_of_timm(tmp_path):
    net = get_model("resnet18_v1b", classes=5)
    net.initialize()
    arrays = {name: param.data().asnumpy() for name, param in named_parameters(net).items()}
    atomic_write(tmp_path / "timm.safetensors",
                 safetensors_pieces(ARCHITECTURES["resnet18_v1b"].table.there(arrays), {}))
    base = base_network("--network", "resnet18_v1b", dilated=True)
    start_base(base, "resnet18_v1b", params_file=tmp_path / "timm.safetensors")
    assert (base.layer4[1].conv2.weight.data().asnumpy() == arrays["layer4.1.conv2.weight"]).all()
