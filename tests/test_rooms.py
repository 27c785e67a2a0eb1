"""The structure of the package: permitted imports, length of import chains, size of files and functions.

A room (a folder of gluon_tricks/) imports itself, the flat files and the rooms before it in ROOMS. Flat files
import only each other. No module imports a command or a training script. Only `script/` and `commands/` have
functions with argparse's `args`.
"""

import ast
import functools
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("health", "recipes", "tricks", "bridge", "models", "optim", "data", "engines", "log_lines", "published",
         "judging", "pages", "training", "launching", "transfer", "saved", "script", "studies", "benching", "commands")
TREES = {path.relative_to(ROOT): ast.parse(path.read_text())
         for path in (ROOT / "gluon_tricks").rglob("*.py")}
MODULES = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in TREES}
SCRIPTS = {path.relative_to(ROOT): ast.parse(path.read_text()) for path in sorted(ROOT.glob("train_*.py"))}
EVERYTHING = "\n".join(path.read_text() for folder in ("gluon_tricks", "data_prep", "benchmarks", ".")
                       for path in (ROOT / folder).glob("*.py" if folder == "." else "**/*.py"))


def room_of(module):
    """"models" of gluon_tricks.models.resnet; "" of a flat file."""
    return next((part for part in module.split(".")[1:2] if part in ROOMS), "")


def imports_of(tree):
    """Yield (line, module or module.name) of every import, also inside functions and through importlib."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
            yield from ((node.lineno, word.value) for word in ast.walk(node) if isinstance(word,
                                                                                           ast.Constant))


def test_a_file_imports_only_what_lies_below_it():
    assert [line for path in TREES for line in imports_from_above(path)] == []


def imports_from_above(path):
    """Yield a line on each import that a file may not have."""
    here = room_of(".".join(path.parts))
    for line, module in imports_of(TREES[path]):
        there = room_of(str(module))
        of_a_room = str(module).startswith("gluon_tricks.") and there and path.name != "__main__.py"
        from_below = there != "commands" and here and ROOMS.index(there) <= ROOMS.index(here) if there else True
        if str(module).startswith(("train_", "data_prep")) or of_a_room and not from_below:
            yield f"{path}:{line} imports {module}"


def test_argparses_object_stays_in_script_and_commands():
    assert [f"{path}:{node.lineno} {node.name}" for path in TREES for node in ast.walk(TREES[path])
            if isinstance(node, ast.FunctionDef) and "args" in [one.arg for one in node.args.args]
            and room_of(".".join(path.parts)) not in ("script", "commands")] == []


def test_every_module_level_name_is_used():
    counts = Counter(re.findall(r"\w+", EVERYTHING))
    assert [f"{path}:{line} {name} is not used" for path in TREES for line, name in names_of(TREES[path])
            if not name.startswith("__") and name != "main" and counts[name] < 2] == []


def names_of(tree):
    """Yield (line, name) of every function, class and variable of a module."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((node.lineno, leaf.id) for target in node.targets for leaf in ast.walk(target)
                        if isinstance(leaf, ast.Name))
        elif hasattr(node, "name"):
            yield node.lineno, node.name


def modules_of(path):
    """Modules of the package that a file imports."""
    found = (next((name for name in (str(name), str(name).rpartition(".")[0]) if name in MODULES), None)
             for _, name in imports_of({**TREES, **SCRIPTS}[path]))
    return {name for name in found if name and not MODULES[name].name.startswith("__")}


@functools.cache
def chain_of(path):
    """The longest chain of imports that starts at a file: a tuple of paths."""
    below = (chain_of(MODULES[module]) for module in modules_of(path) if MODULES[module] != path)
    return (path, *max(below, key=len, default=()))


def test_no_chain_of_imports_is_longer_than_ten_files():
    longest = max(map(chain_of, [*MODULES.values(), *SCRIPTS]), key=len)
    assert len(longest) <= 10, " -> ".join(map(str, longest))


def test_scripts_and_the_ground_are_small():
    assert len([path for path in TREES if len(path.parts) == 2]) <= 10
    for script in SCRIPTS:
        assert len((ROOT / script).read_text().splitlines()) <= 350, script


def test_functions_have_60_lines_and_8_parameters_unless_a_comment_says_why():
    assert [f"{path}:{node.lineno} {node.name}" for path in TREES for node in large_functions(path)] == []


def large_functions(path):
    """Yield the large functions of a file that have no comment."""
    lines = (ROOT / path).read_text().splitlines()
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef):
            names = [one.arg for one in (*node.args.args, *node.args.kwonlyargs) if one.arg not in ("self",
                                                                                                    "cls")]
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            large = len(names) > 8 or node.end_lineno - node.lineno >= 60
            if large and not lines[first - 2].lstrip().startswith("# So many"):
                yield node
