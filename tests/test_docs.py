"""README.md and docs/ name only links, headings, files, flags, subcommands and targets that exist."""

import argparse
import ast
import functools
import importlib
import importlib.util
import re
import shlex
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from gluon_tricks import __main__ as command
from gluon_tricks.commands import bench, differences, prepare, train
from gluon_tricks.script.load import load_script

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*PAGES, ROOT / "docs/tour.ipynb", *ROOT.glob("C*.md"), ROOT / "logs/ours/README.md",
          ROOT / "logs/published/README.md"]
SCRIPTS = ("train_imagenet.py", "train_cifar.py", "train_faster_rcnn.py", "train_fcn.py")

CODE_BLOCK = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}.+(?:\n {4}.+)*", re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
PATH = re.compile(r"(?:gluon_tricks|data_prep|tests|benchmarks|docs|logs/ours|logs/published)/[\w./*-]*")

# Flags and files of other programs
THEIR_FLAGS = {"--gloo"}                                                           # horovodrun
THEIR_FILES = {"train_horovod.py", "train_cifar10.py", "train_mixup_cifar10.py"}   # GluonCV

# Subcommands that have subcommands
CHOICES = {"bench": bench.MODES, "prepare": prepare.SCRIPTS, "train": train.SCRIPTS}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


# --- Reading a page -----------------------------------------------------------------------------------------

@functools.cache
def parts(page):
    """`(prose, inline code, blocks of code)` of a page."""
    text = page.read_text(encoding="utf-8")
    blocks = CODE_BLOCK.findall(text)
    prose = CODE_BLOCK.sub("", text)
    blocks += INDENTED.findall(prose)
    prose = INDENTED.sub("", prose)
    return prose, [" ".join(code.split()) for code in INLINE.findall(prose)], blocks


def commands(page):
    """Each command of a page as a list of words."""
    _, inline, blocks = parts(page)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()] + inline
    for line in lines:
        for piece in line.split(" | "):
            try:
                words = shlex.split(piece, comments=True)
            except ValueError:                                  # an apostrophe in text
                continue
            if len(words) > 1 and words[0] in ("python", "gluon-tricks", "make"):
                yield words


@functools.cache
def anchors(page):
    """The anchors that GitHub gives to a page's headings."""
    prose = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


# --- Reading the parsers ------------------------------------------------------------------------------------

def options(function, *argv):
    """The options of the parser that prints the help of `function([..., "--help"])`."""
    found = set()

    def note(parser, file=None):
        found.update(parser._option_string_actions)

    argv_of_command = patch.object(sys, "argv", ["gluon-tricks"])
    help_is_noted = patch.object(argparse.ArgumentParser, "print_help", note)
    with help_is_noted, argv_of_command, pytest.raises(SystemExit):
        function([*argv, "--help"])
    assert found
    return found


@functools.cache
def options_of_file(path):
    """The options of a script, by its path in the repository."""
    if path in SCRIPTS:
        parse_args = load_script(path).parse_args
        if path == "train_imagenet.py":
            return options(parse_args) | options(parse_args, "--flags", "horovod")
        return options(parse_args)
    if path.startswith("data_prep/"):
        return options(importlib.import_module(path[:-3].replace("/", ".")).main)
    return options_in_source(ROOT / path)


def options_in_source(path):
    """The options in a file's calls of `add_argument`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument"]
    return {word.value for call in calls for word in call.args if isinstance(word, ast.Constant)} | {"--help"}


@functools.cache
def options_of_subcommand(*names):
    """The options of `gluon-tricks NAME` or `gluon-tricks NAME CHOICE`."""
    return options(command.main, *names)


def known_options(words):
    """The options of a command's program, without those after `--`; None for the programs of others."""
    if words[0] == "python" and words[1] != "-m":
        assert (ROOT / words[1]).is_file(), f"{words[1]}: no such script"
        return options_of_file(words[1])
    if words[0] == "python":
        module, words = words[2], words[2:]
        if module in ("pytest", "venv", "pip"):
            return None
        assert importlib.util.find_spec(module), f"{module}: no such module"
        if module != "gluon_tricks":
            return options_in_source(Path(importlib.util.find_spec(module).origin))
    if len(words) < 2 or words[1] in ("X", "..."):
        return None
    if words[1].startswith("--"):
        return {"--help"}
    name, rest = words[1], words[2:]
    assert name in command.SUBCOMMANDS, f"no subcommand {name}"
    if name not in CHOICES:
        return options_of_subcommand(name)
    choices = [choice for choice in rest[0].split("|") if choice != "..."]
    assert {*choices} <= {*CHOICES[name]}, f"{name} {rest[0]}"
    return set().union(*(options_of_subcommand(name, choice) for choice in choices))


def flags_in(words):
    return [flag for word in words for flag in FLAG.findall(word.split("=")[0])]


@functools.cache
def every_option():
    """The options of all parsers of the project."""
    benchmarks = [f"benchmarks/{path.name}" for path in ROOT.glob("benchmarks/*.py")]
    files = [*SCRIPTS, *benchmarks, "tests/mutate.py"]
    names = [(name, choice) for name in CHOICES for choice in CHOICES[name]]
    names += [(name,) for name in command.SUBCOMMANDS if name not in CHOICES]
    return THEIR_FLAGS.union(*map(options_of_file, files), *(options_of_subcommand(*each) for each in names))


# --- Tests --------------------------------------------------------------------------------------------------

def test_the_readme_fits_two_screens():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_readme_leads_to_every_page():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        seen.add(page)
        links = LINK.findall(page.read_text(encoding="utf-8"))
        linked = {(page.parent / link.split("#")[0]).resolve() for link in links}
        todo += [other for other in PAGES if other in linked - seen]
    assert seen == set(PAGES)


@each_page
def test_a_page_starts_with_what_its_reader_can_do(page):
    opening = page.read_text(encoding="utf-8").split("\n\n")[1]
    assert page.name == "README.md" or opening.startswith("After reading this page you ")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page):
    assert page.is_file()
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_files_named_in_code_exist(page):
    _, inline, blocks = parts(page)
    for code in [*inline, *blocks]:
        for word in code.split():
            path = word.rstrip(",.;:").partition("::")[0]
            if PATH.fullmatch(path):
                assert list(ROOT.glob(path.rstrip("/"))), path
            elif re.fullmatch(r"\w+\.py", path) and path not in THEIR_FILES:
                assert any(ROOT.glob(f"*/**/{path}")) or (ROOT / path).is_file(), path


@each_page
def test_flags_exist(page):
    prose, inline, blocks = parts(page)
    table = [line for line in prose.splitlines() if line.startswith("|")]
    named = {flag for code in [*inline, *blocks, *table] for flag in FLAG.findall(code)}
    assert named - every_option() == set()


@each_page
def test_commands_exist_and_take_their_flags(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in commands(page):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets | {"TARGET"}, words
            continue
        cut = words.index("--") if "--" in words else len(words)
        known = known_options(words[:cut])
        assert known is None or not {*flags_in(words[:cut])} - known, words
        scripts = [word for word in words[cut:] if word in SCRIPTS]
        passed_on = options_of_file(scripts[0] if scripts else "train_cifar.py") if words[cut:] else set()
        assert not {*flags_in(words[cut + 1:])} - passed_on, words


def test_the_differences_are_those_of_the_code(capsys):
    assert differences.main(["--no-measure", "--markdown"]) == 0
    code = capsys.readouterr().out.splitlines()
    page = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8").splitlines()
    start = page.index(code[0])
    found = page[start:page.index("", start)]

    def unmeasured(rows):
        return [row.rsplit(" | ", 1)[0] for row in rows[2:]]

    assert unmeasured(found) == unmeasured(code)
    assert not any("not measured" in row for row in found)
