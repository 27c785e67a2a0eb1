"""`export --format torch`: what is in the folder, also without PyTorch; with it, `bridge --check`."""

import json
import sys

import pytest

from gluon_tricks.commands import bridge, export
from gluon_tricks.errors import UserError
from gluon_tricks.files import ROOT
from gluon_tricks.launching.torch_python import can_import, torch_python
from gluon_tricks.models.loading import read_weights
from gluon_tricks.models.registry import get_model
from gluon_tricks.saved.described import saved_net
from gluon_tricks.saved.torch_folder import destination_of
from gluon_tricks.saved.torch_process import NEEDED
from gluon_tricks.saved.torch_proof import spread

NO_TORCH = ["--torch-python", sys.executable]            # an interpreter without PyTorch


def facts_of(model, **given):
    return saved_net(None, {"model": model, "classes": 7, **given}).facts


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """`(net, folder)` of a CIFAR net exported without PyTorch."""
    folder = tmp_path_factory.mktemp("export")
    net = spread(get_model("cifar_resnet20_v2", classes=7), 3)
    net.save_parameters(str(folder / "net.params"))
    assert export.main(["--model", "cifar_resnet20_v2", "--params-file", str(folder / "net.params"), "--format",
                        "torch", "--out", str(folder / "out"), "--num-check-images", "2", *NO_TORCH]) == 0
    return net, folder / "out"


def test_a_net_that_timm_lacks_brings_its_modules(exported):
    net, folder = exported
    source = (folder / "net.py").read_text()
    compile(source, "net.py", "exec")
    assert "return CIFARResNetV2(3, classes=7)" in source and "gluon_tricks" not in source
    weights = read_weights("", folder / "model.safetensors")
    assert weights["features.0.weight"].tolist() == [1, 1, 1]           # its scale is fixed, whatever gamma is
    assert (weights["output.weight"] == net.output.weight.data().asnumpy()).all()


def test_the_folder_is_read_back_with_its_record(exported):
    net, folder = exported
    saved = saved_net(folder / "model.safetensors", {})
    assert (saved.facts.model, saved.facts.classes, saved.facts.input_size) == ("cifar_resnet20_v2", 7, 32)
    config = json.loads((folder / "config.json").read_text())
    assert config["pretrained_cfg"]["input_size"] == [3, 32, 32]
    assert config["gluon_tricks"]["params_sha256"] == json.loads((folder / "model.json").read_text())[
        "params_sha256"]


def test_timms_nets_have_its_name_and_arguments():
    assert destination_of(facts_of("resnet50_v1e")).architecture[::2] == ("resnet50d", {"stem_width": 64})
    assert destination_of(facts_of("resnet18_v1b", use_gn=True)).architecture.args == {"norm_layer": "groupnorm"}
    assert destination_of(facts_of("resnet50_v1", model_kwargs={"last_gamma": True})).source    # stride in the 1x1
    assert not destination_of(facts_of("resnet50_v1b", model_kwargs={"last_gamma": True})).source


@pytest.mark.parametrize("model, given", [("resnet50_v1d", {"model_kwargs": {"dilated": True}}), ("resnet18_v2", {}),
                                          ("mobilenet0.5", {}), ("resnet50_v1", {"use_gn": True})])
def test_what_pytorch_lacks_is_refused_by_name(model, given):
    with pytest.raises(UserError, match=f"^--format torch: timm has no {model}.*--format onnx or symbol"):
        destination_of(facts_of(model, **given))


def test_softmax_and_a_place_that_is_taken_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for place, more, reason in ((tmp_path / "new", ["--softmax"], "--softmax"),
                                (tmp_path / "file", [], "is a file; name a folder"),
                                (tmp_path, [], "the folder is not empty; name a new one")):
        with pytest.raises(UserError, match=reason):
            export.main(["--model", "resnet18_v1b", "--params-file", "x", "--format", "torch", "--out",
                         str(place), *more])


def test_the_list_has_timms_name_of_each_net(capsys):
    assert bridge.main(["--models", "resnet50_v1e", "cifar_resnet20_v1"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["| resnet50_v1e | resnet50d | stem_width=64 |",
                                                        "| cifar_resnet20_v1 | net.py |  |"]
    with pytest.raises(UserError, match="--models resnet18_v2: PyTorch has no such net"):
        bridge.main(["--models", "resnet18_v2"])


def test_without_pytorch_the_check_says_how_to_get_it():
    with pytest.raises(UserError, match="cannot import torch, timm, safetensors; make torch"):
        bridge.main(["--check", *NO_TORCH])


@pytest.mark.slow
@pytest.mark.skipif(not can_import(torch_python(None), NEEDED), reason="PyTorch is not installed: make torch")
def test_pytorch_computes_the_same_and_gives_back_every_bit(tmp_path, capsys):
    assert bridge.main(["--check", "--models", "cifar_resnet20_v2", "resnet18_v1", "--out",
                        str(tmp_path / "table.md")]) == 0
    assert "| resnet18_v1 | resnet18 | 11,181,642 |" in (tmp_path / "table.md").read_text()


def test_net_files_import_only_pytorch():
    for path in (ROOT / "gluon_tricks" / "bridge" / "plain").glob("[a-z]*.py"):
        imports = [line for line in path.read_text().splitlines() if line.startswith(("import ", "from "))]
        assert all(line.split()[1].partition(".")[0] == "torch" for line in imports), path
