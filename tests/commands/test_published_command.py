"""`published`: what it lists, filters and writes is what the published logs hold."""

import csv
import fnmatch
import functools
import gzip
import json
from pathlib import Path

import pytest

from gluon_tricks.commands import published
from gluon_tricks.errors import UserError

LOGS = Path(__file__).resolve().parents[2] / "logs" / "published"


@functools.cache
def entries():
    """Name -> entry of catalogue.json, read here."""
    return {entry["name"]: entry for entry in json.loads((LOGS / "catalogue.json").read_text())["runs"]}


@functools.cache
def epochs():
    """Name -> rows of curves.csv.gz, read here."""
    found = {}
    with gzip.open(LOGS / "curves.csv.gz", "rt") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["run"], []).append(row)
    return found


def listed(capsys, *argv):
    """The names of the printed list."""
    assert published.main(list(argv)) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("run ")
    return [line.split()[0] for line in lines[:lines.index("")]]


# --- The list -----------------------------------------------------------------------------------------------

def test_every_run_has_a_line_with_the_figures_of_its_last_and_best_epoch(capsys):
    assert published.main([]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.split()[:1] and
            line.split()[0] in epochs()}
    assert list(rows) == sorted(epochs()) and "73 of 73 published runs" in out
    for name, (_, dataset, count, top1, top5, best, at, measured, *_) in rows.items():
        assert (dataset, int(count)) == (entries()[name]["dataset"], len(epochs()[name]))
        if measured == "nothing":
            assert (top1, top5, best, at) == ("-",) * 4
            continue
        errors = {int(row["epoch"]): float(row["val_err_top1"]) for row in epochs()[name] if row["val_err_top1"]}
        assert float(top1) == round(100 * (1 - errors[max(errors)]), 2)
        assert float(best) == round(100 * (1 - min(errors.values())), 2)
        assert errors[int(at)] == min(errors.values())
        assert (top5 == "-") == (dataset == "cifar10")


@pytest.mark.parametrize("patterns", [["resnet50*"], ["*_mixup", "*-mixup"], ["VGG*"], ["resnet[15]*v1?"],
                                      ["mobilenetv?_*", "xception"]])
def test_patterns_choose_by_name(capsys, patterns):
    expected = [name for name in epochs()
                if any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns)]
    assert listed(capsys, *patterns) == expected and 0 < len(expected) < 73


@pytest.mark.parametrize("dataset, count", [("cifar10", 20), ("imagenet", 53)])
def test_a_data_set_is_chosen(capsys, dataset, count):
    names = listed(capsys, "--dataset", dataset)
    assert len(names) == count and {entries()[name]["dataset"] for name in names} == {dataset}


def test_mixup_is_where_the_log_prints_an_rmse(capsys):
    with_rmse = [name for name, rows in epochs().items() if rows[0]["train_metric_name"] == "rmse"]
    assert listed(capsys, "--trick", "mixup") == with_rmse
    assert listed(capsys, "--without", "mixup") == [name for name in epochs() if name not in with_rmse]


# What the headers say, and for zero gamma where the net obeys it
HEADERS = {
    "label-smoothing": lambda args, name: args.get("label_smoothing"),
    "cosine-decay": lambda args, name: args.get("lr_mode") == "cosine",
    "lr-warmup": lambda args, name: args.get("warmup_epochs", 0) > 0,
    "no-bias-decay": lambda args, name: args.get("no_wd"),
    "low-precision": lambda args, name: args.get("dtype") == "float16",
    "group-norm": lambda args, name: args.get("use_gn"),
    "auto-augment": lambda args, name: args.get("auto_aug"),
    "zero-gamma": lambda args, name: args.get("last_gamma") and not name.startswith(
        ("resnext", "se_resnext", "mobilenetv3", "resnet18", "resnet34")),
    "linear-scaling": lambda args, name: "rec_train" in args and name != "resnest14" and (
        args["batch_size"] * args["num_gpus"] > 256
        and abs(args["lr"] - 0.1 * args["batch_size"] * args["num_gpus"] / 256) < 1e-9) or name == "resnest14",
}


@pytest.mark.parametrize("trick", HEADERS)
def test_a_trick_is_what_the_headers_say(capsys, trick):
    expected = [name for name, entry in entries().items() if HEADERS[trick](entry["args"], name)]
    assert listed(capsys, "--trick", trick) == expected and expected


def test_resnest14_is_scaled_over_its_workers(capsys):
    """train_horovod.py multiplies --lr 0.05 by 8 workers: 0.4 at 1024 images."""
    args = entries()["resnest14"]["args"]
    assert args["lr"] * 1024 / args["batch_size"] == pytest.approx(0.1 * 1024 / 256)
    assert "resnest14" in listed(capsys, "--trick", "linear_scaling")


@pytest.mark.parametrize("word, name", [("last_gamma", "zero-gamma"), ("no-wd", "no-bias-decay"),
                                        ("float16", "low-precision"), ("cosine", "cosine-decay"),
                                        ("warmup", "lr-warmup"), ("Smoothing", "label-smoothing")])
def test_a_trick_is_also_found_by_the_words_of_its_flag(capsys, word, name):
    assert listed(capsys, "--trick", word) == listed(capsys, "--trick", name)


def test_usable_leaves_out_copies_and_the_straight_line(capsys):
    names = listed(capsys, "--usable")
    assert set(epochs()) - set(names) == {"inceptionv3", "mobilenet1.0", "resnet152_v1d"}


def test_filters_add_up_and_may_stand_between_patterns(capsys):
    argv = ["resnet50*", "--trick", "mixup", "resnet101*", "--trick", "zero-gamma", "--dataset", "imagenet"]
    assert listed(capsys, *argv) == ["resnet101_v1d-mixup", "resnet50_v1d-mixup"]


@pytest.mark.parametrize("key", ["top1", "best", "epochs"])
def test_numbers_are_sorted_from_the_highest(capsys, key):
    names = listed(capsys, "--sort", key)
    column = {"epochs": 2, "top1": 3, "best": 5}[key]
    published.main(["--sort", key])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:74]]
    values = [float(line[column].replace("-", "0")) for line in lines]
    assert values == sorted(values, reverse=True) and sorted(names) == sorted(epochs())
    assert sorted(listed(capsys, "--sort", key, "--reverse")) == sorted(names)


def test_one_name_shows_its_command_and_its_defects(capsys):
    assert published.main(["ResNet50_v1d"]) == 0
    out = capsys.readouterr().out
    assert "top-1 78.47 %, top-5 94.26 %" in out and "best epoch, 116: top-1 78.52 %" in out
    assert "Only the validation figures are measurements. The training accuracy of resnet50_v1d.log starts" in out
    assert "--label-smoothing" in out and "--lr-formula logs" in out
    assert "linear-scaling, lr-warmup, zero-gamma, no-bias-decay, low-precision, cosine-decay" in out


# --- Files --------------------------------------------------------------------------------------------------

def test_the_csv_has_every_run_with_tricks_and_both_commands(tmp_path, capsys):
    path = tmp_path / "new" / "runs.csv"
    assert published.main(["--csv", str(path)]) == 0
    assert f"written: {path}" in capsys.readouterr().out
    with open(path, newline="") as stream:
        rows = {row["run"]: row for row in csv.DictReader(stream)}
    assert list(rows) == sorted(epochs())
    for name, row in rows.items():
        assert (row["mixup"] == "1") == (epochs()[name][0]["train_metric_name"] == "rmse")
        assert row["command"] == entries()[name]["command"] and row["sha1"] == entries()[name]["sha1"]
        assert row["command_today"].startswith("python ")
    assert rows["inceptionv3"]["top1_pct"] == "" and "same bytes" in rows["inceptionv3"]["quality"]
    assert "launch -n 8 --engine horovod" in rows["resnest14"]["command_today"]


def test_the_picture_names_every_curve_and_what_it_leaves_out(tmp_path, monkeypatch):
    drawn = []
    from gluon_tricks import pictures

    save = pictures.save
    monkeypatch.setattr(pictures, "save", lambda figure, *rest, **more: drawn.append(figure) or save(
        figure, *rest, **more))
    path = tmp_path / "runs.png"
    assert published.main(["resnet152*", "cifar_resnet20*", "--plot", str(path)]) == 0
    assert path.read_bytes()[:4] == b"\x89PNG"
    cifar, imagenet = drawn[0].axes
    assert len(cifar.lines) == 4 and len(imagenet.lines) == 5
    assert "no measurement: resnet152_v1d" in imagenet.get_xlabel()
    labels = [text.get_text() for text in imagenet.get_legend().get_texts()]
    assert labels[0] == "resnet152_v1d-mixup 80.56"                          # the highest on top
    assert imagenet.lines[-1].get_ydata()[-1] == pytest.approx(80.56, abs=0.005)


@pytest.mark.parametrize("argv, says", [
    (["resnet51*"], "no published run fits 'resnet51.'; there are resnet"),
    (["resnet50"], "no published run is called 'resnet50'; there are resnet50_v1, "),
    (["--trick", "distillation"], "--trick distillation: no published run is left"),
    (["resnet152_v1d", "--usable"], "resnet152_v1d --usable: no published run is left"),
    (["--trick", "lr"], "--trick lr: may be linear-scaling or lr-warmup or cosine-decay"),
    (["--without", "mixxup"], "--without mixxup: is no trick; there are mixup"),
    (["--plot", "x.nonsense"], "--plot x.nonsense: cannot be written"),
    (["resnet152_v1d", "--plot", "x.png"], "--plot x.png: nothing to draw"),
    (["--csv", "a", "--plot", "./a"], "--plot a: is also the file of --csv"),
    (["--csv", "."], "--csv .: is a folder"),
])
def test_what_cannot_be_is_said(argv, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        published.main(argv)
    assert list(tmp_path.iterdir()) == []
