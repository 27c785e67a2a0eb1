"""The published logs: the committed curves and catalogue are what the original files say."""

import csv
import gzip
import hashlib
import json
import lzma
from pathlib import Path

import pytest

from data_prep import published_logs
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.epochs import EpochRecord
from gluon_tricks.log_lines.lines import namespace_line
from gluon_tricks.log_lines.reading import RunLog, read_log
from gluon_tricks.published.catalogue import FOLDER, catalogue, curve, published_run
from gluon_tricks.published.recipe import departures, recipe
from gluon_tricks.published.reference import find_reference
from tests.epoch_lines import cifar_epoch_line

SHARED = Path(__file__).resolve().parents[3] / "shared"
ARCHIVE = SHARED / "published-logs" / "gluoncv-logs.tar.xz"
REFERENCE = SHARED / "reference"

needs_archive = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"the original logs are not at {ARCHIVE}")
needs_reference = pytest.mark.skipif(not REFERENCE.exists(), reason=f"no independent reading at {REFERENCE}")


# --- facts --------------------------------------------------------------------------------------------------

def test_there_are_73_runs_with_12770_epochs():
    runs = catalogue()
    assert (len(runs), sum(run.epochs for run in runs.values())) == (73, 12_770)
    assert all(len(curve(name)) == run.epochs for name, run in runs.items())
    assert sum(run.dataset == "cifar10" for run in runs.values()) == 20


@pytest.mark.parametrize(("name", "top1", "top5"), [           # last epoch, percent
    ("resnet50_v1d", 78.47, 94.26),
    ("resnet50_v1d-mixup", 79.08, 94.55),
    ("inceptionv3-mixup", 78.02, 93.97),
    ("mobilenet1.0-mixup", 73.08, 91.17),
])
def test_final_accuracies_of_the_papers_models(name, top1, top5):
    final = published_run(name).final
    assert round(100 * (1 - final["val_err_top1"]), 2) == top1
    assert round(100 * (1 - final["val_err_top5"]), 2) == top5
    assert curve(name)[-1].val_err_top1 == final["val_err_top1"]


def test_the_first_epoch_of_a_cifar_run_is_as_printed():
    # INFO:root:[Epoch 0] train=0.467608 val=0.558900 loss=1.452417 time: 16.450441
    assert curve("cifar_resnet20_v1")[0] == EpochRecord(0, "accuracy", 0.467608, 1.452417, 0.4411,
                                                        time_s=16.450441)


def test_flags_name_the_logs_that_are_not_what_they_seem():
    flagged = {}
    for run in catalogue().values():
        for flag in run.flags:
            flagged.setdefault(flag, set()).add(run.name)
    assert flagged["copy"] == {"inceptionv3", "mobilenet1.0"}
    assert flagged["synthetic-validation"] == {"resnet152_v1d"}
    assert flagged["other-model"] == {"cifar_resnet20_v2_mixup"}
    assert flagged["meaningless-train-metric"] == {"resnet50_v1", "resnet50_v1b", "resnet50_v1c",
                                                   "resnet50_v1d", "resnet101_v1d", "resnet152_v1d",
                                                   "darknet53"}
    assert flagged["several-headers"] == {"xception", "resnet50_v1b_gn", "resnet101_v1c", "inceptionv3",
                                          "inceptionv3-mixup", "mobilenetv2_1.0"}
    assert flagged["sh-differs"] == {"xception", "resnet50_v1b_gn", "resnest14", "cifar_resnet110_v1"}
    assert not any(published_run(name).is_usable for name in ("inceptionv3", "mobilenet1.0", "resnet152_v1d"))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="resnet50_v1d-mixup"):
        published_run("resnet50_v1d-")


# --- recipes and references ---------------------------------------------------------------------------------

def run_with(**args):
    """A log of this kit with these arguments."""
    return RunLog(Path("run.log"), "imagenet-C" if args["dataset"] == "imagenet" else "cifar", args, 1, [],
                  {})


CIFAR = {"model": "cifar_resnet20_v1", "dataset": "cifar10", "mixup": False, "batch_size": 128, "num_gpus": 1,
         "lr": 0.1, "lr_decay": 0.1, "lr_decay_epoch": "100,150", "num_epochs": 200, "wd": 1e-4,
         "momentum": 0.9}


@pytest.mark.parametrize("name", [name for name, run in catalogue().items() if run.is_usable])
def test_every_usable_run_is_its_own_reference(name):
    run = published_run(name)
    match = find_reference(RunLog(Path("x.log"), run.style, run.args, 1, [], {}))
    assert match.departures == ()
    assert match.reference.name == {"cifar_resnet20_v2_mixup": "cifar_resnet20_v1_mixup"}.get(name, name)


@pytest.mark.parametrize(("change", "departs"), [
    ({}, ()),
    ({"num_workers": 9, "save_dir": "x", "seed": 3, "mode": "hybrid", "num_epochs": 30}, ()),
    ({"batch_size": 32, "num_gpus": 4}, ()),
    ({"num_gpus": 0}, ()),
    ({"lr": 0.8}, ("lr 0.8 (published 0.1)",)),
    ({"num_gpus": 2}, ("global_batch_size 256 (published 128)",)),
    ({"lr_decay_epoch": "60,120,160", "lr_decay": 0.2},
     ("lr_decay 0.2 (published 0.1)", "lr_decay_epoch 60,120,160 (published 100,150)")),
    ({"lr_mode": "cosine"}, ("lr_mode cosine (published step)",)),
    ({"label_smoothing": True, "dtype": "bfloat16"},
     ("dtype bfloat16 (published float32)", "label_smoothing True (published False)")),
    ({"dtype": "float16", "emulated_float16": True},
     ("dtype float16 emulated on CPUs (published float32)",)),
    # mixup ends 20 epochs before
    ({"mixup": True, "num_epochs": 30}, ("num_epochs 30 (published 220)",)),
])
def test_departures_are_what_changes_the_computation(change, departs):
    match = find_reference(run_with(**{**CIFAR, **change}))
    mixup = "_mixup" if change.get("mixup") else ""
    assert match.reference.name == "cifar_resnet20_v1" + mixup
    assert set(match.departures) == set(departs)


def test_the_run_with_most_flags_in_common_is_the_reference():
    args = {**published_run("resnet50_v1b").args, "use_gn": True, "dtype": "float32"}
    assert find_reference(run_with(dataset="imagenet", **args)).reference.name == "resnet50_v1b_gn"


def test_distillation_flags_count_only_with_a_teacher():
    alone, taught = ({"temperature": 5, "teacher": teacher} for teacher in (None, "resnet152_v1d"))
    reference = recipe({}, "imagenet")
    assert departures(recipe(alone, "imagenet"), reference) == []
    assert departures(recipe(taught, "imagenet"), reference) == ["teacher resnet152_v1d (published None)"]


@pytest.mark.parametrize(("args", "reason"), [
    ({"dataset": "cifar10-excerpt", "model": "cifar_resnet56_v1"}, "are of cifar_resnet20_v1 without mixup"),
    ({"dataset": "cifar10-excerpt", "num_training_samples": 80}, "80 training images are not all 2000 of"),
    ({"dataset": "cifar100"}, "no log on CIFAR-100"),
    ({"dataset": "cifar-mnist"}, "no log on cifar-mnist"),
    ({"model": "cifar_resnet44_v1"}, "no published log is of the model cifar_resnet44_v1"),
    ({"model": "cifar_wideresnet16_10", "mixup": 0, "dataset": "imagenet"},
     "without mixup is published, only"),
    ({"model": "cifar_resnet20_v2", "mixup": True},
     "cifar_resnet20_v2_mixup.log say model cifar_resnet20_v1"),
    ({"model": "inceptionv3", "dataset": "imagenet"}, "same bytes as inceptionv3-mixup.log"),
    ({"model": "resnet152_v1d", "dataset": "imagenet"}, "straight line"),
    ({"model": "resnet50_v1d", "dataset": "imagenet", "num_training_samples": 2000}, "2000 training images"),
    ({"model": None}, "no Namespace line"),
])
def test_the_lack_of_a_reference_is_explained(args, reason):
    match = find_reference(run_with(**{**CIFAR, **args}))
    assert match.reference is None
    assert reason in match.reason


def test_a_reference_by_name_must_be_usable():
    assert find_reference(run_with(**CIFAR), "cifar_resnet56_v1").departures == (
        "model cifar_resnet20_v1 (published cifar_resnet56_v1)",)
    with pytest.raises(UserError, match="is no reference.*straight line"):
        find_reference(run_with(**CIFAR), "resnet152_v1d")


# --- the builder --------------------------------------------------------------------------------------------

@pytest.fixture()
def small_logs(tmp_path):
    """A folder of logs as web-data has it, with one CIFAR run."""
    folder = tmp_path / "logs" / "classification" / "cifar"
    folder.mkdir(parents=True)
    args = {"model": "cifar_resnet20_v1", "lr": 0.1, "batch_size": 128, "num_gpus": 1, "num_workers": 4}
    lines = [namespace_line(args), cifar_epoch_line(0, 0.5, 0.4, 1, 1), cifar_epoch_line(1, 0.6, 0.5, 1, 1)]
    (folder / "cifar_resnet20_v1.log").write_text("".join(f"INFO:root:{line}\n" for line in lines))
    (folder / "cifar_resnet20_v1.sh").write_text("#!/bin/sh\npython train_cifar10.py --lr 0.10 \\\n -j 2 "
                                                 "--model x\n")
    return tmp_path / "logs"


def test_the_builder_writes_the_same_bytes_each_time(small_logs, tmp_path, capsys):
    digests = set()
    for out in (tmp_path / "a", tmp_path / "b"):
        # 1 log, expected 73
        assert published_logs.main(["--logs", str(small_logs), "--out", str(out)]) == 1
        written = sorted(out.iterdir())
        assert [path.name for path in written] == ["catalogue.json", "commands.json", "curves.csv.gz",
                                                   "rates.csv.xz"]
        digests.add(tuple(hashlib.sha1(path.read_bytes()).hexdigest() for path in written))
    assert len(digests) == 1
    assert "logs: 1 (expected 73)" in capsys.readouterr().out


def test_the_builder_notices_that_command_and_log_differ(small_logs, tmp_path):
    published_logs.main(["--logs", str(small_logs), "--out", str(tmp_path)])
    run, = json.loads((tmp_path / "catalogue.json").read_text())["runs"]
    assert run["command"] == "python train_cifar10.py --lr 0.10 -j 2 --model x"
    assert run["flags"] == {"sh-differs": "Command and log differ: model x in the command, cifar_resnet20_v1 "
                                          "in the log, num_workers 2 in the command, 4 in the log."}


def test_the_builder_refuses_what_holds_no_logs(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"no archive")
    for logs in (tmp_path, tmp_path / "none", tmp_path / "x.tar"):
        with pytest.raises(UserError, match="--logs"):
            published_logs.main(["--logs", str(logs), "--out", str(tmp_path / "out")])


# --- against the original files -----------------------------------------------------------------------------

@pytest.mark.shared
@needs_reference
def test_the_curves_equal_an_independent_reading_value_for_value():
    with gzip.open(REFERENCE / "published-curves.csv.gz", "rt") as stream:
        rows = list(csv.DictReader(stream))
    records = {(name, record.epoch): record for name in catalogue() for record in curve(name)}
    assert len(rows) == len(records) == 12_770
    for row in rows:
        record = records[row["run"], int(row["epoch"])]
        for field in EpochRecord._fields:
            value = getattr(record, field)
            assert row[field] == ("" if value is None else value if isinstance(value, str) else row[field])
            assert value is None or isinstance(value, str) or float(row[field]) == value


@pytest.mark.shared
@needs_reference
def test_the_catalogue_equals_an_independent_reading():
    with open(REFERENCE / "published-runs.csv") as stream:
        rows = {Path(row["log_path"]).stem: row for row in csv.DictReader(stream)}
    assert set(rows) == set(catalogue())
    for name, row in rows.items():
        run = published_run(name)
        assert (run.sha1, run.model, run.dataset) == (row["sha1"], row["model"], row["dataset"])
        assert (run.global_batch_size, run.epochs) == (int(row["batch_size_total"]), int(row["epochs"]))
        assert (run.best["epoch"], run.best["val_err_top1"]) == (int(row["best_epoch"]),
                                                                 float(row["best_err_top1"]))
        assert run.final["val_err_top1"] == float(row["final_err_top1"])
        assert run.final["train_metric"] == float(row["final_train_metric"])
        assert bool(run.tricks["mixup"]) == bool(int(row["mixup"]))


@pytest.fixture(scope="module")
def original_logs():
    """The folder of original logs, unpacked for as long as the tests of this module need it."""
    with published_logs.classification_folder(ARCHIVE) as folder:
        yield folder.parent


@pytest.mark.shared
@needs_archive
@pytest.mark.slow
def test_the_committed_files_are_what_the_builder_makes_of_the_original_logs(original_logs, tmp_path):
    assert published_logs.main(["--logs", str(original_logs), "--out", str(tmp_path)]) == 0
    for name, unpacked in (("catalogue.json", bytes), ("commands.json", bytes),
                           ("curves.csv.gz", gzip.decompress), ("rates.csv.xz", lzma.decompress)):
        assert unpacked((tmp_path / name).read_bytes()) == unpacked((FOLDER / name).read_bytes()), name


@pytest.mark.shared
@needs_archive
@needs_reference
@pytest.mark.slow
def test_every_line_of_the_original_logs_is_known(original_logs):
    with open(REFERENCE / "published-log-line-counts.csv") as stream:
        rows = {Path(row.pop("log_path")).name: row for row in csv.DictReader(stream)}
    for path in sorted(original_logs.glob("classification/*/*.log")):
        counts, expected = read_log(path).counts, rows[path.name]
        assert sum(counts.values()) == int(expected.pop("lines"))
        assert {kind: counts.get(kind,
                                 0) for kind in expected} == {kind: int(n) for kind, n in expected.items()}
        assert counts.get("unmatched", 0) == 0
