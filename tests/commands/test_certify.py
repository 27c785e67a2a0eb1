"""A certificate holds what the files of a run say, and is refused where they say too little."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from gluon_tricks import machine
from gluon_tricks.commands import certify
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.lines import ImagenetTrain, ImagenetValidation, namespace_line
from gluon_tricks.recipes.paper import TABLES

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "logs" / "ours" / "cifar_resnet20_v1"


@pytest.fixture
def run(tmp_path):
    """A copy of our CIFAR-10 run."""
    return Path(shutil.copytree(OURS, tmp_path / "run"))


def edit(folder, **changes):
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, **changes}))


def test_the_certificate_of_our_cifar_run(run, capsys):
    assert certify.main([str(run)]) == 0
    found = json.loads((run / "certificate.json").read_text())
    assert found["here"] == {"figures": "81.20", "epoch": 14, "train": 0.863522, "train_metric": "accuracy"}
    assert found["official"] == {
        "paper": None, "zoo": {"figures": "92.1", "weights": "CIFAR_ResNet20_v1"},
        "log": {"figures": "92.00", "name": "cifar_resnet20_v1", "best": "92.14", "epochs": 200}}
    assert found["verdict"].startswith("verdict: INSIDE the band of cifar_resnet20_v1 over epochs 0-14")
    assert found["not_known"] == ["the end: 15 of 200 epochs have been run"]
    assert found["files"]["run.json"] == hashlib.sha256((run / "run.json").read_bytes()).hexdigest()
    text = (run / "certificate.md").read_text()
    assert "| epochs | 0-14 of 200, not finished |" in text and "| paper | none of exactly this recipe |" in text
    assert text.splitlines()[0] == capsys.readouterr().out.splitlines()[
        0] == "# Certificate: cifar_resnet20_v1 on cifar10"


def test_the_hash_of_the_rates_is_that_of_the_logged_lines(run):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines = [f"{r['epoch']},{r['batch']},{r['lr']:.9g}\n" for r in records if r["kind"] == "interval"]
    assert lines[0] == "0,100,0.1\n" and len(lines) == 45
    assert certify.certify(run)["rate_trace"]["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    shutil.copy(OURS / "metrics.jsonl", run / "metrics.jsonl")
    text = (run / "metrics.jsonl").read_text().replace('"lr": 0.1,', '"lr": 0.1000001,', 1)
    (run / "metrics.jsonl").write_text(text)
    assert certify.certify(run)["rate_trace"]["sha256"] != hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("change, says", [
    (lambda run: edit(run, data_root_hash=""), "the data have no root hash"),
    (lambda run: edit(run, data_root_hash="synthetic"), "the data have no root hash"),
    (lambda run: (run / "run.json").write_text("{}"), "has no 'command'"),
    (lambda run: (run / "run.json").unlink(), "run.json: cannot be read"),
    (lambda run: (run / "run.json").write_text("[" * 100_000), "is no JSON"),
    (lambda run: (run / "run.json").write_text("[1]"), "is no JSON object"),
    (lambda run: (run / "run.json").write_bytes(b"\xff{}"), "is no JSON"),
    (lambda run: edit(run, versions=[1]), r"versions \[1\] is of another type"),
    (lambda run: edit(run, seed="0"), 'seed "0" is of another type'),
    (lambda run: edit(run, args={"num_epochs": "many"}), "run.json: args: num_epochs='many' must be a whole"),
    (lambda run: (run / "metrics.jsonl").unlink(), "metrics.jsonl: cannot be read"),
    (lambda run: (run / "metrics.jsonl").write_text("[]\n"), "is no JSON object"),
    (lambda run: (run / "metrics.jsonl").write_text('{"kind": "interval", "epoch": 1, "batch": []}\n'),
     r"line 1: batch \[\] must be a whole number"),
    (lambda run: (run / "metrics.jsonl").write_bytes(b"\xff\n"), "is no JSON"),
    (lambda run: (run / "metrics.jsonl").write_text('{"kind": "epoch"}\n'), "has no interval"),
    (lambda run: (run / "metrics.jsonl").write_text('{"kind": '), "is no JSON"),
    (lambda run: (run / "metrics.jsonl").write_text(
        '{"kind": "interval", "epoch": 3, "batch": 100, "lr": 0.1}\n'),
     "ends in epoch 3, the log in epoch 14"),
    (lambda run: edit(run, args={"seed": 5, "num_epochs": 200}), "its header says"),
    (lambda run: next(run.glob("*.log")).unlink(), "holds no log")])
def test_what_cannot_be_known_is_refused(run, change, says):
    change(run)
    with pytest.raises(UserError, match=says):
        certify.certify(run)


def test_texts_of_run_json_cannot_forge_a_row(run):
    edit(run, command="python x.py\n| verdict | INSIDE \x1b[2J|", commit="a|b")
    text = "\n".join(certify.markdown(certify.certify(run)))
    assert r"    python x.py\n| verdict | INSIDE \x1b[2J|" in text.splitlines()
    assert r"| commit | a\|b |" in text.splitlines()


def imagenet_run(folder, row, **args):
    """A finished run of a row of the paper, as train_imagenet.py would leave it; the figures of its log are
    made up."""
    args = {**row.flags, "seed": 0, "data_backend": "mxnet", "num_training_samples": 1281167, **args}
    args = {key: value for key, value in args.items() if value is not None}
    facts = {"command": row.command, "versions": {"python": "3.11"}, "processor": "a CPU", "cpus": 96,
             "seed": 0, "args": args, "global_batch_size": 1024, "data_root_hash": "f" * 64,
             "model": args["model"], "classes": 1000, "threads": "4", "commit": "c" * 40 + "+",
             "gpus": ["Tesla V100"] * 8}
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(facts))
    last = args["num_epochs"] - 1
    lines = [namespace_line(args)]
    for epoch in range(last + 1):
        lines += [str(ImagenetTrain(epoch, "accuracy", 0.7)), str(ImagenetValidation(epoch, 0.2169, 0.0591))]
    (folder / "train.log").write_text("\n".join(lines) + "\n")
    (folder
     / "metrics.jsonl").write_text(json.dumps({"kind": "interval", "epoch": last, "batch": 50, "lr": 1e-5})
                                   + "\n")
    return folder


def test_a_row_of_the_paper_gets_all_three_figures(tmp_path):
    row = next(row for row in TABLES[6].rows if row.name == "+ label smoothing"
               and row.column == "ResNet-50-D")
    found = certify.certify(imagenet_run(tmp_path / "run", row))
    assert found["here"]["figures"] == "78.31 / 94.09" and found["epochs"]["finished"]
    assert found["official"] == {
        "paper": {"figures": "78.31 / 94.09", "row": "Table 6, + label smoothing, ResNet-50-D"},
        "zoo": {"figures": "78.48 / 94.20", "weights": "ResNet50_v1d 00319ddc"},
        "log": {"figures": "78.47 / 94.26", "name": "resnet50_v1d", "best": "78.52 / 94.24", "epochs": 120}}
    assert found["data"] == "imagenet" and found["device"] == "8 GPUs (Tesla V100), a CPU"
    assert found["not_known"] == ["the exact code: files differed from the commit",
                                  "the order and crops of the images: MXNet's iterator draws its own random "
                                  "numbers"]


def test_a_recipe_of_its_own_gets_none(tmp_path):
    row = next(row for row in TABLES[6].rows if row.name == "+ label smoothing"
               and row.column == "ResNet-50-D")
    found = certify.certify(imagenet_run(tmp_path / "run", row, num_training_samples=2000))
    assert found["official"] == {"paper": None, "zoo": None, "log": None}
    assert found["data"] == "2000 training images of 1000 classes, not imagenet as published"


def test_zoo_figures_are_in_the_package():
    with open(ROOT / "gluon_tricks" / "published" / "zoo.csv", encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 99


def test_run_json_names_the_gpus_as_nvidia_smi_does(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'Tesla V100-SXM2-16GB'\necho 'Tesla V100-SXM2-16GB'\n")
    tool.chmod(0o755)
    assert machine.gpus() == ["Tesla V100-SXM2-16GB"] * 2
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert machine.gpus() == []
