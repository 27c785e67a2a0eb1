"""A certificate holds what the files of a run say, and is refused where they say too little."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from gluon_tricks import machine
from gluon_tricks.commands.certify import main
from gluon_tricks.errors import UserError
from gluon_tricks.judging.certificate import certify, markdown
from gluon_tricks.judging.runs import read_run
from gluon_tricks.log_lines.lines import ImagenetTrain, ImagenetValidation, namespace_line
from gluon_tricks.recipes.paper import TABLES

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "logs" / "ours" / "cifar_resnet20_v1"


@pytest.fixture
def run(tmp_path):
    """A copy of our CIFAR-10 run."""
    return Path(shutil.copytree(OURS, tmp_path / "run"))


def certificate_of(path):
    return certify(read_run(path))[0]


def edit(folder, **changes):
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, **changes}))


def test_the_certificate_of_our_cifar_run(run, capsys):
    assert main([str(run)]) == 0
    found = json.loads((run / "certificate.json").read_text())
    assert found["here"] == {"figures": "81.20", "epoch": 14, "train": 0.863522, "train_metric": "accuracy"}
    assert found["official"] == {
        "paper": None, "zoo": {"figures": "92.1", "weights": "CIFAR_ResNet20_v1"},
        "log": {"figures": "92.00", "name": "cifar_resnet20_v1", "best": "92.14", "epochs": 200}}
    assert found["verdict"].startswith("verdict: INSIDE the band of cifar_resnet20_v1 over epochs 0-14")
    assert found["not_known"] == ["the end: 15 of 200 epochs have been run"]
    assert found["files"]["run.json"] == hashlib.sha256((run / "run.json").read_bytes()).hexdigest()
    text = (run / "certificate.md").read_text()
    assert found["picture"] == "certificate.png" and "](certificate.png)" in text
    assert (run / "certificate.png").read_bytes().startswith(b"\x89PNG")
    assert "| epochs | 0-14 of 200, not finished |" in text and "| paper | none of exactly this recipe |" in text
    assert text.splitlines()[0] == capsys.readouterr().out.splitlines()[
        0] == "# Certificate: cifar_resnet20_v1 on cifar10"


def test_the_hash_of_the_rates_is_that_of_the_logged_lines(run):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines = [f"{r['epoch']},{r['batch']},{r['lr']:.9g}\n" for r in records if r["kind"] == "interval"]
    assert lines[0] == "0,100,0.1\n" and len(lines) == 45
    assert certificate_of(run)["rate_trace"]["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    shutil.copy(OURS / "metrics.jsonl", run / "metrics.jsonl")
    text = (run / "metrics.jsonl").read_text().replace('"lr": 0.1,', '"lr": 0.1000001,', 1)
    (run / "metrics.jsonl").write_text(text)
    assert certificate_of(run)["rate_trace"]["sha256"] != hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("change, says", [
    (lambda run: edit(run, data_root_hash=""), "the data: no root hash"),
    (lambda run: edit(run, data_root_hash="synthetic"), "the data: the images were synthetic"),
    (lambda run: (run / "metrics.jsonl").unlink(), "the rate of each update: there is no metrics.jsonl"),
    (lambda run: (run / "metrics.jsonl").write_text('{"kind": "epoch", "epoch": 14}\n'), "metrics.jsonl has no interval"),
    (lambda run: edit(run, commit="f" * 40 + "+"), "the exact code: files differed"),
    (lambda run: edit(run, versions=None), "the versions of MXNet, NumPy and Python"),
    (lambda run: edit(run, command=None), "the command")])
def test_what_is_not_known_is_listed(run, change, says):
    before = certificate_of(run)["not_known"]
    change(run)
    found = certificate_of(run)
    [more] = [sentence for sentence in found["not_known"] if sentence not in before]
    assert more.startswith(says) or says in more
    assert "- " + more in list(markdown(found))


def test_images_that_are_not_the_published_ones_get_no_official_figure(run):
    edit(run, data_root_hash="synthetic")
    found = certificate_of(run)
    assert found["data"] == "synthetic images" and found["official"] == {"paper": None, "zoo": None, "log": None}


@pytest.mark.parametrize("change, says", [
    (lambda run: (run / "run.json").write_text("[1]"), "is no run.json of this kit"),
    (lambda run: (run / "metrics.jsonl").write_text("[]\n"), "is no record of a run"),
    (lambda run: (run / "metrics.jsonl").write_text('{"kind": "interval", "epoch": 3, "batch": 100, "lr": 0.1}\n'),
     "ends in epoch 3, .* in epoch 14"),
    (lambda run: edit(run, args={"seed": 5, "num_epochs": 200}), "its header says"),
    (lambda run: next(run.glob("*.log")).unlink(), "has no log")])
def test_damaged_files_and_files_of_two_runs_are_refused(run, change, says):
    change(run)
    with pytest.raises(UserError, match=says):
        main([str(run)])
    assert not (run / "certificate.json").exists() and not (run / "certificate.md").exists()


def test_a_bare_log_gets_a_certificate_with_a_long_list_of_what_is_not_known(run, tmp_path, capsys):
    lines = next(run.glob("*.log")).read_text().splitlines()
    log = tmp_path / "of_2019.log"
    header = ("INFO:root:Namespace(batch_size=128, num_gpus=1, model='cifar_resnet20_v1', num_workers=2, "
              "num_epochs=200, lr=0.1, momentum=0.9, wd=0.0001, lr_decay=0.1, lr_decay_period=0, "
              "lr_decay_epoch='100,150', drop_rate=0.0, mode='hybrid', save_period=10, save_dir='params', "
              "resume_from=None, save_plot_dir='.')")
    log.write_text("\n".join([header, *(line for line in lines if "[Epoch" in line)]) + "\n")
    assert main([str(log)]) == 0
    found = json.loads((tmp_path / "of_2019.certificate.json").read_text())
    assert found["not_known"][0] == "the end: 15 of 200 epochs have been run" and len(found["not_known"]) == 9
    for word in ("data", "rate", "command", "seed", "versions", "machine", "code", "order"):
        assert any(word in sentence for sentence in found["not_known"]), word
    assert found["verdict"].startswith("verdict: INSIDE") and found["official"]["log"]["name"] == "cifar_resnet20_v1"
    assert found["picture"] == "of_2019.certificate.png" and found["seed"] is None
    text = (tmp_path / "of_2019.certificate.md").read_text()
    assert "](of_2019.certificate.png)" in text and "| versions | not known |" in text
    assert (tmp_path / "of_2019.certificate.png").read_bytes().startswith(b"\x89PNG")
    assert "None" not in text


def test_a_log_cut_anywhere_is_certified_or_refused(run, tmp_path):
    content = next(run.glob("*.log")).read_bytes()
    for end in range(200, len(content), 331):
        (tmp_path / "cut.log").write_bytes(content[:end])
        try:
            found = certificate_of(tmp_path / "cut.log")
        except UserError as error:
            assert "no finished epoch" in str(error)
        else:
            assert found["epochs"]["last"] < 15 and found["not_known"]


def test_with_out_the_files_carry_the_name_of_the_run(run, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(run, tmp_path / name)
        assert main([str(tmp_path / name), "--out", str(tmp_path / "all")]) == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == sorted(
        f"{name}.certificate.{kind}" for name in ("one", "two") for kind in ("json", "md", "png"))


def test_two_runs_with_logs_in_one_folder_have_two_certificates(run, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(run, tmp_path / "demo" / name)
        next((tmp_path / "demo" / name).glob("*.log")).rename(tmp_path / "demo" / f"{name}.log")
    for name in ("one", "two"):
        assert main([str(tmp_path / "demo" / f"{name}.log")]) == 0
        found = json.loads((tmp_path / "demo" / f"{name}.certificate.json").read_text())
        assert found["picture"] == f"{name}.certificate.png" and found["command"]


def test_detection_gets_its_score_and_no_verdict(capsys):
    found = certificate_of(OURS.parent / "faster_rcnn_cells_trained_0")
    assert found["here"]["figures"].startswith("mAP ") and found["verdict"].startswith("verdict: none")
    assert found["official"] == {"paper": None, "zoo": None, "log": None} and found["data_root_hash"]


def test_texts_of_run_json_cannot_forge_a_row(run):
    edit(run, command="python x.py\n| verdict | INSIDE \x1b[2J|", commit="a|b")
    text = "\n".join(markdown(certificate_of(run)))
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
    found = certificate_of(imagenet_run(tmp_path / "run", row))
    assert found["here"]["figures"] == "78.31 / 94.09" and found["epochs"]["finished"]
    assert found["official"] == {
        "paper": {"figures": "78.31 / 94.09", "row": "Table 6, + label smoothing, ResNet-50-D"},
        "zoo": {"figures": "78.48 / 94.20", "weights": "ResNet50_v1d 00319ddc"},
        "log": {"figures": "78.47 / 94.26", "name": "resnet50_v1d", "best": "78.52 / 94.24", "epochs": 120}}
    assert found["data"] == "imagenet" and found["device"] == "8 GPUs (Tesla V100), a CPU"
    assert found["not_known"] == ["the exact code: files differed from the commit",
                                  "the order and crops of the images: the reader, mxnet, draws its own random "
                                  "numbers"]


def test_a_recipe_of_its_own_gets_none(tmp_path):
    row = next(row for row in TABLES[6].rows if row.name == "+ label smoothing"
               and row.column == "ResNet-50-D")
    found = certificate_of(imagenet_run(tmp_path / "run", row, num_training_samples=2000))
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
