"""The doctor names the first error and its remedy, and whether training can run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gluon_tricks.commands import doctor
from gluon_tricks.commands.doctor import Check
from gluon_tricks.health import children, dependencies, remedies
from gluon_tricks.health.dependencies import Dependency

ROOT = Path(__file__).resolve().parents[2]

# ---- From an error's text to its remedy: each text as its package prints it --------------------------------

REAL_ERRORS = [
    # numpy 1.24.4 and 1.26.4, import mxnet
    ("AttributeError: module 'numpy' has no attribute 'bool'.\n"
     "`np.bool` was a deprecated alias for the builtin `bool`. To avoid this error in existing code, use "
     "`bool` ...",
     "import gluon_tricks before mxnet"),
    # numpy 2.2.6, import mxnet with the aliases restored
    ("AttributeError: `np.PZERO` was removed in the NumPy 2.0 release. Use `0.0` instead.",
     "does not work with NumPy 2"),
    # numpy 2.2.6, import pandas 2.1.4
    ("ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, "
     "got 88 from PyObject", "compiled for another NumPy"),
    # Python 3.12 without setuptools
    ("ModuleNotFoundError: No module named 'distutils'", "setuptools has"),
    # mxnet-cu112 without the nvidia packages, and without a driver
    ("OSError: libcudnn.so.8: cannot open shared object file: No such file or directory",
     "nvidia-cudnn-cu11 has it"),
    ("OSError: libcuda.so.1: cannot open shared object file: No such file or directory", "NVIDIA's driver"),
    # opencv-python in a bare container
    ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
     "apt install libgl1"),
    # a library the table does not know
    ("OSError: libfoo.so.3: cannot open shared object file: No such file or directory",
     "apt-file search libfoo.so.3"),
    # horovod 0.28.1 built without MXNet
    ("ImportError: Extension horovod.mxnet has not been built: "
     "site-packages/horovod/mxnet/mpi_lib.cpython-311-x86_64-linux-gnu.so not found\n"
     "If this is not expected, reinstall Horovod with HOROVOD_WITH_MXNET=1 to debug the build error.",
     "make horovod"),
    ("ModuleNotFoundError: No module named 'horovod'", "make horovod"),
    ("ModuleNotFoundError: No module named 'onnx'", '".[onnx]"'),
    ("ModuleNotFoundError: No module named 'yacs'", dependencies.PINS),
    ("ModuleNotFoundError: No module named '_ctypes'", "libffi-dev"),
    # DNNL_MAX_CPU_ISA=AVX512_CORE_AMX without the permission
    ("killed by SIGILL", "unset DNNL_MAX_CPU_ISA"),
    # the CUDA runtime's words (not seen on a GPU of ours)
    ("mxnet.base.MXNetError: CUDA: Check failed: e == cudaSuccess: no kernel image is available for "
     "execution on the device", "5.0 to 8.9"),
]


@pytest.mark.parametrize("text, part_of_remedy", REAL_ERRORS)
def test_a_real_error_text_has_its_remedy(text, part_of_remedy):
    assert part_of_remedy in remedies.remedy_for(text)


def test_an_unknown_error_gets_no_invented_remedy():
    assert remedies.remedy_for("RuntimeError: the moon is in the wrong phase") is None


def test_every_cuda_library_that_compat_loads_has_a_remedy():
    from gluon_tricks.compat import CUDA_LIBRARIES

    assert {soname for _, soname in CUDA_LIBRARIES} <= set(remedies.LIBRARIES)


def test_cuda_remedies_name_packages_that_the_gpu_requirements_pin():
    pinned = (ROOT / "requirements" / "gpu.txt").read_text()
    found = [remedy for remedy in remedies.LIBRARIES.values() if remedy.startswith(dependencies.GPU_PINS)]
    named = [remedy.split("(")[1].split()[0] for remedy in found]
    assert len(named) == 10
    assert all(f"{package}==" in pinned for package in named)


# ---- Errors: the root cause, not the last one that mentions it ---------------------------------------------

def test_an_error_chain_starts_at_its_root():
    try:
        try:
            raise OSError("libcudnn.so.8 is missing")
        except OSError as root:
            raise ImportError("cannot import mxnet") from root
    except ImportError as error:
        assert children.error_chain(error) == ["OSError: libcudnn.so.8 is missing",
                                             "ImportError: cannot import mxnet"]


def test_a_printed_traceback_yields_its_first_exception():
    printed = ('Traceback (most recent call last):\n  File "a.py", line 1\n'
               "AttributeError: module 'numpy' ...\n\n"
               "During handling of the above exception, another exception occurred:\n\nImportError: cannot\n")
    assert children.first_error(printed) == "AttributeError: module 'numpy' ..."


def fake_modules(directory, **sources):
    """Write modules that shadow the installed ones when `directory` is on PYTHONPATH."""
    for name, source in sources.items():
        package = directory / name
        package.mkdir()
        (package / "__init__.py").write_text(source)


# GluonCV 0.10.5's own way of hiding an error, from gluoncv/__init__.py and check.py
GLUONCV = """
from .check import require
found = False
try:
    require('mxnet')
    found = True
except ImportError:
    pass
try:
    require('torch')
except ImportError:
    pass
if not found:
    raise ImportError('Unable to import modules due to missing `mxnet` & `torch`.')
"""
GLUONCV_CHECK = """
def require(name):
    try:
        if name == 'mxnet':
            import mxnet
            from distutils_of_another_time import LooseVersion
        else:
            import torch
    except ImportError as ex:
        raise ImportError('Unable to import dependency ' + name) from ex
"""


def test_the_error_that_gluoncv_hides_is_found(tmp_path, monkeypatch):
    fake_modules(tmp_path, mxnet="", gluoncv=GLUONCV)
    (tmp_path / "gluoncv" / "check.py").write_text(GLUONCV_CHECK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report = children.run_child(children.import_alone, "gluoncv", "gluoncv")
    assert report["errors"][0] == "ModuleNotFoundError: No module named 'distutils_of_another_time'"
    assert "missing `mxnet` & `torch`" in report["errors"][-1]


def test_a_child_that_is_killed_is_reported_by_its_signal(tmp_path, monkeypatch):
    fake_modules(tmp_path, suicidal="import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert children.run_child(children.import_alone, "suicidal", "suicidal") == {"errors": ["killed by SIGILL"]}


def test_an_import_that_ends_the_process_is_an_error(tmp_path, monkeypatch):
    fake_modules(tmp_path, leaving="import sys; print('bye'); sys.exit(0)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert children.run_child(children.import_alone, "leaving", "leaving") == {
        "errors": ["ended without an answer, exit code 0"]}


# ---- The command: exit code and remedy ---------------------------------------------------------------------

def run_doctor(tmp_path, *flags, **broken):
    """`python -m gluon_tricks doctor` where every dependency is an empty module but for the `broken` ones."""
    sound = {name.split(".")[0]: "__version__ = '1'" for name in (d.module for d in dependencies.DEPENDENCIES)}
    fake_modules(tmp_path, **{**sound, **broken})
    if "horovod" not in broken:
        (tmp_path / "horovod" / "mxnet.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    return subprocess.run([sys.executable, "-m", "gluon_tricks", "doctor", *flags], cwd=ROOT, env=environment,
                          capture_output=True, text=True, timeout=120, check=False)


def test_a_mxnet_that_fails_on_numpy_gives_exit_code_1_and_the_remedy(tmp_path):
    error = "module 'numpy' has no attribute 'bool'"
    result = run_doctor(tmp_path, mxnet=f'raise AttributeError("{error}")')
    assert result.returncode == 1, result.stderr
    assert f"FAIL  mxnet          AttributeError: {error}\n" in result.stdout
    assert "NumPy 1.24 removed this name" in result.stdout
    assert result.stdout.endswith("Training cannot run: mxnet.\n")


def test_a_missing_cuda_library_gives_exit_code_1_and_the_package_that_has_it(tmp_path):
    error = "libcudnn.so.8: cannot open shared object file: No such file or directory"
    result = run_doctor(tmp_path, "--json", mxnet=f"raise OSError('{error}')",
                        numpy="import nowhere_to_be_found")
    assert result.returncode == 1, result.stderr
    report = json.loads(result.stdout)
    checks = {check["name"]: check for check in report["findings"]}
    assert report["training_can_run"] is False
    assert checks["mxnet"]["says"] == f"OSError: {error}"
    assert "nvidia-cudnn-cu11" in checks["mxnet"]["remedy"]
    assert checks["numpy"]["status"] == "FAIL"           # and a broken numpy does not stop the doctor
    assert "training" not in checks                      # not tried


@pytest.mark.slow
def test_this_environment_can_train():
    """The real thing, on the real packages."""
    result = subprocess.run([sys.executable, "-m", "gluon_tricks", "doctor"], cwd=ROOT, capture_output=True,
                            text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ok    mxnet          1.9.1" in result.stdout
    assert "one step: cpu(0)" in result.stdout
    assert result.stdout.endswith("Training can run.\n")


# ---- The judgements ----------------------------------------------------------------------------------------

NEEDED = Dependency("mxnet", "mxnet", "everything", needed=True)
OPTIONAL = Dependency("horovod.mxnet", "horovod", "Horovod", install="make horovod")


def test_a_needed_module_fails_and_an_optional_one_is_noted():
    report = {"errors": ["OSError: libgomp.so.1: cannot open shared object file: No such file or directory"]}
    assert doctor.judge_import(NEEDED, report).status == "FAIL"
    assert doctor.judge_import(OPTIONAL, report).status == "note"
    assert doctor.judge_import(OPTIONAL, report).remedy == "sudo apt install libgomp1"


def test_a_module_that_is_not_there_says_how_to_install_it():
    check = doctor.judge_import(OPTIONAL, {"errors": ["ModuleNotFoundError: No module named 'horovod'"]})
    assert (check.says, check.remedy) == ("not installed; serves Horovod", "make horovod")


def test_numpy_2_fails_although_it_imports():
    numpy = Dependency("numpy", "numpy", "everything", needed=True)
    assert doctor.judge_import(numpy, {"version": "2.2.6"}).status == "FAIL"
    assert doctor.judge_import(numpy, {"version": "1.26.4"}).status == "ok"


@pytest.mark.parametrize("installed, name, status", [
    (["mxnet", "mxnet-cu112"], "mxnet", "FAIL"),           # both write the package mxnet
    (["opencv-python"], "opencv", "note"),
])
def test_conflicting_distributions_are_found(monkeypatch, installed, name, status):
    class Distribution:
        def __init__(self, name):
            self.metadata = {"Name": name}

    versions = {"opencv-python": "4.12.0.88", "numpy": "1.23.5"}
    monkeypatch.setattr(doctor.metadata, "distributions", lambda: map(Distribution, installed))
    monkeypatch.setattr(doctor, "version_of", versions.get)
    checks = doctor.check_distributions()
    assert [(check.name, check.status) for check in checks] == [(name, status)]


@pytest.mark.parametrize("capability, runs", [
    ("3.5", False), ("3.7", False),                        # Kepler
    ("5.0", True), ("5.2", True), ("6.1", True),           # Maxwell, Pascal
    ("7.0", True), ("7.5", True),                          # Volta, Turing
    ("8.0", True), ("8.6", True), ("8.9", True),           # Ampere, Ada through sm_86
    ("9.0", False), ("10.0", False), ("12.0", False),      # Hopper, Blackwell: no PTX to compile
])
def test_the_gpu_wheel_has_code_from_maxwell_to_ada(capability, runs):
    assert doctor.wheel_has_code_for(capability) is runs


def test_an_unsupported_gpu_fails_only_where_the_gpu_wheel_is_installed():
    assert doctor.judge_gpu(0, "H100", "9.0", "535.104.05", installed_for_gpu=True).status == "FAIL"
    assert doctor.judge_gpu(0, "H100", "9.0", "535.104.05", installed_for_gpu=False).status == "note"
    assert doctor.judge_gpu(0, "A100", "8.0", "535.104.05", installed_for_gpu=True).status == "ok"
    assert doctor.judge_gpu(0, "A100", "8.0", "418.87.01", installed_for_gpu=True).status == "FAIL"
    assert doctor.judge_gpu(0, "A100", "8.0", "535.104.05", installed_for_gpu=False).remedy == "make gpu"


def test_small_shared_memory_is_noted_with_the_sum(monkeypatch):
    monkeypatch.setattr(doctor.compat, "visible_cpus", lambda: 4)
    monkeypatch.setattr(doctor.shutil, "disk_usage",
                        lambda path: SimpleNamespace(free=64 << 20))     # Docker's default
    [check] = doctor.check_shared_memory("/")
    assert check.status == "note"
    assert "= 1.23 GB" in check.says               # 2 x 4 x 256 x 3 x 224 x 224 x 4 bytes = 1,233,125,376
    assert "--shm-size" in check.remedy


def test_threads_are_judged_by_the_cpus_there_are(monkeypatch):
    monkeypatch.setattr(doctor.compat, "visible_cpus", lambda: 8)
    monkeypatch.setattr(doctor, "cpu_quota", lambda: None)
    assert doctor.judge_threads(8).status == "ok"
    assert "at most 4 (half of 8 CPUs" in doctor.judge_threads(8).says
    assert doctor.judge_threads(16).remedy == "export OMP_NUM_THREADS=8"
    assert doctor.judge_threads(4).status == "note"
    monkeypatch.setattr(doctor, "cpu_quota", lambda: 2.5)
    assert doctor.judge_threads(8).remedy == "export OMP_NUM_THREADS=2"


@pytest.mark.parametrize("files, quota", [
    ({"cpu.max": "250000 100000\n"}, 2.5),
    ({"cpu.max": "max 100000\n"}, None),
    ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
    ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    ({}, None),
])
def test_a_containers_share_of_the_cpus_is_read(tmp_path, files, quota):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert doctor.cpu_quota(str(tmp_path)) == quota


def test_a_server_role_is_a_failure(monkeypatch):
    monkeypatch.setenv("DMLC_ROLE", "server")
    [check] = doctor.check_environment()
    assert (check.status, check.remedy) == ("FAIL", "unset DMLC_ROLE")


def test_a_check_that_breaks_does_not_end_the_report(monkeypatch):
    def check_that_breaks():
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(doctor, "ALL_CHECKS",
                        (check_that_breaks, lambda: [Check("after", "ok", "still here")]))
    broken, after = doctor.examine()
    assert broken.status == "note" and "ZeroDivisionError: oops" in broken.says
    assert after.says == "still here"


def test_the_report_tells_each_remedy_once():
    text = doctor.report([Check("a", "FAIL", "broken", "mend it"),
                          Check("b", "note", "broken too", "mend it")])
    assert text.splitlines() == [
        "FAIL  a              broken",
        "                     -> mend it",
        "note  b              broken too",
        "                     -> as above",
        "Training cannot run: a.",
    ]
