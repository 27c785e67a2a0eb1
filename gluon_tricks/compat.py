"""What MXNet 1.9.1, of 2022, needs from a process of today before it is imported.

`import gluon_tricks` calls `prepare()`, so whatever imports this package first gets an MXNet that imports. Every step
undoes one incompatibility, does nothing where there is none, and may be repeated. None imports MXNet, and none
raises: what a step cannot mend is left for MXNet's own import to fail on and for `python -m gluon_tricks doctor` to
explain.

`request_amx()` is the one step that callers ask for themselves.
"""

import os
import platform
import sys
import warnings

# What NumPy 1.24 removed and MXNet 1.9.1 (np.bool) and GluonCV 0.10.5 (np.int, np.float) still say.
NUMPY_ALIASES = {"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str}

# Each library after those it needs: package under `nvidia`, then soname. cuSPARSE is not needed.
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
ARCH_REQ_XCOMP_PERM = 0x1023       # ... asking for the use of a processor state component
XFEATURE_XTILEDATA = 18            # ... the AMX tiles
AMX_ISA = "AVX512_CORE_AMX"        # the one value of DNNL_MAX_CPU_ISA with which oneDNN 2.4 uses them

steps_taken = []                   # in words, for the doctor


def prepare():
    """Set the process up for MXNet; does not import it. Calling it again changes nothing."""
    for step in (set_thread_count, back_amx_variable, restore_numpy_aliases, provide_distutils, preload_cuda):
        done = step()
        if done:
            steps_taken.append(done)


def visible_cpus():
    """How many CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1     # macOS


def set_thread_count():
    """Let operators use every CPU this process may run on.

    Without OMP_NUM_THREADS MXNet takes half of the CPUs, assuming that the rest are hyper-threads. OpenMP and OpenBLAS
    read the variable once, when they are loaded; so this comes before NumPy.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return None
    if "mxnet" in sys.modules:
        warnings.warn("mxnet was imported before gluon_tricks: too late to set OMP_NUM_THREADS, so MXNet computes with half "
                      "of the CPUs; import gluon_tricks first", stacklevel=2)
        return None
    os.environ["OMP_NUM_THREADS"] = str(visible_cpus())
    return f"OMP_NUM_THREADS={visible_cpus()}, every visible CPU; MXNet alone would take half"


def back_amx_variable():
    """Get the permission that DNNL_MAX_CPU_ISA=AVX512_CORE_AMX presumes, or take the variable back.

    A program started by one that called `request_amx()` inherits the variable but not the permission (the kernel drops
    it at exec), and would die with SIGILL in its first bfloat16 convolution.
    """
    if os.environ.get("DNNL_MAX_CPU_ISA") != AMX_ISA:
        return None
    if permit_amx():
        return "permission to use AMX, for DNNL_MAX_CPU_ISA asks for it"
    del os.environ["DNNL_MAX_CPU_ISA"]
    return f"DNNL_MAX_CPU_ISA={AMX_ISA} taken back, for this machine gives no permission to use AMX"


def restore_numpy_aliases():
    """Put np.bool and its kin back where NumPy 1.24 to 1.26 is installed.

    MXNet 1.9.1 fails on np.bool while it is imported. NumPy 2 is left alone: it changed more than names.
    """
    try:
        import numpy as np

        version = tuple(int(part) for part in np.__version__.split(".")[:2])
    except Exception:              # missing or broken: whoever needs NumPy will say so better than we can
        return None
    if not (1, 24) <= version < (2, 0):
        return None
    missing = [name for name in NUMPY_ALIASES if name not in vars(np)]
    for name in missing:
        setattr(np, name, NUMPY_ALIASES[name])
    return f"np.{', np.'.join(missing)}, which numpy {np.__version__} no longer has" if missing else None


def provide_distutils():
    """Let setuptools stand in for the distutils that MXNet and GluonCV import and Python 3.12 no longer has.

    An environment with setuptools usually does this by itself, from a .pth file in site-packages. That file is not
    read in a directory on PYTHONPATH and does nothing under SETUPTOOLS_USE_DISTUTILS=stdlib; what it runs is here.
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
    """Load the CUDA libraries of the nvidia-*-cu11 packages, where mxnet-cu112 is to use them.

    The dynamic linker does not search site-packages and reads LD_LIBRARY_PATH before Python starts, but it takes a
    library of the right name that is already loaded.
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
            except OSError as error:   # its own dependency is missing; MXNet would name only `soname`
                return f"CUDA libraries, until {soname} failed: {error}"
            loaded += 1
            break
    return f"{loaded} of {len(CUDA_LIBRARIES)} CUDA libraries, from pip packages" if loaded else None


def request_amx():
    """Let oneDNN use the AMX tiles for bfloat16 and int8, where the processor and the kernel allow it.

    Linux gives a process the tiles on request only, and oneDNN 2.4 neither asks nor uses them by default. Call this
    before the first operator runs: oneDNN reads DNNL_MAX_CPU_ISA once. Without this permission that variable kills
    the process with SIGILL, so it is set only after the kernel said yes. float32 does not change.

    Returns
    -------
    bool
        True if oneDNN may use AMX. False on any other processor, kernel or system, and where the user chose another
        DNNL_MAX_CPU_ISA; nothing has changed then.
    """
    if os.environ.get("DNNL_MAX_CPU_ISA", AMX_ISA) != AMX_ISA or not permit_amx():
        return False
    os.environ["DNNL_MAX_CPU_ISA"] = AMX_ISA
    return True


def permit_amx():
    """Ask the kernel for the AMX tiles; True if this process has them now."""
    if sys.platform != "linux" or platform.machine() != "x86_64":    # the number means another call elsewhere
        return False
    import ctypes

    return ctypes.CDLL(None).syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0
