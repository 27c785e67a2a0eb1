"""What works on this machine, what does not, and the remedy.

Every dependency is imported in a process of its own, after `gluon_tricks.compat` has prepared it: so a
package that crashes does not end the report, and the error shown is its own, not that of its importer. Then
MXNet trains one step. This module itself needs the standard library only.

    FAIL   training cannot run until this is repaired        (exit code 1)
    note   training can run; something is missing, slow, or less than it seems
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Optional

from gluon_tricks import compat
from gluon_tricks.health.children import first_error, import_alone, run_child, run_python, training_step
from gluon_tricks.health.dependencies import (
    CPU_PINS,
    DEPENDENCIES,
    GPU_ENVIRONMENT,
    GPU_PINS,
    PINS,
    version_of,
)
from gluon_tricks.health.remedies import DRIVER, remedy_for


@dataclass
class Check:
    """One line of the report: what was checked, and the result. `status` is "ok", "note" or "FAIL"."""

    name: str
    status: str
    says: str
    remedy: Optional[str] = None


def check_system():
    """Wheels of MXNet 1.9.1 exist for few systems, and its Python code runs on 3.9 to 3.12."""
    system = f"{platform.system()} {platform.machine()}"
    says = f"Python {platform.python_version()} on {system}"
    if not (3, 9) <= sys.version_info[:2] <= (3, 12):
        return [Check("system", "FAIL", f"{says}: the kit runs on 3.9 to 3.12",
                      "make test PYTHON=python3.11")]
    if system == "Linux x86_64":
        return [Check("system", "ok", says)]
    if system in ("Linux aarch64", "Darwin x86_64"):
        return [Check("system", "note",
                      f"{says}: MXNet 1.9.1 has a wheel, but nobody has tried the kit with it")]
    return [Check("system", "FAIL", f"{says}: MXNet 1.9.1 has no wheel",
                  "use Linux on x86-64 (on Windows: WSL 2)")]


def check_distributions():
    """What pip says is installed, before anything is imported."""
    names = sorted({(d.metadata["Name"] or "").lower() for d in metadata.distributions()})
    checks = []
    mxnets = [name for name in names if re.fullmatch(r"mxnet(-cu\d+\w*|-mkl|-native)?", name)]
    if len(mxnets) > 1:
        keep = GPU_PINS if "mxnet-cu112" in mxnets else CPU_PINS
        checks.append(Check("mxnet", "FAIL",
                            f"{' and '.join(mxnets)} are both installed and overwrite each other",
                                f"pip uninstall -y {' '.join(mxnets)}, then {keep}"))
    opencv = [name for name in names if re.fullmatch(r"opencv(-contrib)?-python(-headless)?", name)]
    for name in opencv:
        if leading_numbers(version_of(name)) >= (4, 12) and leading_numbers(version_of("numpy")) < (2, 0):
            checks.append(Check("opencv", "note", f"{name} {version_of(name)} wants numpy 2, MXNet numpy 1",
                                    f"pip install {name}==4.11.0.86"))
    return checks


def check_environment():
    """Environment variables that keep MXNet from training, or slow it down."""
    checks = []
    if os.environ.get("DMLC_ROLE") in ("server", "scheduler"):
        role = os.environ["DMLC_ROLE"]
        checks.append(Check("environment", "FAIL",
                            f"under DMLC_ROLE={role} `import mxnet` serves and never returns",
                            "unset DMLC_ROLE"))
    if os.environ.get("MXNET_ENGINE_TYPE") == "NaiveEngine":
        checks.append(Check("environment", "note",
                            "MXNET_ENGINE_TYPE=NaiveEngine: for debugging, much slower",
                                "unset MXNET_ENGINE_TYPE"))
    return checks


def check_dependencies():
    """Every dependency alone, each in its own process."""
    with ThreadPoolExecutor(max_workers=min(4, compat.visible_cpus())) as pool:
        reports = pool.map(lambda d: run_child(import_alone, d.module, d.distribution), DEPENDENCIES)
        return [judge_import(*pair) for pair in zip(DEPENDENCIES, reports)]


def judge_import(dependency, report):
    """Check one import by what its process reported."""
    version = report.get("version")
    if dependency.module == "numpy" and version and leading_numbers(version) >= (2, 0):
        return Check("numpy", "FAIL", f"{version}: MXNet 1.9.1 does not work with NumPy 2", PINS)
    if version:
        return Check(dependency.module, "ok", version)
    errors = report["errors"]
    says = brief(errors[0])
    if f"No module named '{dependency.module.split('.')[0]}'" in says:
        says, remedy = "not installed", dependency.install
    else:
        remedy = next(filter(None, map(remedy_for, errors)), None)
    if dependency.needed:
        return Check(dependency.module, "FAIL", says, remedy)
    return Check(dependency.module, "note", f"{says}; serves {dependency.serves}", remedy)


def check_preparation():
    """What `gluon_tricks.compat` did, and how MXNet fails without it."""
    checks = [Check("compat", "ok", step) for step in compat.steps_taken]
    if len(compat.steps_taken) > 1:
        child = run_python("import mxnet")
        if child.returncode:
            checks.append(Check("compat", "note",
                                "without it: " + brief(first_error(child.stderr) or "a crash"),
                                    "import gluon_tricks before mxnet"))
    return checks


def check_training():
    """One training step, what MXNet was built with, and the threads it uses."""
    report = run_child(training_step)
    if "errors" in report:
        remedy = next(filter(None, map(remedy_for, report["errors"])), None)
        return [Check("training", "FAIL", brief(report["errors"][0]), remedy)]
    steps = ", ".join(f"{device} {seconds:.2f} s" for device, seconds in report["seconds"].items())
    built_with = [name for name in report["features"] if not name.startswith("CPU_")]
    return [Check("training", "ok", f"one step: {steps}"),
            Check("features", "ok", " ".join(built_with)),
            judge_threads(report["threads"])]


def judge_threads(threads):
    """Threads of the operators and of the decoders, compared with the CPUs of this process."""
    cpus, quota = compat.visible_cpus(), cpu_quota()
    decoders = max(1, cpus // 2)
    says = (f"operators {threads or '?'} (OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}), "
            f"ImageRecordIter at most {decoders} (half of {cpus} CPUs, for any -j)")
    if quota and quota < cpus:
        return Check("threads", "note", f"{says}; the container may use {quota:g} CPUs only",
                     f"export OMP_NUM_THREADS={max(1, int(quota))}")
    if threads and threads > cpus:
        return Check("threads", "note", f"{says}; more threads than CPUs spin",
                     f"export OMP_NUM_THREADS={cpus}")
    if threads and threads < cpus:
        return Check("threads", "note",
                     f"{says}; {cpus - threads} CPUs idle unless several processes share them",
                     f"export OMP_NUM_THREADS={cpus}")
    return Check("threads", "ok", says)


def check_shared_memory(path="/dev/shm"):
    """A Gluon DataLoader with workers hands over its batches in shared memory; Docker gives 64 MB."""
    workers = compat.visible_cpus()
    need = 2 * workers * 256 * 3 * 224 * 224 * 4
    total = f"2 x {workers} workers x 256x3x224x224 x 4 bytes = {need / 1e9:.2f} GB"
    if not os.path.isdir(path):
        return [Check("shared memory", "note", f"no {path}: DataLoader workers cannot start", "use -j 0")]
    free = shutil.disk_usage(path).free
    says = f"{path} has {free / 1e9:.2f} GB free; a DataLoader of ImageNet takes {total}"
    if free >= need:
        return [Check("shared memory", "ok", says)]
    return [Check("shared memory", "note", says, "docker run --shm-size=8g (or --ipc=host), or a smaller -j")]


def check_amx():
    """AMX: bfloat16 runs faster with it, and crashes if it is requested without permission."""
    if "amx_tile" not in read_text("/proc/cpuinfo"):
        return []
    if os.environ.get("DNNL_MAX_CPU_ISA") == compat.AMX_ISA:
        return [Check("AMX", "note",
                      f"under DNNL_MAX_CPU_ISA={compat.AMX_ISA} a program that imports mxnet without "
                      "gluon_tricks dies with SIGILL in bfloat16", "unset it, and call compat.request_amx()")]
    if compat.permit_amx():
        return [Check("AMX", "ok", "used for bfloat16 and int8 after gluon_tricks.compat.request_amx()")]
    return [Check("AMX", "note", "the processor has it, the kernel or the container does not permit it",
                  "Linux 5.16 or newer")]


def check_gpus():
    """GPUs, compared with those that the wheel has code for."""
    installed_for_gpu = version_of("mxnet-cu112") is not None
    rows = query_nvidia_smi()
    if not rows:
        if installed_for_gpu:
            return [Check("GPU", "note", "mxnet-cu112 is installed, but nvidia-smi finds no GPU", DRIVER)]
        return [Check("GPU", "ok", "none; training runs on the CPU")]
    return [judge_gpu(index, *row, installed_for_gpu) for index, row in enumerate(rows)]


def judge_gpu(index, name, capability, driver, installed_for_gpu):
    """Check one GPU."""
    says = f"{name}, compute capability {capability}, driver {driver}"
    if not wheel_has_code_for(capability):
        return Check(f"GPU {index}", "FAIL" if installed_for_gpu else "note",
                     f"{says}: mxnet-cu112 has no code for it, only sm_{', sm_'.join(map(str, WHEEL_CODE))}",
                     f"a GPU of compute capability 5.0 to 8.9, or the CPU: {CPU_PINS}")
    if leading_numbers(driver) < (450, 80):
        return Check(f"GPU {index}", "FAIL" if installed_for_gpu else "note", f"{says}: too old for CUDA 11",
                     DRIVER)
    if not installed_for_gpu:
        return Check(f"GPU {index}", "note", f"{says}: not used by the CPU's mxnet", GPU_ENVIRONMENT)
    return Check(f"GPU {index}", "ok", says)


WHEEL_CODE = (50, 60, 70, 80, 86)     # device code in the mxnet-cu112 1.9.1 wheel, which has no PTX


def wheel_has_code_for(capability):
    """Whether the GPU wheel runs on a compute capability: code for X.y runs on X.z where z >= y."""
    major, minor = leading_numbers(capability)
    return any(major == code // 10 and minor >= code % 10 for code in WHEEL_CODE)


# ---- Facts of the machine ----------------------------------------------------------------------------------

def query_nvidia_smi():
    """(name, compute capability, driver version) of every GPU; empty without nvidia-smi."""
    try:
        query = ["nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"]
        output = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.rsplit(",", 2) for line in output.splitlines() if line.strip()]
    return [tuple(cell.strip() for cell in row) for row in rows]


def cpu_quota(root="/sys/fs/cgroup"):
    """CPUs' worth of time that a container may use (cgroup v2, then v1), or None without a limit."""
    quota, _, period = read_text(f"{root}/cpu.max").partition(" ")
    if not quota:
        quota, period = read_text(f"{root}/cpu/cpu.cfs_quota_us"), read_text(f"{root}/cpu/cpu.cfs_period_us")
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except ValueError:                # "max", or no such file
        return None


def leading_numbers(version):
    """(4, 11) of "4.11.0.86"; () of None."""
    return tuple(int(number) for number in re.findall(r"\d+", version or "")[:2])


def brief(text):
    """The first line of an error, cut to a terminal's width."""
    line = text.strip().split("\n")[0]
    return line if len(line) <= 160 else line[:157] + "..."


def read_text(path):
    """A file's text, or "" if it cannot be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


# ---- The report --------------------------------------------------------------------------------------------

ALL_CHECKS = (check_system, check_environment, check_distributions, check_preparation, check_dependencies,
              check_training, check_shared_memory, check_amx, check_gpus)


def examine():
    """Run all checks. One that raises an error becomes a note and does not end the report."""
    checks = []
    for run_check in ALL_CHECKS:
        failed = [check.name for check in checks if check.status == "FAIL"]
        if run_check is check_training and "mxnet" in failed:
            continue                  # it would only repeat the error of the import
        try:
            checks += run_check()
        except Exception as error:
            checks.append(Check(run_check.__name__, "note",
                                f"could not be checked: {type(error).__name__}: {error}"))
    return checks


def report(checks):
    """The checks as a table, each remedy under the first check that needs it, the verdict last."""
    lines, told = [], set()
    for check in checks:
        lines.append(f"{check.status:<5} {check.name:<14} {check.says}")
        if check.remedy:
            lines.append(f"{'':<20} -> {'as above' if check.remedy in told else check.remedy}")
            told.add(check.remedy)
    failures = [check.name for check in checks if check.status == "FAIL"]
    lines.append(f"Training cannot run: {', '.join(failures)}." if failures else "Training can run.")
    return "\n".join(lines)


def main(argv=None):
    """Print the report; returns 0 if training can run and 1 if not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example:  gluon-tricks doctor --json | jq '.findings[] | select(.status != \"ok\")'")
    parser.add_argument("--json", action="store_true", help="print the checks as one JSON object")
    args = parser.parse_args(argv)
    checks = examine()
    works = all(check.status != "FAIL" for check in checks)
    if args.json:
        print(json.dumps({"training_can_run": works, "findings": [asdict(check) for check in checks]},
                         indent=2))
    else:
        print(report(checks))
    return 0 if works else 1
