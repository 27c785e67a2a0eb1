"""--dtype auto: what is measured, what is chosen, and that a resumed run keeps the choice."""

import json

import pytest
from mxnet import nd

import train_cifar
from gluon_tricks.benching import net_side
from gluon_tricks.errors import UserError
from gluon_tricks.launching.worker import Worker
from gluon_tricks.models import ready
from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.registry import get_model
from gluon_tricks.script import auto_dtype
from gluon_tricks.script.auto_dtype import CANDIDATES, Precision, fastest, try_all, without_amx
from tests.lab_runs import write_part_of_excerpt


@pytest.mark.parametrize("rates, chosen", [
    # 5 % are not worth the digits
    ({"float32": 100.0, "bfloat16": 104.9}, "float32"),
    ({"float32": 100.0, "bfloat16": 106.0}, "bfloat16"),
    # few channels do not fill a tile
    ({"float32": 757.0, "bfloat16": 617.0, "bfloat16 with AMX": 203.0}, "float32"),
    ({"float32": 8.2, "bfloat16": 6.5, "bfloat16 with AMX": 15.6}, "bfloat16 with AMX"),
])
def test_the_fastest_is_chosen_but_float32_unless_another_is_clearly_faster(rates, chosen):
    assert fastest(rates) == chosen


@pytest.mark.slow
def test_a_trial_measures_what_this_machine_has_with_the_net_as_it_will_be_made(monkeypatch):
    """Each process reports the size of its net, which last_bn makes larger."""
    sizes = []

    class Spy(Worker):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            sizes.append(self.facts["parameters"])

    monkeypatch.setattr(auto_dtype, "Worker", Spy)
    monkeypatch.setattr(auto_dtype, "permit_amx", lambda: False)
    monkeypatch.setattr(auto_dtype, "TRIAL_S", 0.0)
    keywords = {"in_channels": 1, "last_bn": True, "pretrained": True}
    rates = try_all("cifar_preact20", classes=4, batch_size=2, size=32, keywords=keywords)
    assert list(rates) == ["float32", "bfloat16"] and min(rates.values()) > 0
    assert sizes == [learned(get_model("cifar_preact20", classes=4, in_channels=1, last_bn=True), 1)] * 2
    assert sizes[0] > learned(get_model("cifar_preact20", classes=4), 3)


def test_a_trial_has_group_norm_where_the_net_has(monkeypatch):
    asked = []

    def spy(name, words, env):
        asked.append([*map(str, words)])
        raise UserError("enough")

    monkeypatch.setattr(auto_dtype, "Worker", spy)
    for keywords in ({"norm_layer": GroupNorm, "last_gamma": True}, {}):
        with pytest.raises(UserError, match="enough"):
            try_all("resnet18_v1", 4, 2, 32, keywords)
    monkeypatch.setattr("sys.argv", asked[0][1:])
    net, _ = net_side.ours(net_side.parse_args()[1])
    assert any("groupnorm" in name for name in net.collect_params()) and "--use-gn" not in asked[1]


def learned(net, channels):
    net.initialize()
    net(nd.zeros((1, channels, 32, 32)))
    return sum(param.data().size for param in net.collect_params().values() if param.grad_req != "null")


def test_trials_that_must_not_use_amx_do_not_inherit_it():
    assert without_amx({"DNNL_MAX_CPU_ISA": "AVX512_CORE_AMX"}) == {"DNNL_MAX_CPU_ISA": None}
    assert without_amx({"DNNL_MAX_CPU_ISA": "AVX2"}) == {}             # the user's own choice
    assert without_amx({}) == {}


@pytest.mark.parametrize("name", CANDIDATES)
def test_the_log_names_the_choice(name):
    dtype, amx = CANDIDATES[name]
    (line,) = Precision(dtype, amx, {"float32": 10.0, "bfloat16": 12.34}).lines
    assert line == f"--dtype auto: {name}; images/s of the trials: float32 10.0, bfloat16 12.3"


def flags(folder, *more):
    return ["--dataset", "cifar10-excerpt", "--model", "cifar_resnet20_v1", "--mode", "hybrid",
            "--batch-size", "40", "-j", "1", "--num-epochs", "1", "--dtype", "auto", "--save-dir",
            str(folder), "--logging-dir", str(folder), "--save-plot-dir", str(folder), *more]


@pytest.mark.slow
def test_a_resumed_run_keeps_the_type_and_tries_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(auto_dtype, "try_all", lambda *_: {"float32": 10.0, "bfloat16": 9.0})
    train_cifar.main(flags(tmp_path, "--max-updates", "1"))
    monkeypatch.setattr(auto_dtype, "try_all", lambda *_: pytest.fail("tried again"))
    train_cifar.main(flags(tmp_path, "--max-updates", "2", "--resume", "auto"))
    log = (tmp_path / "train_cifar10_cifar_resnet20_v1.log").read_text()
    assert log.count("--dtype auto: float32; images/s of the trials: float32 10.0, bfloat16 9.0") == 2
    (record,) = tmp_path.rglob("run.json")
    facts = json.loads(record.read_text())
    assert (facts["dtype"], facts["dtype_trial"]) == ("float32", {"float32": 10.0, "bfloat16": 9.0})


@pytest.mark.slow
def test_memory_is_in_log_and_metrics(tmp_path):
    data = write_part_of_excerpt(tmp_path / "data", train=80, test=40)
    code = train_cifar.main([*flags(tmp_path), "--dtype", "float32", "--data-dir", str(data)])
    assert code == 0
    (metrics,) = tmp_path.rglob("metrics.jsonl")
    epoch = json.loads(metrics.read_text().splitlines()[-1])
    # Python and MXNet are more than 100 MiB; the highest is no less than any other
    assert 100 < epoch["rss_mib"] <= epoch["peak_rss_mib"] < 10_000
    log = (tmp_path / "train_cifar10_cifar_resnet20_v1.log").read_text()
    assert "peak resident memory of this process: " in log


def test_auto_is_for_one_process_on_a_cpu(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="--dtype auto: is for CPUs only"):
        train_cifar.main(flags(tmp_path, "--num-gpus", "1"))
    monkeypatch.setenv("DMLC_ROLE", "worker")
    monkeypatch.setenv("DMLC_NUM_WORKER", "2")
    with pytest.raises(UserError, match="--dtype auto: each process would measure for itself"):
        train_cifar.main(flags(tmp_path, "--kvstore", "dist_sync"))


@pytest.mark.parametrize("dtype, amx, asks", [("bfloat16", True, 1), ("bfloat16", False, 0),
                                              ("float32", True, 0)])
def test_amx_is_asked_for_in_bfloat16_unless_it_was_slower(monkeypatch, dtype, amx, asks):
    from mxnet.contrib import amp

    asked = []
    monkeypatch.setattr(amp, "init", lambda target: None)              # it would change this process for good
    monkeypatch.setattr(ready, "request_amx", lambda: asked.append(dtype) or False)      # refused: no error
    ready.start_precision(dtype, amx)
    assert len(asked) == asks
