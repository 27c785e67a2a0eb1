"""Parameters of another task in a net: every kind of file, the head, and what is frozen."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, nd
from mxnet.gluon import nn

from gluon_tricks.data.classes import CIFAR100_CLASSES
from gluon_tricks.errors import UserError
from gluon_tricks.models.fine_tuning import freeze, head_names
from gluon_tricks.models.loading import load_params
from gluon_tricks.models.params_file import write_params
from gluon_tricks.models.registry import get_model
from gluon_tricks.parameters import is_frozen, named_parameters, needs_image_gradients
from gluon_tricks.saved import load_net

HEAD = ["output.weight", "output.bias"]


def drawn(classes, seed=0, make=get_model, model="cifar_resnet20_v1"):
    """A net with values of its own in every array, statistics too."""
    net, rng = make(model, classes=classes), np.random.default_rng(seed)
    net.initialize()
    net(nd.zeros((1, 3, 32, 32)))
    for param in net.collect_params().values():
        param.set_data(nd.array(rng.uniform(0.5, 1.5, param.shape)))
    return net


def values(net):
    return {name: param.data().asnumpy() for name, param in named_parameters(net).items()}


def gluoncv_file(net, path):
    """The same values in a net of GluonCV's, saved by it."""
    pytest.importorskip("gluoncv")
    from gluoncv.model_zoo import get_model as gluoncv_model

    theirs = gluoncv_model("cifar_resnet20_v1", classes=100)
    theirs.initialize()
    theirs(nd.zeros((1, 3, 32, 32)))
    ours = named_parameters(net)
    for name, param in theirs._collect_params_with_prefix().items():
        param.set_data(ours[name].data())
    theirs.save_parameters(str(path))
    return path


def exported(net, path):
    net.hybridize()
    net(nd.zeros((1, 3, 32, 32)))
    net.export(str(path))
    return f"{path}-0000.params"


def collected(net, path):
    net.collect_params().save(str(path))
    return path


def without_head(net, path):
    write_params(path, {name: value for name, value in values(net).items() if name not in HEAD})
    return path


def collected_without_head(net, path):
    nd.save(str(path), {param.name: param.data() for name, param in named_parameters(net).items()
                        if name not in HEAD})
    return path


def saved(net, path):
    net.save_parameters(str(path))
    return path


@pytest.mark.parametrize("save", [saved, collected, exported, gluoncv_file, without_head,
                                  collected_without_head])
def test_every_kind_of_file_gives_all_but_the_head(save, tmp_path):
    source, net = drawn(100), drawn(10, seed=1)
    before = values(net)
    kept = load_params(net, "--init-params", save(source, tmp_path / "file"), mx.cpu(), HEAD)
    assert list(kept) == HEAD
    assert kept["output.weight"] == (None if "without" in save.__name__ else (100, 64))
    expected = {**values(source), **{name: before[name] for name in HEAD}}
    for name, value in values(net).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.parametrize("save", [saved, collected, exported, gluoncv_file])
def test_every_kind_of_file_answers_without_a_flag_for_its_kind(save, tmp_path):
    """As `predict --params-file` opens it: the classes are counted in the file."""
    source, image = drawn(100), np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    source.initialize(mx.init.Xavier(), force_reinit=True)             # outputs of usual size
    expected, found = (load_net(path, model="cifar_resnet20_v1", dataset="cifar100").predict(image, top=100)
                       for path in (saved(source, tmp_path / "ours"), save(source, tmp_path / "file")))
    assert {name for name, _ in found} == set(CIFAR100_CLASSES)
    assert dict(found) == pytest.approx(dict(expected), abs=1e-6)


def test_a_head_of_the_same_size_is_loaded_too(tmp_path):
    source, net = drawn(10), drawn(10, seed=1)
    assert load_params(net, "--init-params", saved(source, tmp_path / "file"), mx.cpu(), HEAD) == {}
    expected = values(source)
    assert all((value == expected[name]).all() for name, value in values(net).items())


@pytest.mark.parametrize("change, says", [
    (lambda arrays: arrays.pop("features.2.0.body.0.weight"), "it has no features.2.0.body.0.weight"),
    (lambda arrays: arrays.update({"features.9.weight": np.ones(1, "f4")}), "the model has no features.9.wei"),
    (lambda arrays: arrays.update({"features.0.weight": np.ones((16, 1, 3, 3), "f4")}),
     r"features.0.weight has shape \(16, 1, 3, 3\), the model's has \(16, 3, 3, 3\)"),
    (lambda arrays: arrays.update({"features.0.weight": np.ones((16, 3, 3, 3), "i4")}), "is int32"),
])
def test_a_body_that_does_not_fit_is_refused_by_name_and_changes_nothing(change, says, tmp_path):
    arrays, net = values(drawn(100)), drawn(10, seed=1)
    change(arrays)
    before = values(net)
    write_params(tmp_path / "file", arrays)
    with pytest.raises(UserError, match=f"--init-params {tmp_path}/file: .*{says}"):
        load_params(net, "--init-params", tmp_path / "file", mx.cpu(), HEAD)
    assert all((value == before[name]).all() for name, value in values(net).items())


@pytest.mark.parametrize("model, head", [
    ("cifar_resnet20_v1", HEAD), ("resnet18_v1b", ["fc.weight", "fc.bias"]),
    ("mobilenet0.25", ["output.weight", "output.bias"]), ("mobilenetv2_0.25", ["output.0.weight"])])
def test_the_head_is_what_depends_on_the_number_of_classes(model, head):
    if model.startswith("mobile"):
        pytest.importorskip("gluoncv")
    assert head_names(lambda classes: get_model(model, classes=classes)) == head


def test_looking_for_the_head_does_not_change_the_names_of_later_blocks():
    with mx.name.NameManager():
        head_names(lambda classes: get_model("cifar_resnet20_v1", classes=classes))
        assert get_model("cifar_resnet20_v1").prefix.endswith("0_")


def tower():
    """Twelve dense layers."""
    net = nn.HybridSequential()
    for _ in range(12):
        net.add(nn.Dense(2, in_units=2))
    return net


@pytest.mark.parametrize("prefixes, frozen", [
    (["1"], {1}), (["1."], {1}), (["1", "10"], {1, 10}), (["0.weight", "0.bias"], {0}),
    (["backbone"], set(range(11)))])
def test_prefixes_end_at_whole_parts_of_a_name(prefixes, frozen):
    net = tower()
    freeze(net, prefixes, ["11.weight", "11.bias"])
    assert {int(name.partition(".")[0]) for name, param in named_parameters(net).items()
            if is_frozen(param)} == frozen


@pytest.mark.parametrize("prefixes, norms, says", [
    (["layer9"], False, "--freeze layer9: .* begins so; give backbone or one of 0, 1, 2"),
    ([""], False, "--freeze : .* begins so"),
    (["1", "backbone", "11"], False, "--freeze 1 backbone 11: nothing is left to train"),
    ([], True, "--freeze-norm: this model has no BatchNorm")])
def test_what_cannot_be_frozen_is_refused(prefixes, norms, says):
    with pytest.raises(UserError, match=says):
        freeze(tower(), prefixes, ["11.weight", "11.bias"], norms)


@pytest.mark.parametrize("hybrid", [False, True])
def test_statistics_of_frozen_layers_follow_the_images_unless_norms_are_frozen(hybrid):
    """The statistics of every layer, by MXNet's rule: 0.9 x old + 0.1 x that of a net without frozen parts."""
    images, moved = nd.random.normal(shape=(4, 3, 32, 32)), {}
    for prefixes, norms in ((["backbone"], False), ([], False), (["backbone"], True)):
        net = drawn(10)
        freeze(net, prefixes, HEAD, norms)
        if hybrid:
            net.hybridize(static_alloc=True, static_shape=True)
        before, data = values(net), images.copy()
        if needs_image_gradients(net):
            data.attach_grad()
        with autograd.record():
            loss = net(data).sum()
        loss.backward()
        mx.nd.waitall()
        moved[bool(prefixes), norms] = {name: value for name, value in values(net).items()
                                        if "running" in name and (value != before[name]).any()}
    assert len(moved[False, False]) == 42 and not moved[True, True]
    assert moved[True, False].keys() == moved[False, False].keys()
    for name, value in moved[False, False].items():
        np.testing.assert_array_equal(moved[True, False][name], value)
