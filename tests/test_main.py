"""`python -m gluon_tricks`: finds the subcommand, imports nothing else, and explains itself."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gluon_tricks import __main__ as command_line
from gluon_tricks.commands import prepare, train
from gluon_tricks.errors import UserError
from gluon_tricks.program import command_words

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments, **variables):
    return subprocess.run([sys.executable, "-m", "gluon_tricks", *arguments], cwd=ROOT,
                          env={**os.environ, **variables}, capture_output=True, text=True, timeout=120,
                          check=False)


@pytest.fixture
def spelled(monkeypatch):
    """A subcommand `spelled` that returns the number of its arguments."""
    monkeypatch.setattr("sys.argv", ["python -m gluon_tricks"])
    monkeypatch.setattr(command_line, "SUBCOMMANDS", {"doctor": "heals", "spelled": "counts"})
    monkeypatch.setattr(command_line.importlib, "import_module", lambda name: SimpleNamespace(main=len))


def test_help_lists_every_subcommand_on_a_line_and_an_example():
    result = run("--help")
    assert result.returncode == 0
    assert "  doctor       what works on this machine" in result.stdout
    assert "Example:  python -m gluon_tricks doctor" in result.stdout


def test_no_subcommand_prints_the_help_and_exits_2():
    result = run()
    assert result.returncode == 2
    assert result.stdout.startswith("usage: python -m gluon_tricks SUBCOMMAND")


def test_an_unknown_subcommand_exits_2_with_the_nearest_name():
    result = run("docter")
    assert result.returncode == 2
    assert result.stderr == "python -m gluon_tricks: error: no subcommand 'docter'; did you mean doctor?\n"


def test_a_name_near_to_nothing_gets_the_whole_list(spelled):
    with pytest.raises(UserError, match="there are doctor, spelled"):
        command_line.main(["qqqq"])


def test_the_rest_of_the_line_goes_to_the_subcommand_and_its_exit_code_comes_back(spelled):
    assert command_line.main(["spelled", "--flag", "value", "more"]) == 3


def test_the_subcommands_are_the_modules_of_commands():
    modules = {path.stem for path in (ROOT / "gluon_tricks" / "commands").glob("[!_]*.py")}
    assert {name.replace("-", "_") for name in command_line.SUBCOMMANDS} == modules


@pytest.mark.slow
def test_a_subcommand_with_the_name_of_a_package_runs_all_the_same():
    result = run("models", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("usage: python -m gluon_tricks models")


def test_a_subcommand_that_cannot_be_imported_sends_to_the_doctor(spelled, monkeypatch):
    def broken_import(name):
        raise AttributeError("module 'numpy' has no attribute 'bool'")

    monkeypatch.setattr(command_line.importlib, "import_module", broken_import)
    with pytest.raises(UserError, match="'spelled' cannot start: AttributeError: .*gluon_tricks doctor"):
        command_line.main(["spelled"])


def test_every_script_of_prepare_and_train_is_there():
    for name in prepare.SCRIPTS:
        assert (ROOT / "data_prep" / f"{name.replace('-', '_')}.py").exists()
    scripts = {path.stem for path in ROOT.glob("train_*.py")}
    assert {f"train_{name.replace('-', '_')}" for name in train.SCRIPTS} == scripts


@pytest.mark.parametrize("words", [("prepare", "verify"), ("train", "cifar"), ("models",)])
def test_the_usage_line_names_the_program_as_it_was_called(words):
    result = run(*words, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: python -m gluon_tricks {' '.join(words)} ")


def test_an_error_names_the_program_as_it_was_called():
    result = run("train", "cifar", "--batch-size", "0")
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("python -m gluon_tricks train cifar: error: --batch-size")


@pytest.mark.parametrize(("argv", "words"), [
    (["gluon-tricks train cifar", "--seed", "1"], ["gluon-tricks", "train", "cifar", "--seed", "1"]),
    (["python -m gluon_tricks bench net"], ["python", "-m", "gluon_tricks", "bench", "net"]),
    (["/a folder/train_cifar.py", "--seed", "1"], ["python", "/a folder/train_cifar.py", "--seed", "1"]),
    (["/usr/bin/pytest", "tests"], ["/usr/bin/pytest", "tests"]),
])
def test_the_recorded_command_can_be_run_again(monkeypatch, argv, words):
    monkeypatch.setattr("sys.argv", argv)
    assert command_words() == words


def test_help_needs_neither_mxnet_nor_a_sound_numpy(tmp_path):
    for name in ("mxnet", "numpy", "gluoncv"):
        (tmp_path / f"{name}.py").write_text("raise OSError('broken')")
    assert run("--help", PYTHONPATH=str(tmp_path)).returncode == 0
    assert run("doctor", "--help", PYTHONPATH=str(tmp_path)).returncode == 0
