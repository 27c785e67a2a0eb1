"""The published commands: as published, as of today, and the rates of every log from today's command."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from models.facts import SIZES

import train_cifar
import train_faster_rcnn
import train_imagenet
from gluon_tricks.commands import replay
from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.transfer import DetectionDialect
from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.published.commands import PublishedCommand, published_command, published_commands, wrapped
from gluon_tricks.published.rates import mismatches
from gluon_tricks.published.transfer import published_transfer
from gluon_tricks.script import faster_rcnn, imagenet
from tests.logged_rates import logged_rates

ROOT = Path(__file__).resolve().parents[2]
OURS = published_commands()
DETECTION = {name: command for name, command in OURS.items() if command.script == "train_faster_rcnn.py"}
SCRIPTS = {"train_imagenet.py": train_imagenet, "train_cifar.py": train_cifar,
           "train_faster_rcnn.py": train_faster_rcnn}


def todays_args(command, *added):
    script, *flags = command.today
    with replay.as_one_of(command.workers):
        return SCRIPTS[script].parse_args([*flags, *added])


# --- the table ----------------------------------------------------------------------------------------------

def test_there_are_78_commands_of_classification_and_two_of_detection():
    assert Counter(command.script for command in published_commands().values()) == {
        "train_imagenet.py": 52, "train_cifar10.py": 10, "train_mixup_cifar10.py": 10, "train_horovod.py": 6,
        "train_faster_rcnn.py": 2}
    assert Counter(command.file.split("/")[0] for command in published_commands().values()) == {
        "classification": 78, "detection": 2}
    without_log = {name for name, command in published_commands().items() if not command.log}
    assert {command.log for command in published_commands().values()} == {*catalogue(), *published_transfer(),
                                                                          None}
    assert without_log == {"resnest26", "resnest50", "resnest101", "resnest200", "resnest269"}


@pytest.mark.parametrize("name", catalogue())
def test_the_table_of_flags_gives_the_published_words_back(name):
    assert published_command(name).words == shlex.split(catalogue()[name].command)


def test_formulas_are_those_of_the_logs():
    assert Counter(command.lr_formula for command in published_commands().values()) == {
        "logs": 45, "head": 7, "paper": 1, None: 20 + 5 + 2}


def test_a_wrapped_command_is_the_same_command():
    words = ["python", "x.py", "--lr", "0.4", "-j", "2", "--use-rec", "--save-dir", "a folder", "--num-gpus",
             "8"]
    for width in (10, 30, 200):
        shell = f"printf '%s\\n' {wrapped(words, width)}"
        assert subprocess.run(["sh", "-c", shell], capture_output=True,
                              text=True).stdout.splitlines() == words
    assert max(map(len, wrapped(published_command("resnet50_v1d").words).splitlines())) <= 117


# --- today --------------------------------------------------------------------------------------------------

def test_all_80_commands_are_understood_by_this_kits_parsers():
    assert len(OURS) == 80 and all(todays_args(command) for command in OURS.values())


@pytest.mark.parametrize("name, differing", [("faster_rcnn_resnet50_v1b_voc", set()),
                                             ("faster_rcnn_resnet50_v2a_voc",
                                              {"num_workers", "save_interval"})])
def test_todays_command_of_detection_has_the_arguments_of_the_log(name, differing):
    """`save_interval` has another default since; neither changes what is computed."""
    args, logged = vars(todays_args(OURS[name])), published_transfer()[name]["args"]
    of_the_shape = {"short": args["shape"].image_short, "max_size": args["shape"].image_max_size}
    args = {**args, **of_the_shape, "save_prefix": name, "lr_decay_epoch": ",".join(map("{:g}".format,
                                                                                       args["lr_decay_epochs"]))}
    assert set(logged) <= set(args)
    assert {key for key in logged if args[key] != logged[key]} == differing
    assert args["num_gpus"] == 4 and args["batch_size"] == 4               # parsed where there may be no GPU


@pytest.mark.parametrize("name", DETECTION)
def test_todays_commands_of_detection_step_where_the_logs_do(name):
    run, args = published_transfer()[name], todays_args(DETECTION[name])
    images, _ = faster_rcnn.planned_data(args)
    assert images == 5011 + 11540                                          # VOC 2007 and 2012 trainval
    updates = images // 4
    assert updates // 100 * 100 - 1 == run["last_batch"]                   # a line for every hundredth update
    schedule, rate, steps = faster_rcnn.learning_rate(args, updates), run["args"]["lr"], []
    for row in run["epochs"]:
        if "set_lr" in row:
            rate = row["set_lr"]
            steps.append(DetectionDialect.rate_line(row["epoch"], schedule(row["epoch"] * updates)))
        first, last = row["epoch"] * updates, (row["epoch"] + 1) * updates - 1
        assert [f"{schedule(n):g}" for n in (first, (first + last) // 2, last)] == [f"{rate:g}"] * 3
    # the logs' own lines
    logged = {"faster_rcnn_resnet50_v1b_voc": ["[Epoch 14] Set learning rate to 0.0001"],
              "faster_rcnn_resnet50_v2a_voc": ["[Epoch 14] Set learning rate to 0.0001",
                                               "[Epoch 20] Set learning rate to 1e-05"]}
    assert steps == logged[name]


@pytest.mark.parametrize("name", sorted(name for name, command in OURS.items() if command.log in catalogue()))
def test_todays_command_has_the_arguments_of_the_log(name):
    """The header of the log, where it is the published command's."""
    command, run = OURS[name], catalogue()[name]
    args = vars(todays_args(command))
    of_the_machine = {"num_workers", "save_dir", "logging_file", "logging_dir", "save_plot_dir", "data_dir",
                      "rec_train", "rec_train_idx", "rec_val", "rec_val_idx"}
    same = set(args) & set(run.args) - of_the_machine
    assert {"lr", "wd", "momentum", "model", "num_epochs", "batch_size"} <= same
    assert command.workers > 1 or {"num_gpus", "lr_decay_epoch"} <= same
    differing = {key for key in same if args[key] != run.args[key]}
    if command.workers > 1:
        # a worker's there, all workers' here
        assert args["lr"] == pytest.approx(run.args["lr"] * command.workers)
        differing -= {"lr"}
    # sh-differs
    assert differing == {"xception": {"label_smoothing"}, "resnet50_v1b_gn": {"mode"}}.get(name, set())
    assert args["mixup"] == bool(run.tricks["mixup"])


@pytest.mark.slow
def test_todays_commands_give_every_rate_that_was_logged():
    """The whole way: published flags, this kit's parser, the function that training asks."""
    compared, wrong = 0, []
    for name, rates in logged_rates().items():
        command = OURS[name]
        args = todays_args(command)
        with replay.as_one_of(command.workers):
            schedule = imagenet.learning_rate(args)
        compared += len(rates)
        wrong += [(name, *mismatch) for mismatch in mismatches(
            rates, command.script, catalogue()[name].args, command.workers, args.lr_formula, schedule)]
    assert wrong == [] and compared == 336_413


def test_the_validation_resize_of_old_logs_is_kept():
    assert "--crop-ratio" not in published_command("resnet50_v1d").today
    words = published_command("inceptionv3-mixup").today
    assert words[words.index("--crop-ratio") + 1] == "1.16797"               # 299 / 256


# --- the subcommand -----------------------------------------------------------------------------------------

@pytest.mark.slow
def test_all_commands_are_shown_and_planned(capsys):
    assert replay.main(["--all", "--dry-run"]) == 0
    out = capsys.readouterr().out
    parts = re.split(r"^# (?=\S+: (?:classification|detection)/)", out, flags=re.MULTILINE)[1:]
    parts = {part.split(":", 1)[0]: part for part in parts}
    assert set(parts) == set(published_commands())
    for name, command in published_commands().items():
        assert "\nmodel  " in parts[name] and "\ntargets  " in parts[name]
        model = command.flags.get("--model")
        if model in SIZES:
            trained = re.search(r"^parameters +([\d,]+) trained", parts[name], flags=re.M)[1]
            assert int(trained.replace(",", "")) == SIZES[model].trainable
    assert ("80 published commands: 20 for train_cifar.py, 2 for train_faster_rcnn.py, 58 for "
            "train_imagenet.py"
            in out)
    plan = parts["faster_rcnn_resnet50_v1b_voc"]
    assert "\nbatch         4 = 1 per device x 4 devices x 1 process" in plan
    assert "4,137 per epoch of 16,551 images" in plan
    assert "0.0001       after 57,918 updates: step at epoch 14" in plan
    assert "cannot be built: --network resnet50_v2a: is no ResNet" in parts["faster_rcnn_resnet50_v2a_voc"]


def test_what_is_odd_about_a_log_of_detection_is_said(capsys):
    assert replay.main(["faster_rcnn_resnet50_v2a_voc"]) == 0
    out = capsys.readouterr().out
    assert re.findall("# note: (.*)", out) == [
        "Command and log differ: num_workers.", "The log ends after 29 of 30 epochs.",
        "resnet50_v2a is neither in this kit nor in today's GluonCV: the run can be planned, not started."]
    assert "--batch-size 4" in out.split("# today")[1] and "--batch-size" not in out.split("# today")[0]


def test_a_name_shows_both_commands_and_what_is_odd(capsys):
    assert replay.main(["xception"]) == 0
    out = capsys.readouterr().out
    assert "--rec-train /media/ramdisk/rec/train.rec" in out.split("# today")[0]
    assert "rec-train" not in out.split("# today")[1] and "--lr-formula logs" in out.split("# today")[1]
    assert "# note: Command and log differ: label_smoothing" in out


def test_the_list_has_a_line_per_command(capsys):
    assert replay.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(published_commands())
    assert [line.split()[1:] for line in lines
            if line.startswith(("resnest26 ", "faster_rcnn_resnet50_v1b"))] == [
        ["train_faster_rcnn.py", "train_faster_rcnn.py", "log"],
        ["train_horovod.py", "train_imagenet.py", "no", "log"]]


def test_flags_after_the_dashes_are_added(capsys):
    assert replay.main(["resnet18_v1", "--dry-run", "--", "--num-gpus", "2"]) == 0
    assert "512 = 256 per device x 2 devices" in capsys.readouterr().out


def test_a_command_of_several_processes_goes_through_the_launcher(capsys):
    assert replay.main(["resnest269", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "launch -n 64 --engine horovod -- train_imagenet.py --flags horovod" in out
    assert "add -H HOST:SLOTS" in out
    assert "2048 = 32 per device x 1 device x 64 processes" in out
    assert "peak 0.8; the linear rule 0.1 x 2048/256" in out


@pytest.mark.slow
def test_run_starts_what_it_prints():
    replayed = [sys.executable, "-m", "gluon_tricks", "replay", "cifar_resnet20_v1", "--run", "--",
                "--num-gpus", "0"]
    done = subprocess.run([*replayed, "--dry-run"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    printed, plan = done.stdout.split("\n", 1)
    words = shlex.split(printed)
    assert words[1:3] == [str(ROOT / "train_cifar.py"), "--num-epochs"] and words[-3:] == ["--num-gpus", "0",
                                                                                           "--dry-run"]
    assert plan == subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize("ends, code",
                         [("sys.exit(7)", 7), ("os.kill(os.getpid(), signal.SIGKILL)", 128 + 9)])
def test_the_scripts_exit_code_is_taken_over(ends, code, tmp_path, monkeypatch):
    (tmp_path / "train_cifar.py").write_text(f"import os, signal, sys\n{ends}\n")
    monkeypatch.setattr(replay, "ROOT", tmp_path)
    assert replay.main(["cifar_resnet20_v1", "--run"]) == code


def test_a_signal_to_stop_is_left_to_the_script(tmp_path, monkeypatch):
    """Ctrl-C reaches both processes from the terminal; SIGTERM comes to one and is passed on. This script
    sends them."""
    (tmp_path / "train_cifar.py").write_text(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(60)\n")
    monkeypatch.setattr(replay, "ROOT", tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    assert replay.main(["cifar_resnet20_v1", "--run"]) == 5
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_comes_while_the_script_starts_is_passed_on_too(tmp_path, monkeypatch):
    class Interrupted(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)                       # the handler is called here, before replay has the process

    (tmp_path / "train_cifar.py").write_text("import time; time.sleep(60)\n")
    monkeypatch.setattr(replay, "ROOT", tmp_path)
    monkeypatch.setattr(replay.subprocess, "Popen", Interrupted)
    assert replay.main(["cifar_resnet20_v1", "--run"]) == 128 + signal.SIGTERM


def test_a_pattern_chooses_commands(capsys):
    assert replay.main(["resnet50_v1d*"]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("# resnet")] == [
        f"# {command.name}: {command.file}" for name, command in OURS.items() if name.startswith("resnet50_v1d")]


@pytest.mark.parametrize("argv, says", [
    ([], "give one of NAME, --list and --all"),
    (["resnet18_v1", "--all"], "give one of NAME"),
    (["--all", "--run"], "--run: goes with a NAME only"),
    (["resnet50_v1d_mixup"], "no published command is called 'resnet50_v1d_mixup'; there are "
     "resnet50_v1d-mixup"),
    (["qqq"], "replay --list shows all"),
    (["resnet18_v1", "--dry-run", "--", "--lr", "-1"], "--lr -1.0"),
])
def test_what_cannot_be_done_is_said(argv, says):
    with pytest.raises(UserError, match=re.escape(says)):
        replay.main(argv)


def test_a_command_of_the_table_is_read_as_published():
    before, flags = ["A=1", "python", "./a/train_imagenet.py"], {"-j": "3", "--mixup": True}
    command = PublishedCommand("x", "x.sh", before, flags, log=None, lr_formula=None)
    assert (command.script, command.words[-3:], command.notes) == ("train_imagenet.py",
                                                                   ["-j", "3", "--mixup"], [])
