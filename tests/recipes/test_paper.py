"""Tables 1 to 6 as rows: the figures are the paper's, the flags are what its text says, the commands are
GluonCV's."""

import shlex

import pytest

import train_imagenet
from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.published.recipe import recipe
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.recipes.rows import words

# The tables of arXiv 1812.01187, read once more from the text: top-1 and top-5 in the order of the rows,
# columns together.
PRINTED = {
    1: "75.3 92.2 77.8 76.71 93.38 78.90 94.51 77.42 93.66 79.29 94.63",
    2: "75.87 92.70 75.3 92.2 77.32 93.43 78.8 94.4 69.03 88.71 70.6",
    3: "76.21 92.97 75.87 92.70 77.50 93.60 77.32 93.43 71.90 90.47 69.03 88.71",
    4: "75.87 92.70 75.17 92.54 76.03 92.81 75.93 92.84 76.19 93.03 76.37 92.96 76.16 92.97 76.03 92.86 "
       "76.15 93.09 76.21 92.97",
    5: "76.21 92.97 76.66 93.28 76.87 93.48 77.16 93.52",
    6: "77.16 93.52 77.50 93.60 71.90 90.53 77.91 93.81 78.19 94.06 72.83 91.00 78.31 94.09 78.40 94.13 "
       "72.93 91.14 78.67 94.36 78.26 94.01 71.97 90.89 79.15 94.58 78.77 94.39 73.28 91.30 79.29 94.63 "
    "78.34 94.16 72.51 91.02",
}
ROWS = [(table, row) for table in TABLES.values() for row in table.rows if row.flags]


def row_of(table, name, column=""):
    return next(row for row in TABLES[table].rows if (row.name, row.column) == (name, column))


@pytest.mark.parametrize("number", PRINTED)
def test_figures_are_those_printed_to_the_last_zero(number):
    found = [figure for row in TABLES[number].rows for figure in row.paper if figure]
    assert " ".join(found) == PRINTED[number]


def test_cells_of_one_recipe_have_one_figure_in_all_tables():
    """... but for the one that the paper prints twice, 90.47 and 90.53."""
    seen = {}
    for _, row in ROWS:
        key = str(sorted(recipe(row.flags, "imagenet").items(), key=str))
        seen.setdefault(key, set()).add(row.paper)
    assert [sorted(f.top5 for f in figures) for figures in seen.values()
            if len(figures) > 1] == [["90.47", "90.53"]]
    assert len(seen) == 32          # 42 commands, of which 10 stand in another table too


@pytest.mark.parametrize("table, row", ROWS, ids=[f"{table.number}-{row.number}" for table, row in ROWS])
def test_commands_are_understood_and_say_what_the_row_says(table, row):
    args = vars(train_imagenet.parse_args(shlex.split(row.command)[2:]))
    assert {key: args[key] for key, value in row.flags.items() if value is not None} == {
        key: value for key, value in row.flags.items() if value is not None}
    assert args["lr"] == pytest.approx(0.1 * args["batch_size"] * args["num_gpus"] / 256)      # §3.1
    # §5.2-5.4
    assert (args["label_smoothing_eps"], args["mixup_alpha"], args["temperature"]) == (0.1, 0.2, 20)
    assert args["num_epochs"] == (200 if args["mixup"] else 120)                               # §5.4


def test_each_row_of_table_4_adds_what_its_name_says():
    added = {"+ LR warmup": {"warmup_epochs": 5}, "+ Zero gamma": {"last_gamma": True},
             "+ No bias decay": {"no_wd": True}, "+ FP16": {"dtype": "float16"}}
    for column, batch_size in (("BS=256", 32), ("BS=1024", 128)):
        rows = [row for row in TABLES[4].rows if row.column == column]
        assert rows[0].flags["batch_size"] * rows[0].flags["num_gpus"] == 8 * batch_size
        for before, row in zip(rows, rows[1:]):
            assert row.flags == {**before.flags, **added[row.name]} != before.flags


def test_the_efficient_setting_is_the_last_row_of_table_4():
    last = row_of(4, "+ FP16", "BS=1024").flags
    assert last == row_of(3, "ResNet-50", "Efficient").flags == row_of(5, "ResNet-50").flags
    assert row_of(5, "ResNet-50-D").flags == row_of(6, "Efficient", "ResNet-50-D").flags


@pytest.mark.parametrize("name, column, log", [
    ("+ label smoothing", "ResNet-50-D", "resnet50_v1d"),
    ("+ mixup w/o distill", "ResNet-50-D", "resnet50_v1d-mixup"),
    ("+ mixup w/o distill", "Inception-V3", "inceptionv3-mixup"),
    ("+ mixup w/o distill", "MobileNet", "mobilenet1.0-mixup")])
def test_rows_with_a_published_log_have_its_command(name, column, log):
    """But for paths, word for word."""
    def flags(command):
        parsed = vars(train_imagenet.parse_args(shlex.split(command)[2:]))
        return {key: value for key, value in parsed.items()
                if not key.startswith(("rec_", "save_dir", "logging_file"))}

    assert flags(row_of(6, name, column).command) == flags(catalogue()[log].command)


def test_a_flag_without_a_place_is_an_error_not_lost():
    with pytest.raises(KeyError, match="not_a_flag"):
        words({"model": "resnet50_v1", "not_a_flag": 1})
    assert words({"model": "x", "num_workers": 2, "mixup": True, "no_wd": False, "teacher": None}) == [
        "--model", "x", "-j", "2", "--mixup"]
