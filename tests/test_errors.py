"""Exit codes, and one sentence for what a user can mend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_tricks.errors import DEBUG, UserError, printable, reason_of, run_main

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


def test_a_mistake_of_the_kit_is_exit_code_3_with_its_place_and_where_to_report_it(capsys, monkeypatch):
    monkeypatch.delenv(DEBUG, raising=False)
    assert exit_code_of(lambda: fail(ValueError("a promise broken\nand more")), prog="compare") == 3
    out, err = capsys.readouterr()
    assert err.splitlines()[0].startswith(
        "compare: internal error: ValueError: a promise broken (test_errors.py:")
    assert "report it as an issue" in err
    assert (out, "Traceback" in err) == ("", False)


def test_the_traceback_is_printed_on_request(capsys, monkeypatch):
    monkeypatch.setenv(DEBUG, "1")
    assert exit_code_of(lambda: fail(KeyError("lr"))) == 3
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "says"), [
    (OSError(28, "No space left on device", "params/x.params"),
     "error: params/x.params: No space left on device"),
    (PermissionError(13, "Permission denied", "run.json"), "error: run.json: Permission denied"),
    (MemoryError("cannot allocate 11 GB"), "error: not enough memory (cannot allocate 11 GB)"),
    (MemoryError(), "error: not enough memory"),
])
def test_a_system_that_refuses_is_one_sentence(capsys, error, says):
    assert exit_code_of(lambda: fail(error), prog="evaluate") == 2
    assert capsys.readouterr() == ("", f"evaluate: {says}\n")


def test_ctrl_c_is_one_word(capsys):
    assert exit_code_of(lambda: fail(KeyboardInterrupt()), prog="compare") == 130
    assert capsys.readouterr().err == "compare: interrupted\n"


def test_line_breaks_and_escape_codes_in_a_message_do_not_reach_the_terminal(capsys):
    assert exit_code_of(lambda: fail(UserError("--model \x1b[2Jm\u202e: unknown\nverdict: INSIDE")),
                        prog="x") == 2
    assert capsys.readouterr().err == "x: error: --model \\x1b[2Jm\\u202e: unknown\\nverdict: INSIDE\n"


@pytest.mark.parametrize(("message", "reason"), [
    ("shape differs\nmore", "shape differs"), ("", "no message"),
    ('Traceback (most recent call last):\n  File "x.cc"\nMXNetError: Invalid NDArray file format',
     "Invalid NDArray file format"),
])
def test_the_reason_of_an_error_is_one_line(message, reason):
    assert reason_of(RuntimeError(message)) == reason


def test_a_worker_ends_with_one_line(monkeypatch):
    script = "run_main(lambda: 1 / 0, prog='train_cifar.py')"
    done = run_script(script, env={**os.environ, "DMLC_ROLE": "worker", "PYTHONPATH": str(ROOT)})
    assert done.returncode == 3
    assert done.stderr == b"train_cifar.py: internal error: ZeroDivisionError: division by zero (<string>:2)\n"


@pytest.mark.parametrize(("text", "shown"), [
    ("resnet50_v1d", "resnet50_v1d"), ("Löwe 鹿", "Löwe 鹿"), ("a\nverdict: INSIDE", r"a\nverdict: INSIDE"),
    ("\x1b[31m", r"\x1b[31m"), ("\x9b2J", r"\x9b2J"), ("\u202e", r"\u202e"), ("\ud800", r"\ud800"),
])
def test_foreign_text_is_shown_with_escapes(text, shown):
    assert printable(text) == shown


def run_script(script, **options):
    return subprocess.run([sys.executable, "-c", "from gluon_tricks.errors import run_main\n" + script],
                          cwd=ROOT, stderr=subprocess.PIPE, timeout=60, check=False, **options)


def test_a_full_disk_under_the_output_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = run_script("run_main(lambda: print('verdict'))", stdout=full)
    assert done.returncode == 2
    assert b"No space left on device" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_closed_output_is_never_the_number_of_a_file(tmp_path):
    script = ("import os\ndef main():\n    print('lost')\n"
              f"    log = open({str(tmp_path / 'log')!r}, 'w')\n"
              "    os.write(1, b'of MXNet')\n    log.close()\n"
              "run_main(main)")
    done = run_script(script, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "log").read_text() == ""


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
