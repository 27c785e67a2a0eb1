"""A log is judged without MXNet: its import takes seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for room in ("judging", "published",
                                                                                     "log_lines", "pages")
                 for path in (ROOT / "gluon_tricks" / room).glob("*.py") if path.stem != "__init__")
SLOW = ("mxnet", "gluoncv", "scipy", "matplotlib")


def slow_imports(statement):
    """The slow packages that a fresh interpreter has imported after the statement."""
    program = f"{statement}; import sys; print([name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    return done.stdout.strip()


def test_a_verdict_needs_no_mxnet():
    assert slow_imports("from gluon_tricks.judging.verdict import judge") == "[]"


def test_no_module_that_reads_or_judges_logs_imports_a_slow_package():
    assert len(MODULES) > 15
    assert slow_imports("import " + ", ".join(MODULES)) == "[]"


@pytest.mark.parametrize("log", ["cifar_resnet20_v1/train_cifar10_cifar_resnet20_v1.log",
                                 "faster_rcnn_cells_drawn_0/faster_rcnn_syncbn_resnet18_v1b_voc_train.log"])
def test_compare_needs_no_slow_package(log):
    assert slow_imports("from gluon_tricks.commands.compare import main; "
                        f"main([{str(ROOT / 'logs' / 'ours' / log)!r}])").endswith("[]")


def test_report_needs_no_slow_package(tmp_path):
    words = [str(ROOT / "logs" / "ours" / "cifar_resnet20_v1"), "--out", str(tmp_path / "report.html")]
    assert slow_imports(f"from gluon_tricks.commands.report import main; main({words})").endswith("[]")
