"""Each step of `compat` undoes one incompatibility, does nothing where there is none, and may be repeated."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from gluon_tricks import compat
from gluon_tricks.commands import doctor

ROOT = Path(__file__).resolve().parent.parent


def python(code, **variables):
    """Run code in a fresh interpreter; returns what it printed."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("OMP_NUM_THREADS", "DNNL_MAX_CPU_ISA")}
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**environment, **variables},
                            capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, f"exit code {result.returncode}\n{result.stderr}"
    return result.stdout.strip()


# ---- prepare -----------------------------------------------------------------------------------------------

def test_importing_the_package_prepares_and_does_not_import_mxnet():
    code = "import os, sys, gluon_tricks; print('mxnet' in sys.modules, os.environ['OMP_NUM_THREADS'])"
    assert python(code) == f"False {compat.visible_cpus()}"


def test_preparing_again_changes_nothing():
    code = ("import os; from gluon_tricks import compat; before = list(compat.steps_taken), "
            "dict(os.environ); compat.prepare(); print(before == (compat.steps_taken, dict(os.environ)))")
    assert python(code) == "True"


@pytest.mark.slow
def test_mxnet_imports_after_it_in_this_environment():
    code = "import gluon_tricks, mxnet; print(mxnet.nd.ones(3).sum().asscalar())"
    assert python(code) == "3.0"


# ---- Threads -----------------------------------------------------------------------------------------------

def test_the_users_thread_count_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert compat.set_thread_count() is None
    assert os.environ["OMP_NUM_THREADS"] == "7"


# ---- NumPy -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("version, restored", [
    ("1.23.5", False),             # still has them, with a warning
    ("1.24.0", True),
    ("1.26.4", True),
    ("2.0.0", False),              # more than names is missing there
])
def test_the_aliases_come_back_where_numpy_removed_them(monkeypatch, version, restored):
    numpy = ModuleType("numpy")
    numpy.__version__ = version
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    assert bool(compat.restore_numpy_aliases()) is restored
    assert (getattr(numpy, "bool", None) is bool) is restored
    assert compat.restore_numpy_aliases() is None          # a second time there is nothing to do


@pytest.mark.parametrize("source", ["raise ImportError('libopenblas')", "raise AttributeError", "__version__ "
                                    "= '?'"])
def test_a_broken_numpy_is_left_for_its_importer(tmp_path, source):
    (tmp_path / "numpy.py").write_text(source)
    code = "from gluon_tricks import compat; print(compat.restore_numpy_aliases())"
    assert python(code, PYTHONPATH=str(tmp_path)) == "None"


# ---- distutils ---------------------------------------------------------------------------------------------

def fake_setuptools(monkeypatch, version, finders=()):
    """A Python of some version with setuptools' finder in `sys.meta_path`, or not."""
    meta_path = list(finders)
    hack = ModuleType("_distutils_hack")
    hack.DISTUTILS_FINDER = "the finder"
    hack.add_shim = lambda: meta_path.append(hack.DISTUTILS_FINDER)
    monkeypatch.setitem(sys.modules, "_distutils_hack", hack)
    monkeypatch.setattr(compat, "sys", SimpleNamespace(version_info=version, meta_path=meta_path))
    return meta_path


def test_python_3_12_gets_distutils_from_setuptools_once(monkeypatch):
    meta_path = fake_setuptools(monkeypatch, (3, 12, 1))
    assert compat.provide_distutils() == "distutils, from setuptools"
    assert compat.provide_distutils() is None
    assert meta_path == ["the finder"]


def test_python_3_11_keeps_its_own_distutils(monkeypatch):
    meta_path = fake_setuptools(monkeypatch, (3, 11, 7))
    assert compat.provide_distutils() is None
    assert meta_path == []


def test_without_setuptools_nothing_is_promised(monkeypatch):
    fake_setuptools(monkeypatch, (3, 12, 1))
    monkeypatch.setitem(sys.modules, "_distutils_hack", None)     # its import raises ImportError
    assert compat.provide_distutils() is None


# ---- CUDA --------------------------------------------------------------------------------------------------

@pytest.fixture
def cuda_packages(tmp_path, monkeypatch):
    """The files of the nvidia-*-cu11 packages in a site-packages of their own, and a list of what gets
    loaded."""
    for package, soname in compat.CUDA_LIBRARIES:
        path = tmp_path / "nvidia" / package / "lib" / soname
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    loaded = []
    monkeypatch.setattr(sys, "path",
                        [str(tmp_path), *(entry for entry in sys.path if "site-packages" not in entry)])
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    monkeypatch.delitem(sys.modules, "mxnet", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda path, mode: loaded.append((Path(path).name, mode)))
    return tmp_path, loaded


def install(site_packages, distribution):
    info = site_packages / f"{distribution.replace('-', '_')}-1.9.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.9.1\n")


def test_cuda_libraries_load_globally_each_after_those_it_needs(cuda_packages):
    site_packages, loaded = cuda_packages
    install(site_packages, "mxnet-cu112")
    assert compat.preload_cuda() == "10 of 10 CUDA libraries, from pip packages"
    assert [name for name, _ in loaded] == [
        "libcudart.so.11.0", "libnvrtc.so.11.2", "libcublasLt.so.11", "libcublas.so.11", "libcufft.so.10",
        "libcurand.so.10", "libcusolver.so.11", "libcudnn.so.8", "libnccl.so.2", "libnvToolsExt.so.1"]
    assert {mode for _, mode in loaded} == {ctypes.RTLD_GLOBAL}


def test_the_cpu_wheel_gets_no_cuda_libraries(cuda_packages):
    site_packages, loaded = cuda_packages
    install(site_packages, "mxnet")                        # beside the CUDA libraries of some other framework
    assert compat.preload_cuda() is None
    assert loaded == []


def test_a_cuda_library_that_does_not_load_is_named_with_its_own_error(cuda_packages, monkeypatch):
    def no_libz(path, mode):
        if path.endswith("libcudnn.so.8"):
            raise OSError("libz.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(ctypes, "CDLL", no_libz)
    install(cuda_packages[0], "mxnet-cu112")
    assert compat.preload_cuda() == ("CUDA libraries, until libcudnn.so.8 failed: "
                                     "libz.so.1: cannot open shared object file: No such file or directory")


# ---- AMX ---------------------------------------------------------------------------------------------------

needs_amx = pytest.mark.skipif("amx_tile" not in doctor.read_text("/proc/cpuinfo"),
                               reason="this processor has no AMX")

BFLOAT16_CONVOLUTION = """
from mxnet.contrib import amp
import mxnet as mx
amp.init('bfloat16')
net = mx.gluon.nn.Conv2D(64, 3, in_channels=64)
net.initialize()
print(net(mx.nd.ones((8, 64, 16, 16))).astype('float32').shape)
"""


@pytest.mark.parametrize("permitted", [True, False])
def test_the_variable_is_set_only_with_the_permission(monkeypatch, permitted):
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(compat, "permit_amx", lambda: permitted)
    assert compat.request_amx() is permitted
    assert os.environ.pop("DNNL_MAX_CPU_ISA", None) == ("AVX512_CORE_AMX" if permitted else None)


def test_another_choice_of_the_user_stays(monkeypatch):
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    monkeypatch.setattr(compat, "permit_amx", lambda: True)
    assert compat.request_amx() is False
    assert compat.back_amx_variable() is None
    assert os.environ["DNNL_MAX_CPU_ISA"] == "AVX2"


def test_an_inherited_variable_is_taken_back_where_there_is_no_permission(monkeypatch):
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX512_CORE_AMX")
    monkeypatch.setattr(compat, "permit_amx", lambda: False)
    assert "taken back" in compat.back_amx_variable()
    assert "DNNL_MAX_CPU_ISA" not in os.environ


@pytest.mark.parametrize("system, machine", [("linux", "aarch64"), ("darwin", "x86_64")])
def test_the_system_call_is_made_on_linux_x86_64_only(monkeypatch, system, machine):
    monkeypatch.setattr(compat, "sys", SimpleNamespace(platform=system))
    monkeypatch.setattr(compat.platform, "machine", lambda: machine)
    monkeypatch.setattr(ctypes, "CDLL", lambda *args: pytest.fail("made the call"))
    assert compat.permit_amx() is False


@needs_amx
def test_asking_for_amx_never_crashes_a_bfloat16_convolution():
    code = ("from gluon_tricks import compat; assert compat.request_amx() in (True, False)\n"
            f"{BFLOAT16_CONVOLUTION}")
    assert python(code) == "(8, 64, 14, 14)"


@needs_amx
def test_a_program_that_inherits_the_variable_does_not_crash():
    code = f"import gluon_tricks\n{BFLOAT16_CONVOLUTION}"
    assert python(code, DNNL_MAX_CPU_ISA="AVX512_CORE_AMX") == "(8, 64, 14, 14)"


@pytest.mark.parametrize("module", ["train_cifar", "train_imagenet", "benchmarks.throughput"])
@pytest.mark.slow
def test_scripts_prepare_the_process_before_mxnet_is_loaded(module):
    """Too late, and MXNet computes with half of the CPUs; the import raises here if it warns."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-W", "error::UserWarning:gluon_tricks", "-c",
                           f"import {module}, os; print(os.environ['OMP_NUM_THREADS'])"],
                          cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(len(os.sched_getaffinity(0))), done.stderr


@pytest.mark.slow
def test_mxnet_first_is_warned_of():
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", "import mxnet, gluon_tricks"], cwd=ROOT, env=environment,
                          capture_output=True, text=True)
    assert "mxnet was imported before gluon_tricks" in done.stderr
