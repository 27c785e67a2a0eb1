"""The plan of the house: which file may import which, and how long an import chain may be.

A room (a folder of gluon_tricks/) imports itself, the flat files and the rooms before it in ROOMS. Flat files import only
each other. Nobody imports a command or a training script. No function below `script/` takes argparse's object, `args`.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("recipes", "tricks", "models", "optim", "data", "engines", "log_lines", "published", "judging", "training",
         "launching", "transfer", "saved", "script", "studies", "benching", "commands")
TREES = {path.relative_to(ROOT): ast.parse(path.read_text()) for path in (ROOT / "gluon_tricks").rglob("*.py")}
MODULES = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in TREES}
EVERYTHING = "\n".join(path.read_text() for folder in ("gluon_tricks", "data_prep", "benchmarks", ".")
                       for path in (ROOT / folder).glob("*.py" if folder == "." else "**/*.py"))


def room_of(module):
    """"models" of gluon_tricks.models.resnet; "" of a flat file."""
    return next((part for part in module.split(".")[1:2] if part in ROOMS), "")


def imports_of(tree):
    """Yield (line, module or module.name) of every import, also of those inside functions and through importlib."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
            yield from ((node.lineno, word.value) for word in ast.walk(node) if isinstance(word, ast.Constant))


@pytest.mark.parametrize("path", sorted(TREES), ids=str)
def test_a_file_imports_only_what_lies_below_it(path):
    here = room_of(".".join(path.parts))
    for line, module in imports_of(TREES[path]):
        where, there = f"{path}:{line} imports {module}", room_of(str(module))
        assert not str(module).startswith(("train_", "data_prep")), where
        if str(module).startswith("gluon_tricks.") and there and path.name != "__main__.py":
            assert there != "commands" and here and ROOMS.index(there) <= ROOMS.index(here), where


@pytest.mark.parametrize("path", sorted(TREES), ids=str)
def test_argparses_object_stays_in_script_and_commands(path):
    if room_of(".".join(path.parts)) in ("script", "commands"):
        return
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef):
            assert "args" not in [one.arg for one in node.args.args], f"{path}:{node.lineno} {node.name}"


@pytest.mark.parametrize("path", sorted(TREES), ids=str)
def test_every_module_level_name_is_used(path):
    for node in TREES[path].body:
        targets = node.targets if isinstance(node, ast.Assign) else [node] if hasattr(node, "name") else []
        for name in [leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)
                     ] if isinstance(node, ast.Assign) else [target.name for target in targets]:
            if not name.startswith("__") and name != "main":
                assert len(EVERYTHING.split(name)) > 2, f"{path}:{node.lineno} {name} is not used"


def chain_of(module, seen=()):
    """The longest chain of imports that starts at a file, as a tuple of modules."""
    below = {name for _, name in imports_of(TREES[MODULES[module]]) for name in (name, str(name).rpartition(".")[0])
             if name in MODULES and name not in (module, *seen, "gluon_tricks")}
    return max(((module, *chain_of(name, (*seen, module))) for name in below), key=len, default=(module,))


def test_the_house_stays_small():
    assert len([path for path in TREES if len(path.parts) == 2]) <= 10
    for script in ROOT.glob("train_*.py"):
        assert len(script.read_text().splitlines()) <= 350, script
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{path}:{node.lineno} {node.name}"
