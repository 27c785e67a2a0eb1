"""`evaluate` on what train_cifar.py leaves: the figure of the training's own validation, and what contradicts
its record."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import train_cifar
from gluon_tricks.commands import evaluate as command
from gluon_tricks.errors import UserError
from gluon_tricks.saved.names import run_name, run_name_of
from gluon_tricks.saved.record import find_run
from gluon_tricks.script import cifar as build
from tests.lab_runs import left_by, train, train_words, write_data

ROOT = Path(__file__).resolve().parents[2]
# 255 x 0.485, ..., 0.229, ...
IMAGENETS = ["--rgb-mean", "123.675,116.28,103.53", "--rgb-std", "58.395,57.12,57.375"]

# data set, net, flags of the training, what `evaluate` has to be told of it where there is no record
RUNS = [
    ("cifar10", "cifar_preact20", [], []),
    ("cifar100", "cifar_resnet20_v1", ["--mix", "vertical+mixup"], []),
    ("mnist", "cifar_preact20", ["--cutout", "14"], []),
    ("fashion-mnist", "cifar_resnet20_v2", ["--random-erasing"], []),
    ("kmnist", "cifar_vgg15_bn", [], []),
    ("cifar10", "cifar_resnet20_v1", ["--augment", "follow-up"], ["--augment", "follow-up"]),
    ("cifar100", "cifar_resnet20_v1", ["--augment", "follow-up", "--label-smoothing"], IMAGENETS),
    ("cifar10", "cifar_preact20",
     ["--model-kwargs", "last_bn=True", "first_relu=False", "preact_stages=[0,1,1]"],
     ["--model-kwargs", "preact_stages=(0,1,1)", "last_bn=True", "first_relu=False"]),
    ("mnist", "cifar_preact20", ["--model-kwargs", "width=2"], ["--model-kwargs", "width=2"]),
    ("cifar10", "cifar_preact20", ["--dual-cutout", "--mix", "ricap"], []),
    ("fashion-mnist", "cifar_preact20", ["--dual-cutout"], []),
    ("cifar10", "cifar_densenet40_k12", ["--drop-rate", "0.2"], ["--model-kwargs", "drop_rate=0.2"]),
    ("kmnist", "cifar_shake_shake26_2x32d", ["--model-kwargs", "shake=S-E-B"],
     ["--model-kwargs", "shake=S-E-B"]),
    ("cifar10", "cifar_se_preact20", ["--accumulate", "2", "--batch-size", "4"], []),
]


def evaluated(tmp_path, *flags):
    """`(err_top1, err_top5)` and all that --json says."""
    assert command.main([*map(str, flags), "-j", "0", "--json", str(tmp_path / "result.json")]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    return (result["top1"]["err"], result["top5"]["err"]), result


@pytest.mark.parametrize("dataset, model, flags, told", RUNS,
                         ids=[" ".join([*run[:2], *run[2]]) for run in RUNS])
@pytest.mark.slow
def test_the_figure_is_that_of_the_trainings_validation(tmp_path, capsys, dataset, model, flags, told):
    data = write_data(tmp_path / "data", dataset)
    params, epoch = train(tmp_path, *flags, "--data-dir", str(data), model=model, dataset=dataset)
    validation = epoch["err_top1"], epoch["err_top5"]
    assert epoch["num_update"] == 2
    by_record, result = evaluated(tmp_path, "--params-file", params)               # and no other flag
    assert by_record == pytest.approx(validation, abs=1e-12)
    assert result["images"] == 30 and result["data"]["path"] == str(data / "test.rec")
    assert "; net and images as recorded in " in capsys.readouterr().out

    alone = params.with_name("renamed.params")                                     # no record is of this name
    params.rename(alone)
    assert find_run(alone) is None
    by_flags, _ = evaluated(tmp_path, "--params-file", alone, "--model", model, "--dataset", dataset,
                            "--data-dir", data, *told)
    assert by_flags == pytest.approx(validation, abs=1e-12)
    # as a published run lies there
    record = next(tmp_path.rglob("run.json"))
    (alone.parent / "run.json").write_bytes(record.read_bytes())
    assert evaluated(tmp_path, "--params-file", alone)[0] == pytest.approx(validation, abs=1e-12)


@pytest.mark.slow
def test_on_the_excerpt_too(tmp_path):
    params, epoch = train(tmp_path, "--batch-size", "200", model="mobilenet0.25", dataset="cifar10-excerpt")
    errors, result = evaluated(tmp_path, "--params-file", params)
    assert errors == pytest.approx((epoch["err_top1"], epoch["err_top5"]), abs=1e-12)
    assert result["images"] == 500 and result["args"]["batch_size"] == 200        # the run's


@pytest.mark.slow
def test_in_bfloat16_too(tmp_path):
    """In processes of their own: amp patches operators."""
    data = write_data(tmp_path / "data", "cifar10")
    words = ["train_cifar.py", *train_words(tmp_path, "--dtype", "bfloat16", "--data-dir", str(data))]
    for more in (words,
                 ["-m", "gluon_tricks", "evaluate", "--json", str(tmp_path / "result.json"), "--params-file",
                         str(tmp_path / "params" / "cifar10-cifar_preact20-0.params")]):
        done = subprocess.run([sys.executable, *more], cwd=ROOT, capture_output=True, text=True, timeout=300,
                              env={**os.environ, "MPLBACKEND": "Agg"})
        assert done.returncode == 0, done.stderr
    result, (_, epoch) = json.loads((tmp_path / "result.json").read_text()), left_by(tmp_path)
    assert result["args"]["dtype"] == "bfloat16"
    assert (result["top1"]["err"],
            result["top5"]["err"]) == pytest.approx((epoch["err_top1"], epoch["err_top5"]), abs=1e-12)


# --- Records ------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def follow_up(tmp_path_factory):
    """`(folder, data, parameter file)` of a run with the follow-up's colours and a switch."""
    folder = tmp_path_factory.mktemp("follow-up")
    data = write_data(folder / "data", "cifar10")
    params, _ = train(folder, "--augment", "follow-up", "--model-kwargs", "last_bn=True", "--data-dir",
                      str(data))
    return folder, data, params


@pytest.mark.parametrize("flags, says", [
    (["--model", "cifar_preact56"], "--model cifar_preact56: the run that left PARAMS had cifar_preact20, as "
     "RECORD says"),
    (["--dataset", "cifar100"], "--dataset cifar100: the run that left PARAMS had cifar10, as RECORD says"),
    (["--dataset", "mnist"], "--dataset mnist: the run that left PARAMS had cifar10"),
    (["--augment", "gluoncv"], "--augment gluoncv: the run that left PARAMS had follow-up"),
    (["--model-kwargs", "width=2"], "--model-kwargs width=2: the run that left PARAMS had last_bn=true"),
    (["--rgb-mean", "1,2,3"], "--rgb-mean 1,2,3: the run that left PARAMS had 123.675,116.28,103.53"),
    (["--rgb-std", "1"], "--rgb-std 1: give three numbers"),
    (["--classes", "7"], "--classes 7: the run that left PARAMS had 10, as RECORD says"),
    (["--run-json", "nowhere.json"], "--run-json nowhere.json: cannot be read")])
def test_what_contradicts_the_record_is_refused(follow_up, flags, says):
    _, _, params = follow_up
    record = params.with_suffix(".json")
    with pytest.raises(UserError,
                       match=re.escape(says.replace("PARAMS", str(params)).replace("RECORD", str(record)))):
        command.main(["--params-file", str(params), *flags])


def test_what_agrees_with_the_record_may_be_said(follow_up, tmp_path):
    _, data, params = follow_up
    plain, _ = evaluated(tmp_path, "--params-file", params)
    said, _ = evaluated(tmp_path, "--params-file", params, "--model", "CIFAR_preact20", "--dataset",
                        "cifar10", "--data-dir", data, "--augment", "follow-up", "--model-kwargs",
                        "last_bn=True", *IMAGENETS)
    assert said == plain


def test_other_data_than_the_runs_are_noted(follow_up, tmp_path, capsys):
    _, data, params = follow_up
    evaluated(tmp_path, "--params-file", params)
    assert "note:" not in capsys.readouterr().out
    other = write_data(tmp_path / "other", "cifar10", test=20)
    evaluated(tmp_path, "--params-file", params, "--data-dir", other)
    root_hash = json.loads((data / "manifest.json").read_text())["root_hash"]
    assert f"note: the run had other data, root hash {root_hash[:16]}..." in capsys.readouterr().out


def test_a_record_is_found_by_its_runs_name_or_given(follow_up, tmp_path):
    folder, _, params = follow_up
    run_json = next(folder.rglob("run.json"))
    for name in ("cifar10-cifar_resnet20_v1-3.params", "anything.params"):
        (tmp_path / name).write_bytes(params.read_bytes())
    assert find_run(tmp_path / "anything.params") is None
    assert find_run(tmp_path / "anything.params", run_json).net.switches == {"last_bn": True}
    (tmp_path / "run.json").write_bytes(run_json.read_bytes())
    assert find_run(tmp_path / "anything.params").net.rgb_mean == pytest.approx((123.675, 116.28, 103.53))
    # the record beside it is of another net
    assert find_run(tmp_path / "cifar10-cifar_resnet20_v1-3.params") is None
    with pytest.raises(UserError, match="is of the run cifar10-cifar_preact20, and .*resnet20_v1-3.params is "
                                        "none of its"):
        find_run(tmp_path / "cifar10-cifar_resnet20_v1-3.params", run_json)
    (tmp_path / "run.json").write_text(json.dumps({"model": "fcn", "dataset": "voc", "args": {}}))
    assert find_run(tmp_path / "anything.params") is None
    with pytest.raises(UserError, match="is no record of a training script"):
        find_run(params, tmp_path / "run.json")
    for record, file in (("run.json", "anything.params"),
                         ("cifar10-cifar_resnet20_v1.resume.npz", "cifar10-cifar_resnet20_v1-3.params")):
        (tmp_path / record).write_text("{")
        with pytest.raises(UserError, match=f"{file}: the record next to it, {record}, cannot be read .*; "
                                            "put a whole one there"):
            find_run(tmp_path / file)


@pytest.mark.parametrize("dataset, mix",
                         [("cifar10", None), ("cifar10-excerpt", "vertical+mixup"), ("fashion-mnist", None),
                                          ("cifar100", "mixup")])
def test_names_of_files_are_read_back(tmp_path, monkeypatch, dataset, mix):
    monkeypatch.chdir(tmp_path)
    args = train_cifar.parse_args(["--dataset", dataset, "--model", "cifar_preact20",
                                   *(["--mix", mix] if mix else [])])
    paths, name = build.run_paths(args), run_name(dataset, "cifar_preact20", mix)
    assert paths.resume.name == f"{name}.resume.npz"
    assert run_name_of(paths.periodic.format(epoch=119)) == run_name_of(paths.best.format(val=0.91234,
                                                                                          epoch=7)) == name
    assert run_name_of("net.params") is run_name_of("0.9123-cifar-x-7.params") is None


def test_a_deployed_grey_net_is_shown_grey_images(tmp_path):
    from gluon_tricks.commands import export
    data = write_data(tmp_path / "data", "kmnist")
    params, epoch = train(tmp_path, "--data-dir", str(data), dataset="kmnist")
    assert export.main(["--params-file", str(params), "--format", "symbol", "--out",
                        str(tmp_path / "net")]) == 0
    errors, _ = evaluated(tmp_path, "--deploy", "--model-prefix", tmp_path / "net", "--dataset", "kmnist",
                          "--data-dir", data)
    assert errors == pytest.approx((epoch["err_top1"], epoch["err_top5"]), abs=1e-12)


# --- Flags alone --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("flags, says", [
    (["--dataset", "mnist", "--augment", "follow-up"],
     "--augment follow-up: changes colours, and images of mnist are grey"),
    (["--dataset", "mnist", "--rgb-mean", "1,2,3"], "--rgb-mean 1,2,3: give one number"),
    (["--dataset", "mnist", "--input-size", "32"], "images of mnist have 28 x 28 pixels"),
    (["--augment", "follow-up"], "--augment follow-up: is for the data sets of train_cifar.py"),
    (["--dataset", "cifar10", "--rec-dir", "x"], "--rec-val x/val.rec: leave --data-dir and --dataset out"),
    (["--model-kwargs", "in_channels=1"], "--model-kwargs in_channels=1: leave it out, --dataset sets it"),
    (["--model-kwargs", "width"], "--model-kwargs width: give NAME=VALUE"),
    (["--dataset", "mnist", "--model", "resnet18_v1b"], "--model resnet18_v1b: takes colour images only")])
def test_what_cannot_be_is_said(tmp_path, flags, says):
    with pytest.raises(UserError, match=re.escape(says)):
        command.parse_args(["--params-file", str(tmp_path / "x.params"), "--model", "cifar_preact20", *flags])
    with pytest.raises(UserError, match="--run-json x: is the record of a --params-file; give that too"):
        command.parse_args(["--model", "cifar_preact20", "--run-json", "x"])


@pytest.mark.parametrize("words", ["width=wide", "preact_stages=[1]", "width=-1"])
def test_values_that_no_net_can_be_made_with_are_one_sentence(follow_up, tmp_path, words):
    params = tmp_path / "x.params"
    params.write_bytes(follow_up[2].read_bytes())
    with pytest.raises(UserError, match=re.escape(f"--model-kwargs {words}: model cifar_preact20 cannot be "
                                                  "made so (")):
        command.main(["--params-file", str(params), "--model", "cifar_preact20", "--dataset",
                      "cifar10-excerpt", "--model-kwargs", words])


def test_a_normalisation_that_differs_shows(follow_up, tmp_path):
    """Otherwise the comparisons above could not tell one from the other."""
    _, data, params = follow_up
    args = command.parse_args(["--params-file", str(params)])
    other = command.parse_args(["--params-file", str(params.parent / "x.params"), "--model", "cifar_preact20",
                                "--dataset", "cifar10", "--data-dir", str(data), "--batch-size", "8"])
    batches = [next(iter(command.open_data(one).loader.epoch(0))).data.asnumpy() for one in (args, other)]
    assert np.abs(batches[0] - batches[1]).max() > 0.05
