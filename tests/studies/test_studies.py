"""The follow-up's tables and the collection's studies: figures as printed, commands that say what their row
says."""

import re
import shlex

import pytest

import train_cifar
from gluon_tricks.recipes import STUDIES
from gluon_tricks.recipes.rows import words
from gluon_tricks.studies import runner
from gluon_tricks.studies.cifar_runs import smaller, study_runs
from gluon_tricks.studies.study_report import shared_runs

# Read once more from the text of the follow-up
PRINTED = {
    "follow-up-I": "75.87 92.70 74.92 95.66",
    "follow-up-II": "75.87 92.70 72.74 94.44 73.55 71.54 94.44 71.49 94.07",
    "follow-up-III": "74.92 95.66 75.99 95.55 78.38 94.70 79.10 95.18 80.34 95.75",
    "follow-up-IV": "76.00 76.18 76.77 76.15 75.88 75.46 75.99 76.99 76.54",
    "follow-up-V": "79.10 95.18 79.50 95.50 79.50 95.64 80.34 95.75 80.71 96.03 81.42 95.96",
    "follow-up-teachers": "87.17 97.53 79.36 95.02",
    "follow-up-text": "78.44 94.06 78.77 95.57 79.04 95.05",
}
# ... and of the collection: study, row, error
COLLECTION = [
    ("residual-units", "w/o 1st ReLU, w/ last BN", "5.85"),
    ("residual-units", "w/ 1st ReLU, w/ last BN", "6.43"),
    ("smoothing-mixup-ricap", "ResNet-preact-20, RICAP (beta=0.3), 400 epochs", "6.19"),
    ("smoothing-mixup-ricap", "ResNet-preact-20, Dual-Cutout 16 (alpha=0.1), 200 epochs", "6.24"),
    ("linear-scaling", "batch 4096, lr 3.2, multistep, 200 epochs", "28.97"),
    ("longer-training", "batch 128, lr 0.1, cosine, 800 epochs", "6.68"),
    ("initial-lr", "batch 32, lr 0.1, cosine, 200 epochs", "7.25"),
    ("good-lr", "batch 2048, lr 1.6, cosine, 6400 epochs", "7.45"),
    ("mnist", "shake-shake-26 2x96d (S-S-I), Cutout 14, 100 epochs", "0.24"),
    ("kmnist", "PyramidNet-110-270, Cutout 14, 200 epochs", "0.72"),
]
ROWS = [(table, row) for table in STUDIES.values() for row in table.rows if row.flags]


@pytest.mark.parametrize("name", PRINTED)
def test_the_follow_ups_figures_are_those_printed(name):
    assert " ".join(figure for row in STUDIES[name].rows for figure in row.paper if figure) == PRINTED[name]


@pytest.mark.parametrize("study, name, error", COLLECTION)
def test_the_collections_errors_are_those_printed(study, name, error):
    row = next(row for row in STUDIES[study].rows if row.name == name)
    assert row.extra.startswith(f"error {error} % (")


def test_every_command_is_understood_and_says_what_its_row_says():
    for table, row in ROWS:
        args = vars(train_cifar.parse_args(shlex.split(row.command)[2:]))
        for key, value in row.flags.items():
            assert value is None or args[key] == value, (table.number, row.name, key)
        batch = args["batch_size"] * args["accumulate"]
        for pattern, found in ((r"batch (\d+)", batch), (r"lr ([\d.]+)", args["lr"]),
                               (r"(\d+) epochs", args["num_epochs"]),
                               (r"Cutout (\d+)", args["cutout"]),
                               (r"epsilon=([\d.]+)", args["label_smoothing_eps"]),
                               (r"beta=([\d.]+)", args["mixup_alpha"]), (r"ghost (\d+)", args["batch_size"]),
                               (r"decay ([\d.e-]+),", args["wd"])):
            said = re.search(pattern, row.name)
            if said and "follow-up" not in str(table.number):
                assert float(said[1]) == pytest.approx(found), (row.name, pattern)
        assert ("RICAP" in row.name) == (args["mixup"] and args["mix"] == "ricap")
        assert ("LARS" in row.name) == (args["optimizer"] == "lars")


def test_each_row_of_table_iii_adds_what_its_name_says():
    rows = STUDIES["follow-up-III"].rows
    changed = [{key for key in {**a.flags, **b.flags} if a.flags.get(key) != b.flags.get(key)}
               for a, b in zip(rows, rows[1:])]
    assert changed == [{"lr_mode", "lr_decay_epoch", "warmup_epochs"}, {"label_smoothing"},
                       {"mix", "mixup_alpha", "num_epochs"}, {"teacher", "temperature"}]


@pytest.mark.parametrize("profile", ["smoke", "small", "full"])
def test_every_row_has_a_command_in_every_profile(tmp_path, profile):
    for _, row in ROWS:
        flags, _ = smaller(row.flags, profile, 1)
        args = train_cifar.parse_args(words({key: value for key, value in flags.items() if key != "teacher"}))
        if profile == "smoke":
            assert (args.dataset, args.num_epochs) == ("cifar10-excerpt", 2)
            assert args.batch_size * args.accumulate <= 1024
            if args.optimizer == "nag":
                whole = row.flags["batch_size"] * row.flags.get("accumulate", 1)
                assert args.lr / (args.batch_size * args.accumulate) == pytest.approx(row.flags["lr"] / whole)
        assert args.warmup_epochs < args.num_epochs


def test_a_distilled_row_is_preceded_by_its_teacher(tmp_path):
    table = STUDIES["follow-up-V"]
    runs = study_runs(table, "smoke", [table.rows[5], table.rows[4]], 0, None, tmp_path)
    assert [run.title for run in runs] == ["teacher", "Vert. Spatial Mixup w/ Distill.",
                                           "Horiz. Spatial Mixup w/ Distill."]
    file = str(tmp_path / "teacher" / "params" / "cifar10-cifar_resnet20_v1-1.params")
    assert runs[1].args.teacher == runs[2].args.teacher == f"cifar_resnet20_v1:{file}"
    assert runs[0].args.mixup is False and runs[0].args.label_smoothing


def test_rows_of_one_command_are_one_run(tmp_path):
    table = STUDIES["cifar10-mixing"]
    runs = study_runs(table, "smoke", table.rows, 0, None, tmp_path)
    folders, commands = {run.slug for run in runs}, {run.words for run in runs}
    assert len(runs) == len(table.rows) > len(folders) == len(commands) == len({(run.slug,
                                                                                 run.words) for run in runs})
    assert sum(note.count("; ") for note in shared_runs(runs)) == len(runs) - len(folders)
    whole = study_runs(table, "full", table.rows, 0, None, tmp_path)
    assert len({run.slug for run in whole}) == len(whole)


def test_a_shared_run_is_trained_once_also_when_it_fails(tmp_path, monkeypatch, capsys):
    table, trained = STUDIES["kmnist"], []
    runs = study_runs(table, "smoke", table.rows, 0, None, tmp_path)

    def train(run, out, more, report):
        trained.append(run.slug)
        (out / run.slug).mkdir()
        (out / run.slug / "console.txt").write_text("no such thing\n")
        return 2

    monkeypatch.setattr(runner, "train", train)
    assert runner.run_rows(runs, tmp_path) == {runs[0].slug: "no such thing"}
    assert trained == [runs[0].slug] and capsys.readouterr().out.count("failed: no such thing") == 4
