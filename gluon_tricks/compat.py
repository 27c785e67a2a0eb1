"""Prepare a present-day process for MXNet 1.9.1, which is from 2022.

`import gluon_tricks` calls `prepare()`; an import of MXNet after it works. Each step removes one
incompatibility, does nothing where there is none, and may be repeated. No step imports MXNet, and no step
raises an error. If a step fails, MXNet's own import fails later, and `python -m gluon_tricks doctor` explains
why.

`request_amx()` is not part of `prepare()`: callers ask for it.
"""

import os
import platform
import sys
import warnings

# Removed in NumPy 1.24; MXNet 1.9.1 (np.bool) and GluonCV 0.10.5 (np.int, np.float) still use them.
NUMPY_ALIASES = {"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str}

# (package under `nvidia`, soname), each library after its dependencies. cuSPARSE is not needed.
CUDA_LIBRARIES = (
    ("cuda_runtime", "libcudart.so.11.0"),
    ("cuda_nvrtc", "libnvrtc.so.11.2"),
    ("cublas", "libcublasLt.so.11"),
    ("cublas", "libcublas.so.11"),
    ("cufft", "libcufft.so.10"),
    ("curand", "libcurand.so.10"),
    ("cusolver", "libcusolver.so.11"),
    ("cudnn", "libcudnn.so.8"),
    ("nccl", "libnccl.so.2"),
    ("nvtx", "libnvToolsExt.so.1"),
)

ARCH_PRCTL = 158                   # x86-64 system call
ARCH_REQ_XCOMP_PERM = 0x1023       # ... to request the use of a processor state component
XFEATURE_XTILEDATA = 18            # ... namely the AMX tiles
AMX_ISA = "AVX512_CORE_AMX"        # only with this DNNL_MAX_CPU_ISA does oneDNN 2.4 use them

steps_taken = []                   # descriptions, for the doctor


def prepare():
    """Set the process up for MXNet, without importing it. A second call changes nothing."""
    for step in (set_thread_count, back_amx_variable, restore_numpy_aliases, provide_distutils, preload_cuda):
        done = step()
        if done:
            steps_taken.append(done)


def visible_cpus():
    """Number of CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1     # macOS


def set_thread_count():
    """Let operators use every CPU that this process may run on.

    Without OMP_NUM_THREADS MXNet uses half of the CPUs: it takes the others for hyper-threads. OpenMP and
    OpenBLAS read the variable once, when they are loaded, so this runs before NumPy is imported.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return None
    if "mxnet" in sys.modules:
        warnings.warn("mxnet was imported before gluon_tricks: too late to set OMP_NUM_THREADS, so MXNet "
                      "computes with half of the CPUs; import gluon_tricks first", stacklevel=2)
        return None
    os.environ["OMP_NUM_THREADS"] = str(visible_cpus())
    return f"OMP_NUM_THREADS={visible_cpus()}, every visible CPU; MXNet alone would take half"


def back_amx_variable():
    """Get the permission that DNNL_MAX_CPU_ISA=AVX512_CORE_AMX requires, or remove the variable.

    A child of a program that called `request_amx()` inherits the variable but not the permission, which the
    kernel drops at exec. Its first bfloat16 convolution would end with SIGILL.
    """
    if os.environ.get("DNNL_MAX_CPU_ISA") != AMX_ISA:
        return None
    if permit_amx():
        return "permission to use AMX, because DNNL_MAX_CPU_ISA asks for it"
    del os.environ["DNNL_MAX_CPU_ISA"]
    return f"DNNL_MAX_CPU_ISA={AMX_ISA} taken back, because this machine gives no permission to use AMX"


def restore_numpy_aliases():
    """Restore np.bool and similar names where NumPy 1.24 to 1.26 is installed.

    The import of MXNet 1.9.1 fails without np.bool. NumPy 2 is not changed: more than names differs there.
    """
    try:
        import numpy as np

        version = tuple(int(part) for part in np.__version__.split(".")[:2])
    except Exception:              # missing or broken: the next import of NumPy explains it better
        return None
    if not (1, 24) <= version < (2, 0):
        return None
    missing = [name for name in NUMPY_ALIASES if name not in vars(np)]
    for name in missing:
        setattr(np, name, NUMPY_ALIASES[name])
    return f"np.{', np.'.join(missing)}, which numpy {np.__version__} no longer has" if missing else None


def provide_distutils():
    """Provide distutils from setuptools: MXNet and GluonCV import it, and Python 3.12 no longer has it.

    Usually a .pth file of setuptools in site-packages does this. Python does not read that file in a
    directory on PYTHONPATH, and it does nothing under SETUPTOOLS_USE_DISTUTILS=stdlib. This function runs the
    same code.
    """
    if sys.version_info < (3, 12):
        return None
    try:
        import _distutils_hack
    except ImportError:            # no setuptools
        return None
    if _distutils_hack.DISTUTILS_FINDER in sys.meta_path:
        return None
    _distutils_hack.add_shim()
    return "distutils, from setuptools"


def preload_cuda():
    """Load the CUDA libraries of the nvidia-*-cu11 packages, if mxnet-cu112 is installed.

    The dynamic linker does not search site-packages, and it reads LD_LIBRARY_PATH before Python starts. But
    it uses a library of the right name that is already loaded.
    """
    from importlib.util import find_spec

    nvidia = find_spec("nvidia")
    if nvidia is None or "mxnet" in sys.modules:
        return None

    import ctypes
    from importlib import metadata
    from pathlib import Path

    try:
        metadata.distribution("mxnet-cu112")
    except metadata.PackageNotFoundError:
        return None
    loaded = 0
    for package, soname in CUDA_LIBRARIES:
        for root in nvidia.submodule_search_locations:
            path = Path(root, package, "lib", soname)
            if not path.exists():
                continue
            try:
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:   # a dependency of it is missing; MXNet would name only `soname`
                return f"CUDA libraries, until {soname} failed: {error}"
            loaded += 1
            break
    return f"{loaded} of {len(CUDA_LIBRARIES)} CUDA libraries, from pip packages" if loaded else None


def request_amx():
    """Let oneDNN use the AMX tiles for bfloat16 and int8, where the processor and the kernel allow it.

    Linux gives a process the tiles on request only, and oneDNN 2.4 neither requests nor uses them by default.
    Call this before the first operator runs: oneDNN reads DNNL_MAX_CPU_ISA once. Without the permission that
    variable ends the process with SIGILL, so it is set only after the kernel agrees. Results in float32 do
    not change.

    Returns
    -------
    bool
        True if oneDNN may use AMX. False on any other processor, kernel or system, and if the user chose
        another DNNL_MAX_CPU_ISA; then nothing has changed.
    """
    if os.environ.get("DNNL_MAX_CPU_ISA", AMX_ISA) != AMX_ISA or not permit_amx():
        return False
    os.environ["DNNL_MAX_CPU_ISA"] = AMX_ISA
    return True


def permit_amx():
    """Request the AMX tiles from the kernel; True if this process may use them now."""
    if sys.platform != "linux" or platform.machine() != "x86_64":    # the number is another call elsewhere
        return False
    import ctypes

    return ctypes.CDLL(None).syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0
