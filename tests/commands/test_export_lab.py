"""`export` of the CIFAR lab's nets: ONNX Runtime computes what each family computes, in colour and in
grey."""

import json
import re

import cv2
import numpy as np
import pytest
from mxnet import autograd, nd
from mxnet.gluon import HybridBlock

from gluon_tricks.commands import export
from gluon_tricks.data.cifar_sets import DATASETS
from gluon_tricks.errors import UserError
from gluon_tricks.models.cifar_densenet import CIFARDenseNet
from gluon_tricks.models.cifar_postact import CIFARPostact
from gluon_tricks.models.cifar_preact import CIFARPreact
from gluon_tricks.models.cifar_pyramidnet import CIFARPyramidNet
from gluon_tricks.models.cifar_resnext import CIFARResNeXt
from gluon_tricks.models.cifar_shake_shake import MODES, CIFARShakeShake, predicting
from gluon_tricks.models.cifar_vgg import CIFARVGG
from gluon_tricks.models.cifar_wideresnet import CIFARWideResNet
from gluon_tricks.models.registry import get_model
from gluon_tricks.saved import onnx as onnx_model
from tests.lab_runs import train, write_data
from tests.onnx_runs import run_onnx, spread

onnx = pytest.importorskip("onnx", reason="onnx is not installed: make onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: make onnx")

FAMILIES = {
    "VGG": lambda **more: CIFARVGG((1, 1, 1, 1, 1), (8, 8, 16, 16, 16), **more),
    "post-activated basic": lambda **more: CIFARPostact(8, **more),
    "post-activated bottleneck": lambda **more: CIFARPostact(11, "bottleneck", **more),
    "pre-activated": lambda **more: CIFARPreact(8, **more),
    "pre-activated bottleneck, widened": lambda **more: CIFARPreact(11, "bottleneck", 2, **more),
    "no first ReLU, last BatchNorm": lambda **more: CIFARPreact(14, first_relu=False, last_bn=True, **more),
    "activated in the last two stages": lambda **more: CIFARPreact(14, preact_stages=(0, 1, 1), **more),
    "squeeze and excitation": lambda **more: CIFARPreact(8, se_reduction=4, **more),
    "Wide ResNet": lambda **more: CIFARWideResNet(1, 2, **more),
    "Wide ResNet with dropout": lambda **more: CIFARWideResNet(1, 2, drop_rate=0.3, **more),
    "DenseNet": lambda **more: CIFARDenseNet(10, 12, **more),
    "DenseNet with dropout": lambda **more: CIFARDenseNet(10, 12, drop_rate=0.2, **more),
    "DenseNet-BC": lambda **more: CIFARDenseNet(16, 12, True, **more),
    "PyramidNet": lambda **more: CIFARPyramidNet(20, 13, **more),
    "PyramidNet bottleneck": lambda **more: CIFARPyramidNet(29, 13, "bottleneck", **more),
    "ResNeXt": lambda **more: CIFARResNeXt(1, 4, 8, **more),
    **{f"shake-shake {mode}": lambda mode=mode, **more: CIFARShakeShake(8, 8, shake=mode, **more)
       for mode in ("S-S-I", "E-K-B")},
}


def assert_agrees(content, net, images):
    for batch in (images, images[:1]):
        expected, [got] = net(nd.array(batch)).asnumpy(), run_onnx(content, batch)
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("channels, side", [(3, 32), (1, 28)], ids=["colour", "grey"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.slow
def test_every_family_agrees(family, channels, side):
    net = spread(FAMILIES[family](classes=7, in_channels=channels))
    images = np.random.default_rng(1).normal(size=(3, channels, side, side)).astype(np.float32)
    model = onnx_model.to_onnx(net, side, channels=channels)
    shape = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", channels, side, side]
    assert_agrees(model.SerializeToString(), net, images)


# --- Shake-shake --------------------------------------------------------------------------------------------

def test_shake_shake_is_written_without_draws_and_still_trains():
    net = spread(CIFARShakeShake(8, 8))
    operators = {node.op_type for node in onnx_model.to_onnx(net, 32).graph.node}
    assert not [name for name in operators if "Random" in name or name in ("Dropout", "Abs")]
    data = nd.random.normal(shape=(4, 3, 32, 32))
    with autograd.record():
        one, other = net(data), net(data)
    assert (one != other).sum().asscalar() > 0             # exporting has not stopped it from shaking


@pytest.mark.parametrize("mode", MODES)
def test_what_it_is_written_as_is_what_it_predicts(mode):
    net, data = spread(CIFARShakeShake(8, 8, shake=mode)), nd.random.normal(shape=(2, 3, 32, 32))
    expected = net(data).asnumpy()
    with predicting(net):
        np.testing.assert_allclose(net(data).asnumpy(), expected, rtol=1e-4, atol=1e-5)


# --- What cannot be translated ------------------------------------------------------------------------------

class Untranslatable(HybridBlock):
    """An operator that MXNet's exporter does not know, behind one that it does."""

    def hybrid_forward(self, F, x):
        return F.smooth_l1(F.mean(x, axis=(2, 3)))


def test_an_operator_that_cannot_be_translated_is_named():
    with pytest.raises(UserError, match="MXNet 1.9.1 cannot translate this net .*smooth_l1.*--format symbol "
                                        "can export it"):
        onnx_model.to_onnx(Untranslatable(), 8, channels=1)


# --- The command --------------------------------------------------------------------------------------------

def exported(tmp_path, capsys, *flags):
    """`(ONNX file, its metadata, what was printed)`."""
    out = tmp_path / "net.onnx"
    assert export.main([*map(str, flags), "--out", str(out)]) == 0
    return out, {
        entry.key: entry.value for entry in onnx.load(str(out)).metadata_props}, capsys.readouterr().out


def without_metadata(content):
    model = onnx.ModelProto.FromString(content)
    del model.metadata_props[:]
    return model


def test_a_grey_run_is_exported_with_what_its_record_says(tmp_path, capsys):
    data = write_data(tmp_path / "data", "kmnist")
    params, _ = train(tmp_path, "--model-kwargs", "last_bn=True", "--data-dir", str(data), dataset="kmnist")
    capsys.readouterr()
    out, says, printed = exported(tmp_path, capsys, "--params-file", params, "--check-images",
                                  data / "test.rec")
    # 255 x 0.1904, ...
    assert "input data (batch, 1, 28, 28), grey, mean 48.552 and deviation 88.6125" in printed
    assert (says["mean"], says["std"], says["layout"], says["input_size"]) == ("48.552", "88.6125",
                                                                               "NCHW, grey", "28")
    assert (says["model"], says["classes"]) == ("cifar_preact20", "10")
    net = get_model("cifar_preact20", classes=10, in_channels=1, last_bn=True)
    net.load_parameters(str(params))
    assert_agrees(out.read_bytes(), net,
                  np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32))


def test_the_images_of_the_check_are_those_of_validation(tmp_path):
    from gluon_tricks.data.cifar import find_cifar, open_cifar_test
    data = write_data(tmp_path, "kmnist", test=4)
    args = export.parse_args(["--model", "cifar_preact20", "--dataset", "kmnist", "--out",
                              str(tmp_path / "x"), "--check-images", str(data / "test.rec"),
                              "--num-check-images", "4"])
    [batch] = open_cifar_test(find_cifar("kmnist", data), 4, 0).val.epoch(0)
    np.testing.assert_allclose(export.check_images(args)[0], batch.data.asnumpy(), atol=1e-4)


def test_photographs_are_made_grey_for_a_grey_net(tmp_path):
    image = np.zeros((28, 28, 3), np.uint8)
    image[..., 2] = 200                                    # red, in OpenCV's order
    cv2.imwrite(str(tmp_path / "red.png"), image)
    args = export.parse_args(["--model", "cifar_preact20", "--dataset", "mnist", "--out", str(tmp_path / "x"),
                              "--check-images", str(tmp_path)])
    images, _ = export.check_images(args)
    known = DATASETS["mnist"]
    assert images.shape == (1, 1, 28, 28)
    # ITU 601
    np.testing.assert_allclose(images, (round(0.299 * 200) / 255 - known.mean[0]) / known.std[0], atol=1e-4)


def test_the_follow_ups_normalisation_goes_into_the_metadata(tmp_path, capsys):
    data = write_data(tmp_path / "data", "cifar100")
    params, _ = train(tmp_path, "--augment", "follow-up", "--data-dir", str(data), model="cifar_resnet20_v1",
                      dataset="cifar100")
    _, says, _ = exported(tmp_path, capsys, "--params-file", params)
    # ImageNet's, x 255
    assert says["mean"] == "123.675,116.28,103.53" and says["std"] == "58.395,57.12,57.375"
    assert says["classes"] == "100" and says["crop_ratio"] == "1.0"
    with pytest.raises(UserError, match=re.escape("--augment gluoncv: the run that left")):
        export.main(["--params-file", str(params), "--augment", "gluoncv", "--out", str(tmp_path / "x.onnx")])


@pytest.mark.slow
def test_without_a_record_flags_say_the_same(tmp_path, capsys):
    data = write_data(tmp_path / "data", "fashion-mnist")
    params, _ = train(tmp_path, "--model-kwargs", "width=2", "--data-dir", str(data), dataset="fashion-mnist")
    by_record, says, _ = exported(tmp_path, capsys, "--params-file", params)
    whole = by_record.read_bytes()
    alone = params.rename(params.with_name("renamed.params"))
    by_flags, said, _ = exported(tmp_path, capsys, "--params-file", alone, "--model", "cifar_preact20",
                                 "--dataset", "fashion-mnist", "--model-kwargs", "width=2")
    # flags do not say which classes and data there were, nor how the net was trained
    assert json.loads(says.pop("provenance"))["training_flags"] and not json.loads(said.pop("provenance"))["training_flags"]
    assert said == {**says, "class_names": "null", "data_root_hash": ""}
    assert without_metadata(by_flags.read_bytes()) == without_metadata(whole)
    with pytest.raises(UserError, match="--params-file .*: is of another net than --model cifar_preact20"):
        export.main(["--params-file", str(alone), "--model", "cifar_preact20", "--dataset", "fashion-mnist",
                     "--model-kwargs", "last_bn=True", "--out", str(tmp_path / "x.onnx")])


@pytest.mark.parametrize("flags, says", [
    (["--dataset", "mnist", "--rgb-std", "1,2,3"], "--rgb-std 1,2,3: give one number"),
    (["--dataset", "mnist", "--augment", "follow-up"], "images of mnist are grey"),
    (["--model", "resnet18_v1b", "--dataset", "mnist"], "--model resnet18_v1b: takes colour images only"),
    (["--model", "resnet18_v1b", "--augment", "follow-up"],
     "--augment follow-up: is for the data sets of train_cifar.py")])
def test_what_cannot_be_is_said(tmp_path, flags, says):
    with pytest.raises(UserError, match=re.escape(says)):
        export.parse_args(["--model", "cifar_preact20", "--out", str(tmp_path / "x"), *flags])
