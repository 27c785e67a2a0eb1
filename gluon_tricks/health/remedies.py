"""From an error's text to its remedy."""

import re

from gluon_tricks.health.dependencies import CPU_PINS, DEPENDENCIES, GPU_PINS, HOROVOD, PINS

DRIVER = ("NVIDIA's driver, 450.80.02 or newer (in a container: docker run --gpus all); without a GPU: "
          f"{CPU_PINS}")

# Shared library -> what has it. The versions of pip packages stand in requirements/gpu.txt alone.
LIBRARIES = {
    "libcuda.so.1": DRIVER,
    "libcudart.so.11.0": f"{GPU_PINS}   (nvidia-cuda-runtime-cu11 has it)",
    "libnvrtc.so.11.2": f"{GPU_PINS}   (nvidia-cuda-nvrtc-cu11 has it)",
    "libcublasLt.so.11": f"{GPU_PINS}   (nvidia-cublas-cu11 has it)",
    "libcublas.so.11": f"{GPU_PINS}   (nvidia-cublas-cu11 has it)",
    "libcufft.so.10": f"{GPU_PINS}   (nvidia-cufft-cu11 has it)",
    "libcurand.so.10": f"{GPU_PINS}   (nvidia-curand-cu11 has it)",
    "libcusolver.so.11": f"{GPU_PINS}   (nvidia-cusolver-cu11 has it)",
    "libcudnn.so.8": f"{GPU_PINS}   (nvidia-cudnn-cu11 has it; cuDNN 9 has libcudnn.so.9 and does not fit)",
    "libnccl.so.2": f"{GPU_PINS}   (nvidia-nccl-cu11 has it)",
    "libnvToolsExt.so.1": f"{GPU_PINS}   (nvidia-nvtx-cu11 has it)",
    "libopenblas.so.0": "pip install --force-reinstall --no-deps mxnet==1.9.1   (the wheel has it)",
    "libgfortran.so.3": "pip install --force-reinstall --no-deps mxnet==1.9.1   (the wheel has it)",
    "libgomp.so.1": "sudo apt install libgomp1",
    "libquadmath.so.0": "sudo apt install libquadmath0",
    "libstdc++.so.6": "sudo apt install libstdc++6",
    "libz.so.1": "sudo apt install zlib1g",
    "libGL.so.1": "sudo apt install libgl1 libglib2.0-0   (without root: pip install --no-deps "
                  "opencv-python-headless==4.11.0.86, whose files replace those of opencv-python)",
    "libgthread-2.0.so.0": "sudo apt install libglib2.0-0",
    "libglib-2.0.so.0": "sudo apt install libglib2.0-0",
}

# Pattern of a message -> remedy; the first that matches counts.
REMEDIES = (
    (r"module 'numpy' has no attribute '(bool|int|float|complex|object|str)'",
     f"NumPy 1.24 removed this name: import gluon_tricks before mxnet, or {PINS}"),
    (r"was removed in the NumPy 2\.0 release|compiled using NumPy 1\.x cannot be run in\s+NumPy 2|"
     r"_ARRAY_API not found",
     f"MXNet 1.9.1 does not work with NumPy 2: {PINS}"),
    (r"numpy\.\w+ size changed, may indicate binary incompatibility|numpy\.core\.multiarray failed to import",
     f"compiled for another NumPy than the one installed: {PINS}"),
    (r"No module named '_?distutils",
     f"Python 3.12 has no distutils; setuptools has: {PINS}, and import gluon_tricks before mxnet"),
    (r"Extension horovod\.\w+ has not been built|horovod.*undefined symbol",
     f"compiled without MXNet or for another one: pip uninstall -y horovod, then {HOROVOD}"),
    (r"Descriptors cannot (not )?be created directly",
     f"the installed protobuf is too new for the package: {PINS}"),
    (r"no kernel image is available for execution on the device",
     "mxnet-cu112 has code for compute capability 5.0 to 8.9 only; with a newer GPU train on the CPU: "
     f"{CPU_PINS}"),
    (r"CUDA driver version is insufficient", DRIVER),
    (r"version `GLIBC(XX)?_[\d.]+' not found",
     "the system's C or C++ library is older than the wheels': use a newer Linux"),
    (r"No module named '_(ctypes|bz2|lzma|ssl|sqlite3)'",
     "this Python was built without a library: sudo apt install libffi-dev libbz2-dev liblzma-dev "
     "libssl-dev, then pyenv install --force 3.11"),
    (r"killed by SIGILL",
     "an instruction that this processor lacks or does not permit: unset DNNL_MAX_CPU_ISA, and call "
     "gluon_tricks.compat.request_amx() to use AMX"),
    (r"killed by SIGBUS|Failed to \w+ shared memory|No space left on device: '/dev/shm",
     "shared memory is full: docker run --shm-size=8g (or --ipc=host), or fewer workers (-j)"),
    (r"killed by SIGKILL",
     "the system ended it, mostly because memory ran out: see dmesg; use a smaller --batch-size"),
)


def remedy_for(error_text):
    """The remedy for an error, or None if these tables have none.

    Parameters
    ----------
    error_text : str
        The message as Python shows it, of one or several lines.
    """
    library = re.search(r"(lib[\w+.-]+\.so[.\d]*): cannot open shared object file", error_text)
    if library:
        soname = library.group(1)
        return LIBRARIES.get(soname) or f"find the package that has {soname}: apt-file search {soname}"
    for pattern, remedy in REMEDIES:
        if re.search(pattern, error_text, re.DOTALL):
            return remedy
    missing = re.search(r"No module named '([\w.]+)'", error_text)
    if missing:
        top = missing.group(1).split(".")[0]
        return next((d.install for d in DEPENDENCIES if d.module.split(".")[0] == top), PINS)
    return None
