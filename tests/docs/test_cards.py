"""docs/tricks: generated parts are those of the code; each trick has a card; cards name tests that exist."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("cards", ROOT / "docs" / "tools" / "cards.py")
cards = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cards)

# Files of tricks/ that several tricks share
SHARED = {"masks", "mixing", "patchwork", "__init__"}
HEADINGS = ["Formula", "When it helps", "When it does not", "What it is worth"]

each_card = pytest.mark.parametrize("name", cards.TRICKS)


def text_of(name):
    return (cards.CARDS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", cards.pages(), ids=lambda page: page.stem)
def test_generated_parts_are_those_of_the_code(page):
    assert page.read_text(encoding="utf-8") == cards.filled(page), "python docs/tools/cards.py writes them"


def test_each_trick_has_a_card_and_each_card_is_in_the_table():
    files = {path.stem for path in (ROOT / "gluon_tricks" / "tricks").glob("*.py")} - SHARED
    pages = {path.stem for path in cards.CARDS.glob("*.md")} - {"index"}
    assert files | {"resnet_d"} == pages == {*cards.TRICKS}


def test_each_trick_of_the_paper_is_one_click_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    of_the_paper = {name for name in cards.TRICKS if re.match(r"# .* \(§", text_of(name))}
    assert len(of_the_paper) == 10
    assert of_the_paper <= {*re.findall(r"\]\(docs/tricks/(\w+)\.md\)", readme)}


@each_card
def test_a_card_has_flag_code_tests_formula_and_worth(name):
    text = text_of(name)
    assert re.findall("^## (.*)$", text, re.MULTILINE) == HEADINGS
    for line in ("Flag", "Code", "Tests"):
        assert f"\n- **{line}:** " in text
    picture = cards.CARDS / f"{name}.png"
    assert (f"]({name}.png)" in text) == picture.is_file()
    assert not picture.is_file() or picture.stat().st_size < 150_000


@each_card
def test_the_tests_that_a_card_names_exist(name):
    for path, function in re.findall(r"`(tests/[\w/.]+)::(\w+)`", text_of(name)):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, path


def test_the_worth_of_mixup_is_the_papers_and_the_logs():
    rows = {row[0]: row[1:4] for row in (line.strip("| ").split(" | ") for line in cards.worth(cards.TRICKS["mixup"]))}
    assert rows["paper, Table 6, ResNet-50-D"] == ["78.31", "79.15", "+0.84"]
    assert rows["GluonCV's logs `resnet50_v1d`, `resnet50_v1d-mixup`"] == ["78.47", "79.08", "+0.61"]
    # errors 18.20, 17.77, 18.53 and 20.08, 18.61, 20.23; t(2) = 4.303
    [ours] = [cells for source, cells in rows.items() if source.startswith("[here]")]
    assert ours == ["81.83", "80.36", "−1.47 (95 %: −2.85 to −0.09)"]
