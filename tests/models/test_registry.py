"""Models by name: where they are found, and the errors if they are not."""

import sys

import mxnet as mx
import pytest
from facts import CIFAR_NETS, RESNETS
from mxnet.gluon import nn

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.registry import get_model


@pytest.fixture
def with_gluoncv():
    pytest.importorskip("gluoncv", reason="GluonCV is not installed; its names are unknown")


@pytest.fixture
def without_gluoncv(monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "gluoncv"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "gluoncv", None)  # importing it now raises ImportError


@pytest.fixture
def with_broken_gluoncv(without_gluoncv, monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "gluoncv")
    (tmp_path / "gluoncv.py").write_text("raise AttributeError(\"module 'numpy' has no attribute 'bool'\")\n")
    monkeypatch.syspath_prepend(tmp_path)


def kit_made(net):
    return type(net).__module__.startswith("gluon_tricks.")


@pytest.mark.parametrize("name", CIFAR_NETS + RESNETS)
def test_our_nets_need_no_gluoncv(name, without_gluoncv):
    assert kit_made(get_model(name))


@pytest.mark.parametrize("name", ["cifar_resnet20_v1", "CIFAR_ResNet20_v1", "CIFAR_RESNET20_V1"])
def test_case_does_not_matter(name):
    assert type(get_model(name)).__name__ == "CIFARResNetV1"


def test_our_nets_come_before_gluoncvs(with_gluoncv):
    assert kit_made(get_model("cifar_resnet20_v1"))


def test_other_names_are_gluoncvs(with_gluoncv):
    net = get_model("MobileNet0.25", classes=7)
    assert not kit_made(net)
    assert net.output._units == 7


def test_without_classes_a_model_keeps_its_own_number(with_gluoncv):
    assert get_model("cifar_resnet20_v1").output._units == 10
    assert get_model("mobilenet0.25").output._units == 1000


@pytest.mark.parametrize(("typed", "meant"), [
    ("cifar_resnet20", "cifar_resnet20_v1"),
    ("cifar_resnet20_v3", "cifar_resnet20_v2"),
    ("cifar_wideresnet_16_10", "cifar_wideresnet16_10"),
    ("cifar_resnext29_32x4", "cifar_resnext29_32x4d"),
    ("CIFAR_ResNet20_v", "cifar_resnet20_v1"),
    ("resnet50v1d", "resnet50_v1d"),
    ("mobilenet1", "mobilenet1.0"),  # GluonCV's
])
def test_an_unknown_name_is_told_the_nearest(typed, meant, with_gluoncv):
    with pytest.raises(UserError, match=f"model {typed.lower()} is unknown; nearest: ") as refused:
        get_model(typed)
    nearest = str(refused.value).partition("nearest: ")[2].split(", ")
    assert meant in nearest
    assert len(set(nearest)) == len(nearest)  # each once, though ours and GluonCV's lists overlap


def test_a_name_near_to_none_is_told_where_to_look(with_gluoncv):
    with pytest.raises(UserError,
                       match="model foo is unknown; python -m gluon_tricks models lists this kit's own"):
        get_model("foo")


def test_an_unknown_name_ends_a_script_with_one_sentence(with_gluoncv, capsys):
    with pytest.raises(SystemExit) as ended:
        run_main(lambda: get_model("cifar_resnet20"), prog="train_cifar.py")
    assert ended.value.code == 2
    output = capsys.readouterr().err
    assert output.startswith("train_cifar.py: error: model cifar_resnet20 is unknown; nearest: "
                           "cifar_resnet20_v")
    assert output.count("\n") == 1


def test_without_gluoncv_other_names_are_told_how_to_install_it(without_gluoncv):
    with pytest.raises(UserError, match=r"model resnet50_v2 .* cannot be imported .* pip install gluoncv=="):
        get_model("resnet50_v2")


def test_without_gluoncv_a_mistyped_name_is_still_told_the_nearest_of_ours(without_gluoncv):
    with pytest.raises(UserError, match="nearest: .*cifar_resnet20_v1"):
        get_model("cifar_resnet20")


def test_a_gluoncv_that_fails_to_import_says_why(with_broken_gluoncv):
    with pytest.raises(UserError,
                       match=r"AttributeError: module 'numpy' has no attribute 'bool'.* pip install"):
        get_model("resnet50_v2")


@pytest.mark.parametrize(("name", "keyword"), [
    ("cifar_resnet20_v1", "drop_rate"),         # only the wide nets have it
    ("cifar_wideresnet16_10", "last_gamma"),
    ("cifar_resnext29_32x4d", "cardinality"),   # the name says it
])
def test_a_keyword_our_model_does_not_take_is_named(name, keyword):
    with pytest.raises(UserError, match=f"model {name} takes no {keyword}"):
        get_model(name, **{keyword: 1})


@pytest.mark.parametrize(("name", "keyword"), [
    ("mobilenet0.25", "last_gama"),
    ("resnet50_v1d_0.86", "last_gama"),  # GluonCV drops what this one and the next do not know
    ("hrnet_w18_small_v1_c", "classes"),
    ("resnet50_v2", "use_se"),           # the names say it: se_resnet50_v2
    ("mobilenet0.25", "last_gamma"),
    ("inceptionv3", "last_gamma"),
    ("senet_154", "last_gamma"),
])
def test_a_keyword_gluoncvs_model_does_not_take_is_named(name, keyword, with_gluoncv):
    with pytest.raises(UserError, match=f"model {name} takes no {keyword}; leave it out"):
        get_model(name, **{keyword: True})


def test_a_model_that_refuses_keywords_in_its_own_way_is_understood(with_gluoncv):
    with pytest.raises(UserError,
                       match="model darknet53 cannot take all of last_gamma: class .* should only accept"):
        get_model("darknet53", last_gamma=True)


def test_keywords_gluoncvs_model_takes_arrive(with_gluoncv):
    net = get_model("resnet50_v2", last_gamma=True, pretrained=False)
    assert not kit_made(net)
    assert zero_gammas(net) == 3 + 4 + 6 + 3


@pytest.mark.parametrize("classes", [0, -1])
def test_a_classifier_has_at_least_one_class(classes):
    with pytest.raises(UserError, match=f"classes must be at least 1, got {classes}"):
        get_model("cifar_resnet20_v1", classes=classes)


@pytest.mark.parametrize("drop_rate", [-0.1, 1.0, 1.5])
def test_a_drop_rate_is_a_share(drop_rate):
    with pytest.raises(UserError, match=rf"drop_rate must be in \[0, 1\), got {drop_rate}"):
        get_model("cifar_wideresnet16_10", drop_rate=drop_rate)


# --- Named fixes --------------------------------------------------------------------------------------------

def zero_gammas(net):
    """How many gammas start at 0."""
    return sum(parameter.init == "zeros" for parameter in net.collect_params(".*gamma").values())


@pytest.mark.parametrize("name", ["resnext50_32x4d", "se_resnext50_32x4d"])
@pytest.mark.parametrize(("fix_last_gamma", "last_gamma", "expected"), [
    (None, False, 16), (None, True, 0),    # as in GluonCV, inverted
    (False, False, 16), (False, True, 0),
    (True, False, 0), (True, True, 16),    # 3 + 4 + 6 + 3 blocks
])
def test_last_gamma_of_resnext_is_inverted_unless_fixed(name, fix_last_gamma, last_gamma, expected,
                                                        with_gluoncv):
    net = get_model(name, last_gamma=last_gamma, fix_last_gamma=fix_last_gamma)
    assert zero_gammas(net) == expected


def test_last_gamma_left_out_is_last_gamma_off(with_gluoncv):
    assert zero_gammas(get_model("resnext50_32x4d")) == 16
    assert zero_gammas(get_model("resnext50_32x4d", fix_last_gamma=True)) == 0


@pytest.mark.parametrize(("fix_last_gamma", "expected"), [(None, 8), (True, 8), (False, 0)])
def test_our_resnet18_has_zero_gamma_unless_told_to_do_as_gluoncv(fix_last_gamma, expected):
    assert zero_gammas(get_model("resnet18_v1b", last_gamma=True, fix_last_gamma=fix_last_gamma)) == expected


@pytest.mark.parametrize("name", ["mobilenetv3_small", "resnet18_v1b_0.89"])
def test_a_model_that_ignores_last_gamma_is_refused_if_it_is_to_be_fixed(name, with_gluoncv):
    assert zero_gammas(get_model(name, last_gamma=True)) == 0  # as in GluonCV
    with pytest.raises(UserError, match=f"model {name} ignores last_gamma; leave it out"):
        get_model(name, last_gamma=True, fix_last_gamma=True)
    get_model(name, last_gamma=False, fix_last_gamma=True)


@pytest.mark.parametrize(("keywords", "squeezes"), [
    ({}, False),
    ({"use_se": True}, False),  # as in GluonCV
    ({"use_se": True, "fix_use_se": True}, True),
    ({"use_se": False, "fix_use_se": True}, False),
    ({"fix_use_se": True}, False),
])
def test_use_se_makes_an_se_resnext_only_if_fixed(keywords, squeezes, with_gluoncv):
    first_block = get_model("resnext50_32x4d", **keywords).features[4][0]
    assert (first_block.se is not None) == squeezes


def test_resnext101e_needs_no_word_about_pretrained_weights(with_gluoncv):
    features = get_model("resnext101e_64x4d").features
    assert [len(child) for child in features if isinstance(child, nn.HybridSequential)] == [3, 4, 23, 3]


def test_group_norm_of_ours_works_hybridized_in_gluoncvs_nets(with_gluoncv):
    net = get_model("resnest14", norm_layer=GroupNorm, classes=3)
    net.initialize()
    net.hybridize()
    assert net(mx.nd.zeros((1, 3, 64, 64))).shape == (1, 3)


def test_group_norm_in_a_net_that_hides_its_channels_is_refused(with_gluoncv):
    with pytest.raises(UserError, match="GroupNorm needs in_channels"):
        get_model("resnext50_32x4d", norm_layer=GroupNorm)
    with pytest.raises(UserError,
                       match="model resnet50_v2 cannot take all of norm_layer: GroupNorm.* 'scale'"):
        get_model("resnet50_v2", norm_layer=GroupNorm)


# --- Pretrained weights -------------------------------------------------------------------------------------

@pytest.fixture
def published(with_gluoncv, monkeypatch, tmp_path):
    """GluonCV's store, with one file in it: the weights of its own cifar_resnet20_v1, all 0.5."""
    from gluoncv.model_zoo import get_model as gluoncv_model
    from gluoncv.model_zoo import model_store

    net = gluoncv_model("cifar_resnet20_v1")
    net.initialize(mx.init.Constant(0.5))
    net(mx.nd.zeros((1, 3, 32, 32)))
    net.save_parameters(str(tmp_path / "published.params"))

    def fetch(name, tag, root):
        if name != "cifar_resnet20_v1":
            raise ConnectionError("no network")
        return str(tmp_path / "published.params")

    monkeypatch.setattr(model_store, "get_model_file", fetch)


def test_pretrained_weights_of_ours_are_gluoncvs(published):
    net = get_model("cifar_resnet20_v1", pretrained=True)
    assert kit_made(net)
    assert (net.features[0].weight.data() == 0.5).asnumpy().all()


def test_weights_that_cannot_be_fetched_are_told_the_remedy(published):
    with pytest.raises(UserError, match=r"resnet50_v1d cannot be fetched "
                                        r"\(ConnectionError: no network\).* \.params file"):
        get_model("resnet50_v1d", pretrained=True)
    with pytest.raises(UserError, match=r"resnet50_v2: .* cannot be fetched \(ConnectionError: no network\)"):
        get_model("resnet50_v2", pretrained=True)


def test_weights_nobody_published_are_named(published):
    with pytest.raises(UserError, match="pretrained: GluonCV publishes no weights of resnet50_v1e; .* load "
                                        "a .params file"):
        get_model("resnet50_v1e", pretrained=True)


def test_published_weights_are_for_their_own_classes(published):
    with pytest.raises(UserError, match="weights of cifar_resnet20_v1 are for 10 classes, not 100"):
        get_model("cifar_resnet20_v1", classes=100, pretrained=True)


def test_without_gluoncv_there_are_no_pretrained_weights(without_gluoncv):
    with pytest.raises(UserError, match="pretrained: .* through GluonCV, which cannot be imported"):
        get_model("resnet50_v1d", pretrained=True)
    assert kit_made(get_model("resnet50_v1d", pretrained=False))
