"""The plan of the house: which room may import which.

A room (a folder of gluon_tricks/) imports only itself, the flat files and the rooms before it in ROOMS. Flat files import only each other.
Nobody imports a command or a training script; argparse's object is taken by nobody below script/.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("recipes", "tricks", "models", "optim", "data", "engines", "log_lines", "published", "judging", "training", "launching",
         "saved", "script", "transfer", "studies", "benching", "commands")
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "gluon_tricks").rglob("*.py"))


def room_of(parts):
    """`models` for gluon_tricks/models/resnet.py; "" for a flat file."""
    return parts[1].removesuffix(".py") if parts[1].removesuffix(".py") in ROOMS else ""


def imports_of(tree):
    """(line, module) of every import, also those inside functions and through importlib."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            yield from ((node.lineno, word.value) for word in ast.walk(node) if isinstance(word, ast.Constant))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_room_imports_only_rooms_below_it(path):
    here = room_of(path.parts)
    for line, module in imports_of(ast.parse((ROOT / path).read_text())):
        parts = str(module).split(".")
        where = f"{path}:{line} imports {module}"
        assert not parts[0].startswith(("train_", "data_prep")), where
        if parts[0] == "gluon_tricks" and len(parts) > 1 and path.name != "__main__.py":
            there = room_of(parts)
            assert not there or here and ROOMS.index(there) <= ROOMS.index(here), where
            assert there != "commands", where


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path.parts) not in ("script", "commands")], ids=str)
def test_no_function_below_script_takes_argparses_object(path):
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef):
            assert "args" not in [one.arg for one in node.args.args], f"{path}:{node.lineno} {node.name}"
