"""Exit codes, and one sentence for what a user can mend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_tricks.errors import UserError, run_main

ROOT = Path(__file__).resolve().parent.parent


def fail(error):
    raise error


def exit_code_of(main, **options):
    with pytest.raises(SystemExit) as exited:
        run_main(main, **options)
    return exited.value.code


@pytest.mark.parametrize("returned", [None, 0, 1])
def test_the_exit_code_is_what_main_returns(returned):
    assert exit_code_of(lambda: returned) == returned


def test_what_a_user_can_mend_is_one_line_and_exit_code_2(capsys):
    assert exit_code_of(lambda: fail(UserError("--lr -1: must be positive")), prog="train_cifar.py") == 2
    assert capsys.readouterr() == ("", "train_cifar.py: error: --lr -1: must be positive\n")


def test_the_script_names_itself(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/some/where/prepare.py", "--flag"])
    assert exit_code_of(lambda: fail(UserError("no"))) == 2
    assert capsys.readouterr().err == "prepare.py: error: no\n"


def test_our_own_mistakes_keep_their_traceback():
    with pytest.raises(ValueError, match="a promise broken"):
        run_main(lambda: fail(ValueError("a promise broken")))


# seen at the end; or while main prints
@pytest.mark.parametrize("lines, code", [(1, 0), (1, 1), (100_000, 0)])
def test_a_reader_that_is_gone_ends_the_script_quietly(lines, code):
    script = ("from gluon_tricks.errors import run_main\n"
              f"def main():\n    for _ in range({lines}): print('one more line')\n    return {code}\n"
              "run_main(main)")
    read_end, write_end = os.pipe()
    os.close(read_end)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=variables, stdout=write_end,
                            stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write_end)
    assert (result.returncode, result.stderr) == (code, "")
