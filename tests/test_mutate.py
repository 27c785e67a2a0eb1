"""tests/mutate.py speaks of the code as it is: what each mutant replaces stands exactly once."""

from pathlib import Path

import mutate
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("mutant", mutate.MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_replaces_stands_exactly_once(mutant):
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert mutant.new != mutant.old and all((ROOT / guard.split("::")[0]).exists() for guard in mutant.guards)
