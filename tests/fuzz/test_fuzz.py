"""Damaged files of every format: the result of the whole file, or one sentence; nothing else, and soon."""

import pytest
from fuzz_formats import FORMATS, damaged, outcome_of
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_refused_in_a_sentence_or_changes_nothing(name, tmp_path):
    form = FORMATS[name]
    path = form.make(tmp_path)
    content = path.read_bytes()
    whole = form.read(path)
    found = set()

    @settings(max_examples=200, derandomize=True, deadline=None, database=None)
    @given(st.integers(0, 2**32 - 1))
    def check(seed):
        outcome = outcome_of(form, path, whole, damaged(content, seed))
        found.add(outcome)
        assert outcome in ("equal", "refused"), f"{name}, seed {seed}: {outcome}"

    check()
    assert "refused" in found
