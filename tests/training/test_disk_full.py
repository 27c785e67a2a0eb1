"""benchmarks/disk_full.py at some of its points; without an argument it tries all of them."""

import re
import shutil

import pytest

from benchmarks.disk_full import first_and_last, in_a_process_of_its_own

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(not shutil.which("cc"), reason="the full disk needs a C compiler")]


@pytest.mark.parametrize("job, points", [
    ("train", "write .*train.log,write .*metrics.jsonl,write .*best.states,write .*resume.npz"),
    ("prepare", "write .*train.rec,rename .*manifest.json"),
])
def test_what_was_whole_stays_whole_and_the_same_bits_come_in_the_end(job, points, tmp_path):
    done = in_a_process_of_its_own(tmp_path, job, points, capture_output=True, text=True)
    count = len(points.split(","))
    assert done.returncode == 0 and f"; {count} of {count} passed" in done.stdout, done.stdout + done.stderr
    calls = int(re.search(r"(\d+) calls", done.stdout)[1])
    assert calls > 20        # or the library was not preloaded


def test_points_are_the_ends_of_equal_calls():
    assert first_and_last(["a", "b", "b", "b", "c", "c", "a"]) == [1, 2, 4, 5, 6, 7]
