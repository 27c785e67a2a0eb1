"""train_cifar.py on a part of the embedded excerpt; in its own process where that matters."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import train_cifar
from gluon_tricks.commands import certify
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.published.catalogue import catalogue
from tests.lab_runs import write_part_of_excerpt
from tests.processes import start
from tests.script_runs import run_here

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["--dataset", "cifar10-excerpt", "--model", "cifar_resnet20_v1", "--mode", "hybrid", "--batch-size",
         "10", "-j", "2", "--num-epochs", "2", "--lr-decay-epoch", "1"]          # 8 updates an epoch


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
    """80 training and 20 validation images; every command below reads them."""
    folder = write_part_of_excerpt(tmp_path_factory.mktemp("data"), train=80, test=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "SMALL", [*SMALL, "--data-dir", str(folder)])
        yield folder


def words(folder, *more):
    return [*SMALL, "--save-dir", f"{folder}/params", "--logging-dir", str(folder), "--save-plot-dir",
            str(folder), *more]


def command(folder, *more):
    return [sys.executable, "train_cifar.py", *words(folder, *more)]


def run(folder, *more):
    """In a process of its own."""
    done = subprocess.run(command(folder, *more), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def here(folder, *more, check=0):
    """In this process."""
    return run_here(train_cifar.main, words(folder, *more), check)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two epochs that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, run(folder, "--log-interval", "4", "--save-period", "1", "--tensorboard",
                       f"{folder}/board")


def params_of(folder, epoch=1):
    return (folder / "params" / f"cifar10-cifar_resnet20_v1-{epoch}.params").read_bytes()


# --- what a run leaves --------------------------------------------------------------------------------------

@pytest.mark.slow
def test_the_log_speaks_gluoncvs_language(finished):
    folder, _ = finished
    log = read_log(folder / "train_cifar10_cifar_resnet20_v1.log")
    assert [record.epoch for record in log.epochs] == [0, 1] and log.headers == 1
    assert {record.train_metric_name for record in log.epochs} == {"accuracy"}
    first = (folder / "train_cifar10_cifar_resnet20_v1.log").read_text().splitlines()[0]
    assert first.startswith("INFO:root:Namespace(") and " batch_size=10, " in first
    assert (log.args["dataset"], log.args["num_training_samples"]) == ("cifar10-excerpt", 80)


@pytest.mark.slow
def test_parameter_files_have_gluoncvs_names(finished):
    folder, _ = finished
    names = {path.name for path in (folder / "params").iterdir()}
    assert {"cifar10-cifar_resnet20_v1-0.params", "cifar10-cifar_resnet20_v1-1.params"} <= names
    best = [name for name in names if re.fullmatch(r"0\.\d{4}-cifar-cifar_resnet20_v1-\d-best\.params", name)]
    assert best and not [name for name in names if "part" in name]


@pytest.mark.slow
def test_metrics_and_run_json_hold_the_logs_numbers(finished):
    folder, _ = finished
    records = [json.loads(line) for line in
               (folder / "train_cifar10_cifar_resnet20_v1" / "metrics.jsonl").read_text().splitlines()]
    log = read_log(folder / "train_cifar10_cifar_resnet20_v1.log")
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert [round(r["accuracy"], 6) for r in epochs] == [e.train_metric for e in log.epochs]
    assert [r["err_top1"] for r in epochs] == pytest.approx([e.val_err_top1 for e in log.epochs])
    assert [r["lr"] for r in epochs] == pytest.approx([0.1, 0.01])
    assert [r["num_update"] for r in records if r["kind"] == "interval"] == [4, 8, 12, 16]
    facts = json.loads((folder / "train_cifar10_cifar_resnet20_v1" / "run.json").read_text())
    assert facts["seed"] == 0 and facts["versions"]["mxnet"] == "1.9.1" and len(facts["data_root_hash"]) == 64
    assert "train_cifar.py --dataset cifar10-excerpt" in facts["command"]


@pytest.mark.slow
def test_a_plot_and_tensorboard_scalars_are_written(finished):
    folder, _ = finished
    assert (folder / "cifar_resnet20_v1_history.png").read_bytes().startswith(b"\x89PNG")
    events = list((folder / "board").glob("events.out.tfevents.*"))
    assert events and b"epoch/err_top1" in events[0].read_bytes()


@pytest.mark.slow
def test_what_it_leaves_is_certified_at_the_first_try(finished):
    folder, _ = finished
    assert certify.main([str(folder)]) == 0
    found = json.loads((folder / "certificate.json").read_text())
    assert all("code" in sentence or "commit" in sentence for sentence in found["not_known"])
    assert len(found["files"]) == 3 and found["rate_trace"]["lines"] == 4


@pytest.mark.slow
def test_it_ends_with_plot_accuracy_and_verdict(finished):
    _, done = finished
    lines = done.stdout.splitlines()
    assert lines[1].startswith("plot: ")
    assert re.match(r"validation accuracy: last \d+\.\d\d %, best \d+\.\d\d %$", lines[2])
    assert lines[-1].startswith("verdict: none: 80 training images are not all 2000 of cifar10-exc")


@pytest.mark.slow
def test_where_there_is_no_terminal_the_output_is_the_log(finished, tmp_path):
    """`2>&1 | tee FILE` keeps what `compare` needs: every line of the log, and no status line."""
    folder, done = finished
    (tmp_path / "tee.log").write_text(done.stderr + done.stdout)
    tee, log = read_log(tmp_path / "tee.log"), read_log(folder / "train_cifar10_cifar_resnet20_v1.log")
    assert (tee.args, tee.epochs) == (log.args, log.epochs) and tee.args["batch_size"] == 10
    assert "images/s" not in done.stderr and "\r" not in done.stderr


# --- stopping and going on ----------------------------------------------------------------------------------

@pytest.mark.slow
def test_killed_in_the_middle_of_an_epoch_and_resumed_gives_the_same_bits(finished, tmp_path):
    process = start(command(tmp_path, "--checkpoint-period", "3"), stderr=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL)
    resume = tmp_path / "params" / "cifar10-cifar_resnet20_v1.resume.npz"
    deadline = time.time() + 120
    while not resume.exists() and time.time() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    again = run(tmp_path, "--resume", "auto", "--checkpoint-period", "3")
    assert re.search(r"resumed at epoch \d, batch \d, update (3|6|8|9|11)", again.stderr)
    assert params_of(tmp_path) == params_of(finished[0])
    epochs = read_log(tmp_path / "train_cifar10_cifar_resnet20_v1.log").epochs
    expected = read_log(finished[0] / "train_cifar10_cifar_resnet20_v1.log").epochs
    assert [e._replace(time_s=None) for e in epochs] == [e._replace(time_s=None) for e in expected]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow
def test_a_signal_saves_says_how_to_go_on_and_exits_0(finished, tmp_path, number):
    process = start(command(tmp_path, "--num-epochs", "500"), stderr=subprocess.PIPE)
    for line in process.stderr:
        if "[Epoch 0]" in line:
            process.send_signal(number)
            break
    rest = process.stderr.read()
    assert process.wait() == 0
    assert f"stopped by {number.name} at epoch" in rest and "--resume auto" in rest
    assert f"{number.name}: the run stops after this update and saves its state; a second signal" in rest
    assert (tmp_path / "params" / "cifar10-cifar_resnet20_v1.resume.npz").exists()
    assert "Traceback" not in rest


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(finished):
    folder, _ = finished
    before = params_of(folder)
    again = here(folder, "--resume", "auto")
    assert "resumed at epoch 2" in again.stderr and params_of(folder) == before


@pytest.mark.slow
def test_two_workers_and_none_give_the_same_bits(finished, tmp_path):
    here(tmp_path, "-j", "0", "--num-epochs", "2")
    assert params_of(tmp_path) == params_of(finished[0])


# --- other ways to train ------------------------------------------------------------------------------------

@pytest.mark.slow
def test_mixup_logs_rmse_under_the_mixup_scripts_names(tmp_path):
    here(tmp_path, "--mixup", "--mixup-off-epoch", "1")
    log = read_log(tmp_path / "train_cifar10_cifar_resnet20_v1_mixup.log")
    assert {record.train_metric_name for record in log.epochs} == {"rmse"}
    # an untrained net is near uniform: sqrt of the mean over 10 classes of (p - 1/10)^2 for a one-hot p is
    # 0.3
    assert 0.2 < log.epochs[0].train_metric < 0.4
    assert (tmp_path / "params" / "cifar10-cifar_resnet20_v1_mixup-1.params").exists()


@pytest.mark.parametrize("flags", [
    ["--data-backend", "mxnet", "--lr-mode", "cosine", "--warmup-epochs", "1"],
    ["--dtype", "bfloat16", "--label-smoothing"],
    ["--model", "cifar_wideresnet16_10", "--drop-rate", "0.3", "--batch-size", "2", "--mode", "imperative"],
])
@pytest.mark.slow
def test_other_settings_train(tmp_path, flags):
    start = run if "bfloat16" in flags else here
    done = start(tmp_path, *flags, "--max-updates", "2")
    assert re.search(r"stopped by --max-updates 2 at epoch 0, update 2.*; continue with: python ",
                     done.stderr)


@pytest.mark.slow
def test_dropout_is_resumed_bit_for_bit(tmp_path):
    flags = ["--model", "cifar_densenet40_k12", "--drop-rate", "0.5", "--batch-size", "2", "--num-epochs",
             "1"]
    kept = {}
    # each finds other random states
    for name, updates in (("stopped", "1"), ("straight", "3"), ("stopped", "3")):
        here(tmp_path / name, *flags, "--max-updates", updates, "--resume", "auto")
        with np.load(tmp_path / name / "params" / "cifar10-cifar_densenet40_k12.resume.npz") as archive:
            kept[name] = {key: archive[key].tobytes() for key in archive.files if key != "meta"}
    assert kept["straight"] == kept["stopped"]


@pytest.mark.slow
def test_parameters_of_another_run_can_be_the_start(finished, tmp_path):
    start = finished[0] / "params" / "cifar10-cifar_resnet20_v1-1.params"
    done = here(tmp_path, "--resume-from", str(start), "--num-epochs", "1", "--lr", "1e-9",
                "--lr-decay-epoch", "9")
    val = read_log(tmp_path / "train_cifar10_cifar_resnet20_v1.log").epochs[0].train_metric
    trained = read_log(finished[0] / "train_cifar10_cifar_resnet20_v1.log").epochs[1].train_metric
    assert abs(val - trained) < 0.05, done.stderr


# --- published commands -------------------------------------------------------------------------------------

CIFAR_COMMANDS = {name: published.command for name, published in catalogue().items()
                  if published.dataset == "cifar10"}


@pytest.mark.parametrize("name", sorted(CIFAR_COMMANDS))
def test_published_commands_are_understood(name):
    words = shlex.split(CIFAR_COMMANDS[name])
    assert words[0].startswith("python") and words[1] in ("train_cifar10.py", "train_mixup_cifar10.py")
    flags = words[2:] + (["--mixup"] if words[1] == "train_mixup_cifar10.py" else [])
    args = vars(train_cifar.parse_args(flags))
    published = catalogue()[name]
    for key in ("lr", "wd", "momentum", "lr_decay", "lr_decay_epoch", "model", "num_epochs", "batch_size",
                "mode"):
        if key in published.args and "sh-differs" not in "".join(published.flags):
            assert args[key] == published.args[key], key


# --- bad input ----------------------------------------------------------------------------------------------

def sentence(folder, *more):
    """The one line that an unusable command prints; nothing may be written over."""
    done = here(folder, *more, check=2)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("train_cifar.py: error: "), done.stderr
    return lines[0]


@pytest.mark.slow
def test_another_runs_files_are_not_overwritten(finished):
    folder, _ = finished
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    message = sentence(folder)
    assert "--resume auto" in message and "--overwrite" in message
    process = subprocess.run(command(folder), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (process.returncode, process.stdout, process.stderr) == (2, "", f"{message}\n")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_an_earlier_runs_record_is_not_overwritten_from_another_save_dir(finished, tmp_path):
    assert "--logging-dir" in sentence(finished[0], "--save-dir", str(tmp_path))


@pytest.mark.slow
def test_mxnets_iterator_resumes_at_an_epochs_start_and_warns(tmp_path):
    flags = ["--data-backend", "mxnet", "--num-epochs", "2"]
    stopped = here(tmp_path, *flags, "--max-updates", "10")           # 8 updates an epoch
    assert "resumes only at the start of an epoch" in stopped.stderr
    again = here(tmp_path, *flags, "--resume", "auto")
    assert "resumed at epoch 1, batch 0, update 8" in again.stderr
    assert "warning: MXNet's iterator" in again.stderr


@pytest.mark.slow
def test_a_resume_file_of_another_model_is_refused(finished, tmp_path):
    resume = finished[0] / "params" / "cifar10-cifar_resnet20_v1.resume.npz"
    assert "--model" in sentence(tmp_path, "--resume", str(resume), "--model", "cifar_resnet20_v2")


@pytest.mark.slow
def test_a_truncated_resume_file_is_refused(finished, tmp_path):
    resume = (finished[0] / "params" / "cifar10-cifar_resnet20_v1.resume.npz").read_bytes()
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "cifar10-cifar_resnet20_v1.resume.npz").write_bytes(resume[:len(resume) // 2])
    assert "cannot be used: is no archive" in sentence(tmp_path, "--resume", "auto")


def test_an_unknown_model_names_the_nearest(tmp_path):
    assert "cifar_resnet20_v1" in sentence(tmp_path, "--model", "cifar_resnet20")


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    assert "--batch-size" in sentence(tmp_path, "--batch-size", "81")


def test_data_that_do_not_match_their_manifest_are_refused(data, tmp_path):
    damaged = shutil.copytree(data, tmp_path / "data")
    with open(damaged / "train.rec", "r+b") as stream:
        stream.truncate(50_000)
    assert "train.rec: truncated" in sentence(tmp_path, "--data-dir", str(damaged))


@pytest.mark.parametrize("flags, says", [
    (["--lr", "0"], "--lr 0.0: must be positive"),
    (["--batch-size", "0"], "--batch-size 0: must be at least 1"),
    (["-j", "-1"], "--num-data-workers -1"),
    (["--lr-decay-epoch", "100;150"], "--lr-decay-epoch 100;150"),
    (["--dtype", "float16"], "--dtype float16: on CPUs it is emulated in the compiled net; give --mode hybrid"),
    (["--loss-scale", "0"], "--loss-scale 0: must be none, dynamic or a positive number"),
    (["--save-dir", ""], "--save-dir ''"),
    (["--warmup-epochs", "3"], "--warmup-epochs 3"),
    (["--resume", "auto", "--resume-from", "x.params"], "give one"),
    (["--drop-rate", "1"], "--drop-rate 1.0"),
    (["--mixup-alpha", "0"], "--mixup-alpha 0.0"),
])
def test_a_value_out_of_range_is_named(flags, says):
    with pytest.raises(UserError, match=re.escape(says)):
        train_cifar.parse_args(["--model", "cifar_resnet20_v1", *flags])


def test_more_gpus_than_there_are_is_one_sentence(tmp_path):
    if any(Path("/dev").glob("nvidia[0-9]")):
        pytest.skip("this machine may have GPUs")
    assert "--num-gpus 0 to train on the CPU" in sentence(tmp_path, "--num-gpus", "8")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be made" in sentence(tmp_path, "--logging-dir", str(tmp_path / "file" / "logs"))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(tmp_path):
    done = here(tmp_path, "--lr", "1e9", "--checkpoint-period", "1", check=2)
    assert re.search(r"error: .* at update \d+ \(epoch 0\); training stops", done.stderr)
    assert "Traceback" not in done.stderr
    resume = tmp_path / "params" / "cifar10-cifar_resnet20_v1.resume.npz"
    if resume.exists():
        with np.load(resume) as archive:
            assert all(np.isfinite(archive[key]).all() for key in archive.files if key != "meta")


@pytest.mark.slow
def test_help_has_examples_and_both_groups():
    done = subprocess.run([sys.executable, "train_cifar.py", "--help"], cwd=ROOT, capture_output=True,
                          text=True, env={**os.environ, "COLUMNS": "120"})
    assert done.returncode == 0
    for text in ("python train_cifar.py --dataset cifar10-excerpt", "As in GluonCV's", "Not in GluonCV"):
        assert text in done.stdout
