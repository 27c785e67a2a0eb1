"""The installed package works from any folder, without a checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOG = ROOT / "logs" / "ours" / "cifar_resnet20_v1"
SOURCES = ("gluon_tricks", "data_prep", "logs/published", "logs/ours", "requirements")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "train_imagenet.py", "train_cifar.py",
         "train_fcn.py", "train_faster_rcnn.py")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of what the package is built from: the build writes next to its sources."""
    copy = tmp_path_factory.mktemp("sources")
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def installed(sources, tmp_path_factory):
    """The folder `bin` of a new environment with `gluon_tricks[cpu]`."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    # this environment's pip; compiling all modules of all packages would take longer than the rest
    words = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python",
             "--disable-pip-version-check", "-q", "install", "--no-compile", f"{sources}[cpu]"]
    pip = subprocess.run(words, cwd=environment, env=clean_environment(), capture_output=True, text=True,
                         timeout=600)
    assert pip.returncode == 0, pip.stderr
    yield environment / "bin"
    shutil.rmtree(environment)                # 1 GB


def clean_environment():
    """This process's variables without those that lead to other packages or forbid to keep what is compiled."""
    others = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in others}


def run(folder, *words):
    done = subprocess.run(list(map(str, words)), cwd=folder, env=clean_environment(), capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_library_imports(installed, tmp_path):
    code = """
import gluon_tricks
from gluon_tricks.data.cifar import open_cifar
from gluon_tricks.judging.verdict import judge
from gluon_tricks.models import get_model
from gluon_tricks.recipes import TABLES
from gluon_tricks.tricks.mixup import mixup
print(gluon_tricks.__file__)
"""
    assert "site-packages" in run(tmp_path, installed / "python", "-c", code)


def test_every_module_and_data_file_is_installed(installed):
    [package] = installed.parent.glob("lib/python*/site-packages/gluon_tricks")
    expected = [path.relative_to(ROOT) for path in (ROOT / "gluon_tricks").rglob("*") if path.is_file()]
    expected += [path.relative_to(ROOT) for path in (ROOT / "data_prep").glob("*.py")]
    expected = [path for path in expected if "__pycache__" not in path.parts]
    missing = [path for path in expected if not (package.parent / path).exists()]
    for folder in (ROOT / "logs" / "published", ROOT / "logs" / "ours"):
        logs = [path.relative_to(ROOT) for path in folder.rglob("*") if path.is_file()]
        missing += [path for path in logs if not (package / path).exists()]
    assert not missing


def test_a_log_is_compared_with_the_published_one(installed, tmp_path):
    [log] = LOG.glob("*.log")
    shutil.copy(log, tmp_path)
    printed = run(tmp_path, installed / "gluon-tricks", "compare", log.name)
    assert "verdict: INSIDE the band of cifar_resnet20_v1" in printed


def test_the_doctor_finds_a_machine_that_can_train(installed, tmp_path):
    assert run(tmp_path, installed / "gluon-tricks", "doctor").endswith("Training can run.\n")


@pytest.mark.parametrize("words", [("models",), ("tables", "4"), ("replay", "cifar_resnet20_v1", "--dry-run"),
                                   ("prepare", "verify", "--help")])
def test_other_commands_run(installed, tmp_path, words):
    assert run(tmp_path, installed / "gluon-tricks", *words)


def test_an_epoch_is_trained(installed, tmp_path):
    run(tmp_path, installed / "gluon-tricks", "train", "cifar", "--dataset", "cifar10-excerpt",
        "--model", "mobilenet0.25", "--mode", "hybrid", "--num-epochs", "1", "--batch-size", "64",
        "-j", "1", "--num-gpus", "0")
    [log] = (tmp_path / "logs").glob("*.log")
    assert "[Epoch 0]" in log.read_text()


def test_an_enclosing_repository_is_not_the_packages_own(installed, tmp_path):
    site_packages = next(installed.parent.glob("lib/python*/site-packages"))
    subprocess.run(["git", "init", "-q", installed.parent], check=True)
    subprocess.run(["git", "-C", installed.parent, "-c", "user.name=a", "-c", "user.email=a@b", "commit",
                    "-q", "--allow-empty", "-m", "a commit"], check=True)
    code = "from gluon_tricks.machine import environment; print(environment()['commit'])"
    assert run(site_packages, installed / "python", "-c", code) == "None\n"
