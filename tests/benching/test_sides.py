"""The sides of `bench net` and `bench script` do the work they say."""

import pytest

from gluon_tricks.benching import net as bench_net
from gluon_tricks.benching import script as bench_script
from gluon_tricks.benching.paired import Measured
from gluon_tricks.errors import UserError


@pytest.mark.slow
def test_net_side_by_side(tmp_path, capsys):
    """Our net and GluonCV's, both trained; PyTorch and AMX, where they are missing, are not run and say
    why."""
    code = bench_net.main(["--sides", "ours", "gluoncv", "--batch-size", "2", "--updates", "1", "--out",
                           str(tmp_path)])
    shown = capsys.readouterr().out
    assert code == 0
    rows = [line for line in shown.splitlines() if line.startswith("| cifar_resnet20_v1 | 2 | 32 |")]
    assert [row.split(" | ")[3] for row in rows] == ["ours", "gluoncv"]
    assert (tmp_path / "net.json").exists()


def test_a_side_that_is_not_here_is_not_run(monkeypatch):
    monkeypatch.setattr(bench_net, "permit_amx", lambda: False)
    assert "no AMX" in bench_net.not_here("ours-bf16-amx", "/bin/false")
    assert "make torch" in bench_net.not_here("pytorch", "/bin/false")
    assert bench_net.not_here("ours", "/bin/false") is None
    result = Measured({"ours": [1.0, 2.0, 3.0]})
    rows = list(bench_net.report_rows("resnet50_v1d", bench_net.work_of("resnet50_v1d"), ["ours", "pytorch"],
                                      {"pytorch": "no PyTorch"}, result, result))
    same = "1.00 (1.00 to 1.00)"
    assert rows == [("resnet50_v1d", 16, 224, "ours", "2.0 (1.0 to 3.0)", same, "2.00", same),
                    ("resnet50_v1d", 16, 224, "pytorch", "not run", "", "", "")]


def test_sides_with_other_parameters_are_no_comparison():
    class Side:
        def __init__(self, parameters):
            self.facts = {"parameters": parameters}

    with pytest.raises(AssertionError, match="differs between sides"):
        bench_net.check_same_net("resnet50_v1", {"ours": Side(1), "gluoncv": Side(2)})


@pytest.mark.slow
def test_script_side_by_side(capsys):
    """Both ways train on the same images; a turn is an epoch, and the bottleneck is named."""
    code = bench_script.main(["--images", "40", "--val-images", "20", "--batch-size", "20", "-j", "1"])
    shown = capsys.readouterr().out
    assert code == 0
    assert "| epoch | ours: train, val accuracy | gluoncv: train, val accuracy |" in shown
    assert shown.count("\n| 5 | ") == 1                       # epochs 0 to 5: one of warm-up, five measured
    assert "bottleneck: the net; loading alone" in shown
    # median of the published log's `time:`
    assert "GluonCV's log of cifar_resnet20_v1: 16.3 s per epoch" in shown


def test_verdict_names_the_slower_part():
    sides = dict.fromkeys(("ours", "ours-io", "ours-net"))
    slow_loading = Measured({"ours": [90.0], "ours-io": [100.0], "ours-net": [400.0]})
    assert list(bench_script.verdict(slow_loading, sides)) == [
        "bottleneck: image loading; loading alone 100 images/s, net alone 400, both 90, which is 90% of the "
        "slower one"]
    assert list(bench_script.verdict(slow_loading, {"ours": None})) == []


def test_fewer_images_than_a_batch_are_refused():
    with pytest.raises(UserError, match="--images 100: must be at least 128"):
        bench_script.parse_args(["--images", "100"])


@pytest.mark.slow
def test_more_images_than_there_are():
    with pytest.raises(UserError, match="--images 2001: there are 2000"):
        bench_script.main(["--images", "2001", "--val-images", "20", "--sides", "gluoncv"])
