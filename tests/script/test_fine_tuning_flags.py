"""Fine-tuning with both scripts: what starts, moves and stays; resuming; refusals."""

import json
import shutil
from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd, gluon, nd

import train_cifar
import train_imagenet
from gluon_tricks.data.imagenet import ImagenetData
from gluon_tricks.engines.single import SingleProcess
from gluon_tricks.errors import UserError
from gluon_tricks.models.params_file import read_params, write_params
from gluon_tricks.models.registry import get_model
from gluon_tricks.parameters import named_parameters
from gluon_tricks.script import cifar, imagenet
from gluon_tricks.script.auto_dtype import as_asked
from tests.lab_runs import train_words, write_data
from tests.script_runs import run_here

MODEL, HEAD = "cifar_resnet20_v1", ("output.weight", "output.bias")
ENGINE = SingleProcess([mx.cpu()])
DATA = SimpleNamespace(classes=list("abcdefghij"), root_hash="")
IMAGENET = ImagenetData(None, None, 1000, "", None)


def save_drawn(path, model, classes):
    """A file of a net with values of its own in every array; the path."""
    net, rng = get_model(model, classes=classes), np.random.default_rng(3)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 3, 32, 32)))
    write_params(path, {name: param.data().asnumpy() if name.endswith("weight")
                        else rng.uniform(0.5, 1.5, param.shape).astype("f4")
                        for name, param in named_parameters(net).items()})
    return str(path)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A file of 100 classes."""
    return save_drawn(tmp_path_factory.mktemp("base") / "base.params", MODEL, 100)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return str(write_data(tmp_path_factory.mktemp("data") / "rec", "cifar10", train=16, test=8))


def words(folder, data, *flags):
    return train_words(folder, "--data-dir", data, *flags, model=MODEL)


def final(folder):
    """The arrays in the parameter file of the last epoch."""
    [path] = [path for path in (folder / "params").glob("*.params") if "-best" not in path.name]
    return read_params("", path)


def started(base, *flags):
    """`(net, log lines)` of train_cifar.py before its first update."""
    args = train_cifar.parse_args(["--model", MODEL, "--mode", "hybrid", "--init-params", base, *flags])
    net = cifar.build_net(args, 10, as_asked(args), ENGINE)
    return net, cifar.start(args, net, DATA, ENGINE, resumed=False)


def test_all_arrays_but_the_head_are_the_files_at_the_start(base):
    net, lines = started(base)
    stored = read_params("", base)
    args = train_cifar.parse_args(["--model", MODEL, "--mode", "hybrid"])
    plain = named_parameters(cifar.build_net(args, 10, as_asked(args), ENGINE))
    for name, param in named_parameters(net).items():
        expected = plain[name].data().asnumpy() if name in HEAD else stored[name]
        np.testing.assert_array_equal(param.data().asnumpy(), expected)
    assert lines == [f"--init-params {base}: 105 of 107 arrays loaded; left as drawn: output.weight (10, 64) "
                     f"(in the file (100, 64)), output.bias (10,) (in the file (100,))"]


def test_frozen_arrays_are_the_files_at_the_end(base, data, tmp_path):
    flags = "--init-params", base, "--freeze", "features.0", "features.2"
    train_cifar.main(words(tmp_path / "free", data, *flags))
    train_cifar.main(words(tmp_path / "fixed", data, *flags, "--freeze-norm"))
    stored, free, fixed = read_params("", base), final(tmp_path / "free"), final(tmp_path / "fixed")
    for name, value in stored.items():
        if name in HEAD:
            continue
        frozen = name.startswith(("features.0.", "features.2."))
        is_statistic, is_norm = "running" in name, stored[name].ndim == 1
        assert (free[name] == value).all() == (frozen and not is_statistic), name
        assert (fixed[name] == value).all() == (frozen or is_norm), name


def test_the_heads_rate_is_factor_times_the_rate_of_the_others(base, data, tmp_path):
    """The first update of plain SGD: weight - rate x gradient of the mean loss."""
    flags = ["--data-dir", data, "--optimizer", "sgd", "--momentum", "0", "--wd", "0", "--batch-size", "8",
             "--no-random-crop", "--no-random-flip", "--head-lr", "10"]
    net, _ = started(base, *flags)
    args = train_cifar.parse_args(["--model", MODEL, *flags, "-j", "0"])
    batch = next(iter(cifar.open_data(args, ENGINE).train.epoch(0)))
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(batch.data), batch.label).mean()
    loss.backward()
    before = {name: (param.data().asnumpy(), param.grad().asnumpy())
              for name, param in named_parameters(net).items() if param.grad_req != "null"}
    run_here(train_cifar.main, words(tmp_path, data, "--init-params", base, *flags, "--lr", "0.01",
                                     "--max-updates", "1"))
    with np.load(next((tmp_path / "params").glob("*.resume.npz"))) as after:
        for name, (weight, gradient) in before.items():
            step = 0.01 * (10 if name in HEAD else 1) * gradient
            np.testing.assert_allclose(weight - after[f"param/{name}"], step, rtol=1e-3, atol=3e-7)
            assert name not in HEAD or abs(step).max() > 1e-5


def test_stopped_and_resumed_equals_uninterrupted(base, data, tmp_path):
    moved = tmp_path / "base.params"
    shutil.copyfile(base, moved)
    flags = ["--init-params", str(moved), "--freeze", "features.0", "features.2", "--freeze-norm", "--head-lr",
             "3", "--num-cpus", "2", "--batch-size", "4"]
    run_here(train_cifar.main, words(tmp_path / "whole", data, *flags))
    parts = words(tmp_path / "parts", data, *flags)
    run_here(train_cifar.main, [*parts, "--max-updates", "1"])
    moved.unlink()                         # needed at the start only
    with np.load(next((tmp_path / "parts/params").glob("*.resume.npz"))) as archive:
        of_device = {name for name in archive.files if name.startswith("param@1/")}
        assert all("running" in name for name in of_device) and of_device
        assert "state/0/features.0.weight" not in archive.files
    for given, says in ((["--freeze", "features.3"], "--freeze"), (["--init-params", base], "--init-params")):
        refused = run_here(train_cifar.main, [*parts, "--resume", "auto", *given], check=2)
        assert f"give the same {says}, or another" in refused.stderr
    assert "not read again" in run_here(train_cifar.main, [*parts, "--resume", "auto"]).stderr
    name = "params/cifar10-cifar_resnet20_v1-0.params"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    facts = json.loads(next((tmp_path / "parts").rglob("run.json")).read_text())
    assert facts["freeze"] == ["features.0", "features.2"] and facts["freeze_norm"] is True


def test_another_nets_file_is_refused_by_name(base, data, tmp_path):
    other = ["--init-params", base, "--model", "cifar_resnet56_v1"]
    said = run_here(train_cifar.main, words(tmp_path, data, *other), check=2).stderr
    assert f"--init-params {base}: does not load into this model (it has no features.2.3.body.0.weight)" in said
    gone = run_here(train_cifar.main, words(tmp_path, data, "--init-params", "gone.params"), check=2).stderr
    assert "--init-params gone.params: cannot be read (No such file" in gone


@pytest.mark.parametrize("parse, flags, says", [
    (train_imagenet, ["--init-params", "a", "--resume-params", "b"], "--init-params a and --resume-params:"),
    (train_imagenet, ["--init-params", "zoo", "--use-pretrained"], "--init-params zoo and --use-pretrained:"),
    (train_cifar, ["--init-params", "a", "--resume-from", "b"], "--init-params a and --resume-from: give one"),
    (train_imagenet, ["--init-params", ""], "--init-params '': give a file or zoo"),
    (train_cifar, ["--freeze", "backbone"], "--freeze backbone: would keep drawn parameters"),
    (train_imagenet, ["--freeze-norm"], "--freeze-norm: would keep drawn parameters"),
    (train_cifar, ["--head-lr", "0"], "--head-lr 0.0: must be positive"),
    (train_imagenet, ["--head-lr", "nan"], "--head-lr nan: must be a finite number")])
def test_contradictions_are_refused(parse, flags, says):
    with pytest.raises(UserError, match=f"^{says}"):
        parse.parse_args(["--model", "resnet18_v1b", *flags])


def test_prefixes_of_several_flags_add_up():
    args = train_cifar.parse_args(["--model", MODEL, "--resume-from", "a", "--freeze", "x", "y", "--freeze",
                                   "z"])
    assert args.freeze == ["x", "y", "z"]


def test_dry_run_shows_the_start_what_is_frozen_and_the_heads_rate(capsys):
    flags = ["--model", "resnet18_v1b", "--classes", "4", "--dry-run", "--init-params", "zoo", "--freeze",
             "backbone", "--head-lr", "10", "--num-training-samples", "64"]
    assert train_imagenet.main(flags) == 0
    shown = capsys.readouterr().out
    assert "--init-params zoo; a last layer for another number of classes is left as drawn" in shown
    # 11,689,512 with 1000 classes (torchvision's resnet18), less 513 x 1000 of the classifier
    assert "60 arrays frozen, 11,176,512 values; 2 trained; running statistics follow the images" in shown
    assert "learning rate of fc.weight, fc.bias: 10 x the schedule's" in shown
    assert "0.0001 on 2 arrays, 2,052 values" in shown


def test_imagenet_script_fine_tunes_and_its_average_keeps_frozen_arrays(tmp_path):
    base = save_drawn(tmp_path / "base.params", "resnet18_v1b", 7)
    run_here(train_imagenet.main, [
        "--model", "resnet18_v1b", "--synthetic", "--classes", "4", "--num-training-samples", "4",
        "--input-size", "32", "--batch-size", "2", "--num-epochs", "1", "--mode", "hybrid",
        "--init-params", base, "--freeze", "backbone", "--freeze-norm", "--ema", "0.9", "--save-dir",
        f"{tmp_path}/params", "--logging-file", f"{tmp_path}/train.log"])
    stored = read_params("", base)
    for path in (tmp_path / "params").glob("imagenet-resnet18_v1b-0*.params"):
        for name, value in read_params("", path).items():
            assert name.startswith("fc.") or (value == stored[name]).all(), (path, name)
    assert len(list((tmp_path / "params").glob("imagenet-resnet18_v1b-0*.params"))) == 2


def test_the_zoos_weights_start_a_net_of_another_number_of_classes(base, tmp_path, monkeypatch):
    model_store = pytest.importorskip("gluoncv.model_zoo.model_store")
    monkeypatch.setattr(model_store, "get_model_file", lambda name, tag, root: base if name == MODEL else None)
    net, lines = started("zoo")
    assert (net.features[0].weight.data().asnumpy() == read_params("", base)["features.0.weight"]).all()
    assert "--init-params zoo: 105 of 107 arrays loaded" in lines[0]
    args = train_imagenet.parse_args(["--model", "resnet50_v1e", "--init-params", "zoo"])
    with pytest.raises(UserError, match="--init-params zoo: GluonCV publishes no weights of resnet50_v1e"):
        imagenet.start(args, get_model("resnet50_v1e"), IMAGENET, ENGINE, resumed=False)
