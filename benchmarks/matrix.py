"""Does the kit install and train under every Python that MXNet 1.9.1 can be brought to run on?

    make matrix                          every Python 3.9 to 3.12 of this machine
    make matrix ARGS="--only 3.12"

For each one: an environment under .matrix/ from the pins (made once), the doctor, and four updates of
ResNet-20 on the excerpt of CIFAR-10. Ends with a table; the exit code is 1 if anything failed. Needs the
standard library only.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.9", "3.10", "3.11", "3.12")
SMOKE_TRAINING = ["train_cifar.py", "--dataset", "cifar10-excerpt", "--model", "cifar_resnet20_v1", "--mode",
                  "hybrid",
                  "--num-gpus", "0", "-j", "0", "--batch-size", "32", "--num-epochs", "1", "--max-updates",
                  "4"]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=VERSIONS, choices=VERSIONS, help="these versions alone")
    args = parser.parse_args(argv)

    rows = []
    for version in args.only:
        python = find_interpreter(version)
        if python is None:
            rows.append((version, "not on this machine", "", "", ""))
            continue
        rows.append((full_version(python), *try_interpreter(version, python)))

    print()
    print_table(("Python", "environment", "doctor", "smoke training", "packages"), rows)
    return 1 if any(cell.startswith("FAIL") for row in rows for cell in row) else 0


def find_interpreter(version):
    """A python3.x that runs: on PATH, or any of pyenv's, the newest first; None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    patches = sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True,
                     key=lambda path: [int(part) for part in path.parts[-3].split(".") if part.isdigit()])
    for candidate in (shutil.which(f"python{version}"), *map(str, patches)):
        # pyenv's shims exist and do not run
        if candidate and full_version(candidate).startswith(f"{version}."):
            return candidate
    return None


def full_version(python):
    """"3.11.7", or "" for what does not run."""
    code = "import ensurepip, platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def try_interpreter(version, python):
    """The cells of one row, after the interpreter."""
    venv = f".matrix/{version}"
    print(f"== Python {version}: {python}", flush=True)
    environment = run(["make", "--no-print-directory", f"VENV={venv}", f"PYTHON={python}",
                       f"{venv}/.installed"])
    if environment.startswith("FAIL"):
        return environment, "", "", ""
    python = f"{venv}/bin/python"
    doctor = run([python, "-m", "gluon_tricks", "doctor"])
    with tempfile.TemporaryDirectory() as work:
        smoke = run([python, *SMOKE_TRAINING, "--save-dir", f"{work}/params", "--logging-dir", work,
                     "--save-plot-dir", work])
    return environment, doctor, smoke, packages(python)


def run(command):
    """Run one command, showing what it prints; returns the cell: "ok" or "FAIL", with the seconds it took."""
    start = time.time()
    code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    return f"{'ok' if code == 0 else 'FAIL'} {time.time() - start:.0f} s"


def packages(python):
    """The versions that differ between interpreters."""
    code = "from importlib.metadata import version as v; print('mxnet', v('mxnet'), 'numpy', v('numpy'))"
    return subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout.strip()


def print_table(header, rows):
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
