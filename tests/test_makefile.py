"""Pins are exact, environments are made once and never in part, targets run what the README names."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ["requirements.txt",
                *(f"requirements/{path.name}" for path in sorted(ROOT.glob("requirements/*.txt")))]
PYTHONS = ("3.9", "3.10", "3.11", "3.12")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


# ---- Pins --------------------------------------------------------------------------------------------------

PIN = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)==(?P<version>[0-9][0-9a-z.]*)(?:\s*;\s*(?P<marker>.+))?$")


def lines(file):
    """The lines of a requirements file, without comments."""
    text = (ROOT / file).read_text()
    return [line for line in (raw.split("#")[0].strip() for raw in text.splitlines()) if line]


def pins(file, python):
    """{name: version} that a file and those it includes install under a Python."""
    found = {}
    for line in lines(file):
        if line.startswith("-r "):
            inner = pins(line[3:].strip(), python)
        else:
            pin = PIN.match(line)
            assert pin, f"{file}: '{line}' is no exact pin"
            if pin["marker"] and not holds(pin["marker"], python):
                continue
            inner = {re.sub(r"[-_.]+", "-", pin["name"]).lower(): pin["version"]}
        twice = set(found) & set(inner)
        assert not twice, f"{file} pins {twice} twice under Python {python}"
        found.update(inner)
    return found


def holds(marker, python):
    from packaging.markers import Marker

    return Marker(marker).evaluate({"python_version": python})


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("file", REQUIREMENTS)
def test_every_requirement_is_pinned_exactly_and_once(file, python):
    assert pins(file, python)


@pytest.mark.parametrize("python", PYTHONS)
def test_mxnet_and_its_gpu_wheel_are_never_installed_together(python):
    for file in REQUIREMENTS:
        assert len({"mxnet", "mxnet-cu112"} & set(pins(file, python))) <= 1, file
    assert pins("requirements.txt", python)["mxnet"] == "1.9.1"
    assert pins("requirements/gpu.txt", python)["mxnet-cu112"] == "1.9.1"


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("wheel", ["cpu", "gpu"])
def test_the_files_of_an_environment_pin_nothing_twice(wheel, python):
    names = [name for file in ("base", "training", wheel) for name in pins(f"requirements/{file}.txt",
                                                                           python)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("python", PYTHONS)
def test_numpy_is_the_last_that_mxnet_knows_wherever_it_has_a_wheel(python):
    assert pins("requirements.txt", python)["numpy"] == ("1.26.4" if python == "3.12" else "1.23.5")


@pytest.mark.parametrize("python", PYTHONS)
def test_files_that_share_an_environment_agree(python):
    together = ["requirements.txt", "requirements/dev.txt", "requirements/horovod.txt",
                "requirements/horovod-build.txt", "requirements/onnx.txt", "requirements/tensorboard.txt"]
    versions = {}
    for file in together:
        for name, version in pins(file, python).items():
            assert versions.setdefault(name, version) == version, f"{name} in {file}"


# ---- Environments ------------------------------------------------------------------------------------------

@pytest.fixture
def checkout(tmp_path):
    """The Makefile and the requirements in a directory of their own, a minute old."""
    (tmp_path / "requirements").mkdir()
    for name in ("Makefile", *REQUIREMENTS):
        shutil.copy(ROOT / name, tmp_path / name)
        age(tmp_path / name, 60)
    return tmp_path


def make(checkout, *arguments, **variables):
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return subprocess.run(["make", *arguments], cwd=checkout, env={**environment, **variables},
                          capture_output=True, text=True, timeout=120, check=False)


def pretend_installed(checkout, venv=".venv"):
    """An environment with all its stamps, newer than the pins."""
    bin_directory = checkout / venv / "bin"
    bin_directory.mkdir(parents=True)
    (bin_directory / "python").symlink_to(sys.executable)
    (checkout / venv / "pyvenv.cfg").touch()
    for stamp, seconds in ((".installed", 40), (".installed-dev", 20), (".installed-horovod", 20),
                           (".installed-onnx", 20)):
        (checkout / venv / stamp).touch()
        age(checkout / venv / stamp, seconds)


def age(path, seconds):
    """Date a file some seconds back."""
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_first_test_run_makes_the_environment_then_the_tools_then_runs(checkout):
    plan = make(checkout, "-n", "test", f"PYTHON={sys.executable}").stdout
    steps = ["-m venv --clear .venv", "-r requirements.txt", "touch .venv/.installed",
             "-r requirements/dev.txt",
             "touch .venv/.installed-dev", ".venv/bin/python -m pytest"]
    positions = [plan.index(step) for step in steps]
    assert positions == sorted(positions)


@pytest.mark.parametrize("compiler, python, compiled",
                         [(True, "3.11", True), (False, "3.11", False), (True, "3.12", False)])
def test_horovod_is_compiled_for_the_tests_where_it_can_be(checkout, compiler, python, compiled):
    tools = checkout / "tools"
    tools.mkdir()
    for name in ("sh", "make", "awk", "cmp", "rm", "touch", "env"):
        (tools / name).symlink_to(shutil.which(name))
    if compiler:
        (tools / "c++").symlink_to(shutil.which("true"))
    pretend_installed(checkout)
    (checkout / ".venv" / ".installed-horovod").unlink()
    fake = checkout / ".venv" / "bin" / "python"       # answers -V, and whether it is 3.12 or later
    fake.unlink()
    fake.write_text(f"#!/bin/sh\n[ \"$1\" = -V ] && echo Python {python}.0 && exit 0\n"
                    f"case \"$2\" in *'>= (3, 12)'*) exit {int(python == '3.12')};; esac\nexit 0\n")
    fake.chmod(0o755)
    plan = make(checkout, "-n", "test", PATH=str(tools)).stdout
    assert ("requirements/horovod.txt" in plan) == compiled, plan
    assert ".venv/bin/python -m pytest" in plan


def test_what_is_installed_is_not_installed_again(checkout):
    pretend_installed(checkout)
    assert make(checkout, "-n", "test").stdout.strip() == ".venv/bin/python -m pytest"
    assert make(checkout, "-n", "lint").stdout.strip() == ".venv/bin/python -m ruff check"
    assert make(checkout, "-n", "horovod").stdout.strip() == ".venv/bin/horovodrun --check-build"
    assert make(checkout, "-n", "onnx").stdout.strip() == ".venv/bin/python -m gluon_tricks export --help"


def test_changed_pins_make_the_environment_again(checkout):
    pretend_installed(checkout)
    (checkout / "requirements" / "training.txt").touch()
    assert "-m venv --clear .venv" in make(checkout, "-n", "demo").stdout


def test_changed_test_tools_leave_the_environment(checkout):
    pretend_installed(checkout)
    (checkout / "requirements" / "dev.txt").touch()
    plan = make(checkout, "-n", "test").stdout
    assert "-r requirements/dev.txt" in plan and "--clear" not in plan


def test_changed_onnx_pins_install_them_alone(checkout):
    pretend_installed(checkout)
    (checkout / "requirements" / "onnx.txt").touch()
    plan = make(checkout, "-n", "onnx").stdout
    assert "-r requirements/onnx.txt" in plan and "--clear" not in plan
    assert "-r requirements/dev.txt" in make(checkout, "-n", "test").stdout          # which includes them


def test_another_python_makes_the_environment_again(checkout):
    pretend_installed(checkout)
    other = checkout / "python-of-another-version"
    other.write_text("#!/bin/sh\necho Python 3.10.0\n")
    other.chmod(0o755)
    assert "--clear" not in make(checkout, "-n", "demo", f"PYTHON={sys.executable}").stdout
    assert "--clear" in make(checkout, "-n", "demo", f"PYTHON={other}").stdout


def test_an_environment_whose_interpreter_is_gone_is_made_again(checkout):
    pretend_installed(checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout / "uninstalled")
    assert "--clear" in make(checkout, "-n", "demo").stdout


@pytest.mark.slow
def test_an_installation_that_fails_leaves_no_stamp(checkout):
    (checkout / "requirements.txt").write_text("a-package-that-is-nowhere==1.0\n")
    stamp = checkout / ".venv" / ".installed"
    result = make(checkout, str(stamp.relative_to(checkout)), f"PYTHON={sys.executable}", PIP_NO_INDEX="1")
    assert result.returncode != 0
    assert "a-package-that-is-nowhere" in result.stderr
    assert not stamp.exists()
    assert "--clear" in make(checkout, "-n", "demo").stdout


def test_a_directory_that_is_no_environment_is_not_cleared(checkout):
    (checkout / "precious").mkdir()
    (checkout / "precious" / "file").touch()
    result = make(checkout, "demo", "VENV=precious", f"PYTHON={sys.executable}")
    assert result.returncode != 0
    assert "precious exists and is no virtual environment" in result.stderr
    assert (checkout / "precious" / "file").exists()


def test_without_a_python_the_commands_that_install_one_are_named(checkout):
    result = make(checkout, "test", "PYTHON=/nowhere/python3.11")
    assert result.returncode != 0
    assert "tried: /nowhere/python3.11" in result.stderr
    for command in ("sudo apt install python3.11 python3.11-venv", "pyenv install 3.11",
                    "uv python install 3.11"):
        assert command in result.stderr


# ---- Targets -----------------------------------------------------------------------------------------------

def test_help_is_what_make_alone_prints_and_lists_every_target(checkout):
    printed = make(checkout).stdout
    for target in ("demo", "quick", "test", "machines", "lint", "docs", "doctor", "bench", "onnx", "torch", "horovod", "gpu",
                   "matrix", "clean", "help"):
        assert re.search(rf"^  {target} +\S", printed, re.MULTILINE), target


def test_the_demo_writes_everything_into_demo(checkout):
    pretend_installed(checkout)
    plan = make(checkout, "-n", "demo").stdout.replace("\\\n", " ")
    command = next(line for line in plan.splitlines() if "train_cifar.py" in line).split()
    assert command[:2] == [".venv/bin/python", "train_cifar.py"]
    for flag in ("--save-dir", "--logging-dir", "--save-plot-dir"):
        assert command[command.index(flag) + 1].split("/")[0] == "demo"


def test_gpu_and_cpu_environments_are_two(checkout):
    plan = make(checkout, "-n", "gpu", f"PYTHON={sys.executable}").stdout
    assert "-m venv --clear .venv-gpu" in plan and "-r requirements/gpu.txt" in plan
    assert "-r requirements.txt" not in plan


def test_the_site_is_made_without_mxnet_and_fails_at_a_warning(checkout):
    plan = make(checkout, "-n", "docs", f"PYTHON={sys.executable}").stdout
    assert "-m venv --clear .venv-docs" in plan and "-r requirements/docs.txt" in plan
    assert "requirements.txt" not in plan and "mxnet" not in pins("requirements/docs.txt", "3.11")
    assert ".venv-docs/bin/python -m mkdocs build --strict" in plan


def test_ci_checks_the_style_makes_the_site_and_then_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert commands[0] == "set -euo pipefail"
    assert commands[-4:] == ["make lint", "make docs", "make machines ARGS=\"-m 'not slow'\"", "make test"]
