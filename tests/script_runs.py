"""A script's `main` in this process, as `subprocess.run` would report it, without the seconds that importing
MXNet takes.

Not for bfloat16, which patches operators for the rest of the process.
"""

import contextlib
import gc
import io
import subprocess
from unittest import mock

from gluon_tricks.errors import run_main


def run_here(main, words, check=0):
    """Run `main(words)`; a `CompletedProcess`. Fails unless the exit code is `check`."""
    out, err = io.StringIO(), io.StringIO()
    argv = mock.patch("sys.argv", [f"{main.__module__}.py", *words])
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), argv:
        try:
            run_main(lambda: main(words))
        except SystemExit as ended:
            code = ended.code or 0
    gc.collect()            # the net: its blocks refer to each other
    assert code == check, err.getvalue()
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
