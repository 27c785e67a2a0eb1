"""`python -m gluon_tricks export`: ONNX Runtime and MXNet's SymbolBlock agree with the net, or nothing is
written."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from mxnet import nd
from mxnet.gluon import HybridBlock, nn

from gluon_tricks.commands import evaluate, export
from gluon_tricks.data.augment import CifarTestTransform
from gluon_tricks.data.images import RecordImages
from gluon_tricks.errors import UserError
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.registry import get_model
from gluon_tricks.saved import onnx as onnx_model
from gluon_tricks.saved.agreement import spread as spread_positions
from tests.onnx_runs import run_onnx, session_of, spread

onnx = pytest.importorskip("onnx", reason="onnx is not installed: make onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: make onnx")

ROOT = Path(__file__).resolve().parents[2]
EXCERPT = ROOT / "gluon_tricks" / "data" / "cifar10_excerpt" / "test.rec"           # small photographs
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "imagenet-sample.tar"


def spread_net(name, size, seed=0, **kwargs):
    return spread(get_model(name, **kwargs), seed, (1, 3, size, size))


def saved(net, folder):
    net.save_parameters(str(folder / "net.params"))
    return str(folder / "net.params")


def photographs(net_size, count=4):
    """float32, shape (count, 3, net_size, net_size)."""
    args = export.parse_args(["--model", "resnet18_v1", "--out", "x", "--input-size", str(net_size),
                              "--check-images", str(EXCERPT), "--num-check-images", str(count)])
    return export.check_images(args)[0]


def assert_agrees(model, net, *batches, tolerance=1e-4):
    session = session_of(model)
    for images in batches:
        expected, [got] = net(nd.array(images)).asnumpy(), session.run(None, {"data": images})
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


# --- Nets ---------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_resnet50_v1d_agrees_with_onnx_runtime_on_8_photographs(tmp_path, capsys):
    net = spread_net("resnet50_v1d", 96)
    out = tmp_path / "resnet50_v1d.onnx"
    assert export.main(["--model", "resnet50_v1d", "--params-file", saved(net, tmp_path), "--out", str(out),
                        "--input-size", "96", "--check-images", str(EXCERPT)]) == 0
    printed = capsys.readouterr().out
    [difference] = re.findall(r"differ by at most (\S+) of the largest", printed)
    assert float(difference) <= 1e-4 and "top-1 equal on 8 of 8" in printed
    assert_agrees(out, net, photographs(96, 8))                      # and without the command's own check


NETS = [("resnet18_v1", 64), ("resnet50_v1", 64), ("resnet18_v1b", 64), ("resnet50_v1b", 64),
        ("resnet50_v1c", 64),
        ("resnet50_v1d", 97), ("resnet50_v1s", 64), ("resnet50_v1e", 64), ("resnet50_v1b_gn", 65),
        ("cifar_resnet20_v1", 32), ("cifar_resnet20_v2", 32), ("cifar_wideresnet16_10", 32),
        ("cifar_resnext29_32x4d", 32)]
ZOO = [("resnet18_v2", 64), ("resnext50_32x4d", 64), ("se_resnet18_v1", 64), ("se_resnext50_32x4d", 64),
       ("mobilenetv2_0.25", 64), ("resnest14", 64)]


@pytest.mark.parametrize("name, size", NETS)        # 97: averages over windows that the image does not fill
@pytest.mark.slow
def test_every_variant_agrees(name, size):
    net = spread_net(name, size, classes=7)
    model = onnx_model.to_onnx(net, size)
    images = photographs(size)
    assert_agrees(model, net, images, images[:1])    # two batch sizes


@pytest.mark.parametrize("name, size", ZOO)
@pytest.mark.slow
def test_nets_of_gluoncvs_zoo_agree(name, size):
    pytest.importorskip("gluoncv", reason="GluonCV is not installed; its nets are unknown")
    net = spread_net(name, size, classes=7)
    assert_agrees(onnx_model.to_onnx(net, size), net, photographs(size))


def test_a_fixed_gamma_counts_as_one():
    net = nn.HybridSequential()
    net.add(nn.BatchNorm(scale=False, in_channels=3), nn.Flatten(), nn.Dense(5, in_units=48))
    net.initialize(mx.init.Xavier())
    net[0].gamma.set_data(nd.array([2, 3, 4]))
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    plain = images.reshape(2, -1) / np.float32(np.sqrt(1 + 1e-5)) @ net[2].weight.data().asnumpy().T
    np.testing.assert_allclose(run_onnx(onnx_model.to_onnx(net, 4), images)[0], plain, rtol=1e-4, atol=1e-5)


def test_group_norm_equals_the_formula():
    """Each group of channels, all of its pixels, to mean 0 and variance 1; then gamma and beta of each
    channel."""
    rng = np.random.default_rng(0)
    net = GroupNorm(in_channels=6, num_groups=3)
    net.initialize()
    net.gamma.set_data(nd.array(rng.uniform(0.5, 1.5, 6)))
    net.beta.set_data(nd.array(rng.normal(size=6)))
    images = rng.normal(1, 2, size=(2, 6, 5, 3)).astype(np.float32)
    groups = images.reshape(2, 3, -1)
    normal = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
    gamma, beta = (parameter.data().asnumpy()[:, None, None] for parameter in (net.gamma, net.beta))
    expected = normal.reshape(images.shape) * gamma + beta

    parameters = {parameter.name: parameter.data() for parameter in net.collect_params().values()}
    graph = onnx_model.translate(onnx_model.import_onnx(), net(mx.sym.Variable("data")), parameters,
                                 (6, 5, 3))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=7)
    np.testing.assert_allclose(run_onnx(model, images)[0], expected, rtol=1e-4, atol=1e-5)


class Untranslatable(HybridBlock):
    def hybrid_forward(self, F, x):
        return F.arctanh(F.mean(x, axis=(2, 3)))


def test_an_operator_that_mxnet_cannot_translate_is_named():
    with pytest.raises(UserError, match="cannot translate this net .*arctanh.*--format symbol"):
        onnx_model.to_onnx(Untranslatable(), 8)


# --- The ONNX file ------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """`(net, parameter file)` of a small net."""
    net = spread_net("cifar_resnet20_v1", 32)
    return net, saved(net, tmp_path_factory.mktemp("cifar"))


def cifar_flags(params, out, *more):
    return ["--model", "cifar_resnet20_v1", "--params-file", params, "--out", str(out), "--check-images",
            str(EXCERPT), *more]


def test_the_file_says_what_it_is(cifar, tmp_path):
    assert export.main(cifar_flags(cifar[1], tmp_path / "net.onnx")) == 0
    model = onnx.load(str(tmp_path / "net.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 13)]
    shapes = {value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
              for value in [*model.graph.input, *model.graph.output]}
    assert shapes == {"data": ["batch", 3, 32, 32], "logits": ["batch", 10]}          # weights are no inputs
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert (properties["model"], properties["classes"], properties["output"]) == ("cifar_resnet20_v1", "10",
                                                                                  "logits")
    # 255 x 0.4914, 0.4822, 0.4465
    assert properties["mean"] == "125.307,122.961,113.8575"
    # 255 x 0.2023, 0.1994, 0.2010
    assert properties["std"] == "51.5865,50.847,51.255"


def test_the_metadata_prepare_images_as_training_does(cifar):
    """The excerpt's images through `mean` and `std`, and through the transform that training validates
    with."""
    args = export.parse_args(cifar_flags(cifar[1], "x"))
    images = np.stack(RecordImages(EXCERPT).read(spread_positions(500, 8))[0])
    np.testing.assert_allclose(export.check_images(args)[0], CifarTestTransform()(images, None, 0), atol=1e-4)


def test_equal_parameters_give_equal_files(cifar, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        export.main(cifar_flags(cifar[1], tmp_path / name))
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.slow
def test_a_net_with_group_norm_by_flag(tmp_path):
    net = spread_net("resnet18_v1b", 32, classes=3, norm_layer=GroupNorm)
    export.main(["--model", "resnet18_v1b", "--use-gn", "--params-file", saved(net, tmp_path), "--input-size",
                 "32", "--out", str(tmp_path / "net.onnx")])
    assert_agrees(tmp_path / "net.onnx", net, photographs(32))


def test_softmax_gives_probabilities(cifar, tmp_path):
    net, params = cifar
    export.main(cifar_flags(params, tmp_path / "net.onnx", "--softmax"))
    images = photographs(32)
    [got] = run_onnx(tmp_path / "net.onnx", images)
    logits = net(nd.array(images)).asnumpy().astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(got, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)
    assert onnx.load(str(tmp_path / "net.onnx")).graph.output[0].name == "probabilities"


def test_the_classes_are_those_of_the_file(tmp_path):
    params = saved(spread_net("cifar_resnet20_v1", 32, classes=4), tmp_path)
    export.main(cifar_flags(params, tmp_path / "net.onnx"))
    assert run_onnx(tmp_path / "net.onnx", photographs(32))[0].shape == (4, 4)
    with pytest.raises(UserError, match="its classifier has 4 classes, --classes says 10"):
        export.main(cifar_flags(params, tmp_path / "net.onnx", "--classes", "10"))


def test_without_photographs_random_numbers_are_named(cifar, tmp_path, capsys):
    flags = cifar_flags(cifar[1], tmp_path / "net.onnx")
    export.main(flags[:flags.index("--check-images")])
    out = capsys.readouterr().out
    assert "on 8 images of random numbers (seed 0; --check-images takes photographs)" in out


def test_a_model_that_computes_something_else_is_not_written(cifar, tmp_path, capsys, monkeypatch):
    out = tmp_path / "net.onnx"
    out.write_text("what was there before")

    def slightly_wrong(net, *more):
        weight = net.output.weight
        weight.set_data(weight.data() * 1.001)
        try:
            return onnx_model.to_onnx(net, *more)
        finally:
            weight.set_data(weight.data() / 1.001)

    monkeypatch.setattr(export, "to_onnx", slightly_wrong)
    assert export.main(cifar_flags(cifar[1], out)) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert out.read_text() == "what was there before" and list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_package_that_is_missing_is_named_with_the_remedy(cifar, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"{'ONNX Runtime' if package == 'onnxruntime' else 'onnx'}.* cannot "
                                        f"be imported .*make onnx"):
        export.main(cifar_flags(cifar[1], tmp_path / "net.onnx"))


# --- MXNet's own files --------------------------------------------------------------------------------------

@pytest.mark.filterwarnings("ignore:Cannot decide type")
@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.slow
def test_symbol_files_are_equal_and_can_be_evaluated(cifar, tmp_path, capsys, softmax):
    net, params = cifar
    flags = cifar_flags(params, tmp_path / "net", "--format", "symbol", *["--softmax"] * softmax)
    assert export.main(flags) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"net-symbol.json", "net-0000.params",
                                                         "net-0000.json"}
    # oneDNN has it, GPUs have not
    assert "BatchNormWithReLU" not in (tmp_path / "net-symbol.json").read_text()
    block = mx.gluon.SymbolBlock.imports(f"{tmp_path}/net-symbol.json", ["data"],
                                         f"{tmp_path}/net-0000.params")
    images = nd.array(photographs(32))
    expected = net(images)
    np.testing.assert_array_equal(block(images).asnumpy(),
                                  (nd.softmax(expected) if softmax else expected).asnumpy())
    capsys.readouterr()
    data = ["--dataset", "cifar10-excerpt", "--batch-size", "100"]
    evaluate.main([*data, "--deploy", "--model-prefix", f"{tmp_path}/net"])
    evaluate.main([*data, "--model", "cifar_resnet20_v1", "--params-file", params])
    deployed_1, deployed_5, top1, top5 = re.findall(r"correct (\d+) of 500", capsys.readouterr().out)
    assert (deployed_1, deployed_5) == (top1, top5)


# --- The command --------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_the_first_example_of_the_help_runs(cifar, tmp_path):
    example = re.search(r"python -m gluon_tricks export (--params-file demo.*?)\n    python", export.__doc__,
                        re.DOTALL)[1]
    # no run left a record here
    words = example.replace("\\\n", " ").split() + ["--model", "cifar_resnet20_v1"]
    words[words.index("--params-file") + 1], words[words.index("--out") + 1] = cifar[1], str(tmp_path
                                                                                             / "cifar.onnx")
    done = subprocess.run([sys.executable, "-m", "gluon_tricks", "export", *words], cwd=ROOT,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ONNX Runtime ") and "top-1 equal on 8 of 8" in done.stdout
    assert_agrees(tmp_path / "cifar.onnx", cifar[0], photographs(32))


@pytest.mark.parametrize("more, says", [
    (["--check-images", "nowhere"],
     "--check-images nowhere: is neither a .rec file nor a folder with images"),
    (["--num-check-images", "0"], "--num-check-images 0: must be at least 1"),
    (["--input-size", "0"], "--input-size 0: must be at least 1"),
    (["--rgb-mean", "1"], "--rgb-mean 1: give three numbers"),
    (["--pretrained"], "--params-file and --pretrained: give one"),
    (["--out", "/"], "--out /: is a folder"),
])
def test_what_is_wrong_with_a_flag_is_said(cifar, more, says, tmp_path):
    with pytest.raises(UserError, match=re.escape(says)):
        export.main(cifar_flags(cifar[1], tmp_path / "net.onnx", *more))


@pytest.mark.shared
@pytest.mark.skipif(not PHOTOGRAPHS.exists(), reason=f"the photographs are not at {PHOTOGRAPHS}")
@pytest.mark.slow
def test_resnet50_v1d_agrees_on_160_photographs(tmp_path, capsys):
    with tarfile.open(PHOTOGRAPHS) as archive:
        archive.extractall(tmp_path / "photographs")
    params = saved(spread_net("resnet50_v1d", 224), tmp_path)
    assert export.main(["--model", "resnet50_v1d", "--params-file", params, "--out", f"{tmp_path}/net.onnx",
                        "--input-size", "112", "--check-images", f"{tmp_path}/photographs",
                        "--num-check-images", "160"]) == 0
    assert "top-1 equal on 160 of 160" in capsys.readouterr().out
