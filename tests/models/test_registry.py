"""Models by name: what is found, where, and what is said when nothing is."""

import sys

import pytest
from cifar_facts import NETS

from gluon_tricks.errors import UserError, run_main
from gluon_tricks.models import get_model


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


@pytest.mark.parametrize("name", NETS)
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
    ("resnet50v1d", "resnet50_v1d"),  # GluonCV's
])
def test_an_unknown_name_is_told_the_nearest(typed, meant, with_gluoncv):
    with pytest.raises(UserError, match=f"model {typed.lower()} is unknown; nearest: ") as refused:
        get_model(typed)
    nearest = str(refused.value).partition("nearest: ")[2].split(", ")
    assert meant in nearest
    assert len(set(nearest)) == len(nearest)  # each once, though ours and GluonCV's lists overlap


def test_a_name_near_to_none_is_told_ours(with_gluoncv):
    with pytest.raises(UserError, match="model foo is unknown; known here: cifar_resnet20_v1, .*cifar_resnext29_32x4d"):
        get_model("foo")


def test_an_unknown_name_ends_a_script_with_one_sentence(with_gluoncv, capsys):
    with pytest.raises(SystemExit) as ended:
        run_main(lambda: get_model("cifar_resnet20"), prog="train_cifar.py")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("train_cifar.py: error: model cifar_resnet20 is unknown; nearest: cifar_resnet20_v")
    assert said.count("\n") == 1


def test_without_gluoncv_other_names_are_told_how_to_install_it(without_gluoncv):
    with pytest.raises(UserError, match=r"model resnet50_v1d .* cannot be imported .* pip install gluoncv=="):
        get_model("resnet50_v1d")


def test_without_gluoncv_a_mistyped_name_is_still_told_the_nearest_of_ours(without_gluoncv):
    with pytest.raises(UserError, match="nearest: .*cifar_resnet20_v1"):
        get_model("cifar_resnet20")


def test_a_gluoncv_that_fails_to_import_says_why(with_broken_gluoncv):
    with pytest.raises(UserError, match=r"AttributeError: module 'numpy' has no attribute 'bool'.* pip install"):
        get_model("resnet50_v1d")


@pytest.mark.parametrize(("name", "keyword"), [
    ("cifar_resnet20_v1", "drop_rate"),         # only the wide nets have it
    ("cifar_wideresnet16_10", "last_gamma"),
    ("cifar_resnext29_32x4d", "cardinality"),   # the name says it
])
def test_a_keyword_our_model_does_not_take_is_named(name, keyword):
    with pytest.raises(UserError, match=f"model {name} takes no {keyword}"):
        get_model(name, **{keyword: 1})


@pytest.mark.parametrize("name", ["mobilenet0.25", "resnet18_v1b"])  # GluonCV refuses the first, drops the second
def test_a_keyword_gluoncvs_model_does_not_take_is_named(name, with_gluoncv):
    with pytest.raises(UserError, match=f"model {name} takes no last_gama"):
        get_model(name, last_gama=True)


def test_keywords_gluoncvs_model_takes_arrive(with_gluoncv):
    net = get_model("resnet50_v1b", last_gamma=True, pretrained=False)
    assert net.layer1[0].bn3.gamma.init == "zeros"


def test_pretrained_weights_of_ours_are_a_params_file():
    with pytest.raises(UserError, match="cifar_resnet20_v1 has no weights to download.*load a .params file"):
        get_model("cifar_resnet20_v1", pretrained=True)
    assert kit_made(get_model("cifar_resnet20_v1", pretrained=False))


@pytest.mark.parametrize("classes", [0, -1])
def test_a_classifier_has_at_least_one_class(classes):
    with pytest.raises(UserError, match=f"classes must be at least 1, got {classes}"):
        get_model("cifar_resnet20_v1", classes=classes)


@pytest.mark.parametrize("drop_rate", [-0.1, 1.0, 1.5])
def test_a_drop_rate_is_a_share(drop_rate):
    with pytest.raises(UserError, match=rf"drop_rate must be in \[0, 1\), got {drop_rate}"):
        get_model("cifar_wideresnet16_10", drop_rate=drop_rate)
