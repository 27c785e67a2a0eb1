"""Smaller profiles: the linear rule, the shape of the schedule and the stand-ins hold; the full one changes
nothing."""

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.studies.profiles import PROFILES, fewer, find_records, table_runs

SMOKE, SMALL, FULL = (PROFILES[name] for name in ("smoke", "small", "full"))


def planned(number, profile=SMOKE, **options):
    table = TABLES[number]
    records = find_records(SMOKE) if profile is not FULL else None
    return table_runs(table, profile, [row for row in table.rows if row.flags], records, **options)


@pytest.mark.parametrize("profile", [SMOKE, SMALL])
@pytest.mark.parametrize("number", TABLES)
def test_rates_keep_the_linear_rule_and_batches_their_ratio(number, profile):
    for run in planned(number, profile)[0]:
        assert run.flags["lr"] == pytest.approx(0.1 * run.batch / 256)
        if run.row:
            paper = run.row.flags["batch_size"] * run.row.flags["num_gpus"]
            assert run.batch == paper / profile.batch_divisor
        assert 1 <= run.flags.get("warmup_epochs", 1) < run.flags["num_epochs"]


def test_the_schedule_keeps_its_shape():
    assert [fewer(epochs, SMOKE) for epochs in (120, 200, 30, 60, 90, 5)] == [6, 10, 2, 3, 5, 1]
    assert [fewer(epochs, SMALL) for epochs in (120, 200, 30, 60, 90, 5)] == [30, 50, 8, 15, 23, 1]
    assert planned(4)[0][0].flags["lr_decay_epoch"] == "2,3,5"


def test_with_two_gpus_the_global_batch_stays():
    one, two = (planned(4, num_gpus=n)[0][-1] for n in (0, 2))
    assert one.batch == two.batch == 128
    assert (two.flags["batch_size"], two.flags["dtype"]) == (64, "float16")
    assert one.flags["dtype"] in ("bfloat16", "float32")


def test_what_stands_for_what_is_said():
    runs, left_out = planned(6)
    assert [run.title for run in runs][:2] == ["teacher", "Efficient, ResNet-50-D"]
    assert len(runs) == 1 + 12 and [row.number for row in left_out] == [2, 5, 8, 11, 14, 17]
    distilled = next(run for run in runs if run.title == "+ distill w/o mixup, ResNet-50-D")
    assert distilled.flags["teacher"] == "resnet34_v1:teacher/params/imagenet-resnet34_v1-5.params"
    assert any("trained here" in sentence for sentence in distilled.stands)
    assert "resnet18_v1 for resnet50_v1d" in distilled.stands
    assert [run.flags["model"] for run in planned(5)[0]] == ["resnet50_v1", "resnet50_v1b", "resnet50_v1c",
                                                             "resnet50_v1d"]


def test_the_full_profile_runs_the_commands_as_they_stand():
    runs, left_out = planned(6, FULL)
    assert [run.flags for run in runs] == [row.flags for row in TABLES[6].rows] and not left_out


def test_folder_names_are_plain_and_unlike():
    names = [run.slug for number in TABLES for run in planned(number, FULL)[0] if number == 6]
    assert names[9] == "10-distill-without-mixup-resnet-50-d" and len(set(names)) == len(names)


def test_records_without_a_manifest_need_their_classes(tmp_path):
    for name in ("a.rec", "a.idx", "b.rec", "b.idx"):
        (tmp_path / name).write_text("0\t0\n1\t99\n")
    paths = str(tmp_path / "a.rec"), str(tmp_path / "b.rec")
    with pytest.raises(UserError, match="--classes"):
        find_records(SMALL, *paths)
    found = find_records(SMALL, *paths, classes=7)
    assert (found.images, found.flags["classes"], found.flags["input_size"]) == (2, 7, 224)
    with pytest.raises(UserError, match="give both"):
        find_records(SMALL, paths[0])
    with pytest.raises(UserError, match="nothere.rec: does not exist"):
        find_records(SMALL, str(tmp_path / "nothere.rec"), paths[1], 7)
