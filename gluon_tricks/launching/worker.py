"""A measuring process, controlled through its standard input and output."""

import json
import os
import subprocess
import sys
import tempfile
import time

from gluon_tricks.errors import UserError
from gluon_tricks.files import ROOT


class Worker:
    """A measurement in a process of its own, which computes only when called.

    Parameters
    ----------
    name : str
        For messages.
    words : list
        The interpreter's arguments; the program calls `serve`.
    python : path
        Interpreter.
    env : dict, optional
        Environment variables to add; None removes one.

    Raises
    ------
    UserError
        If the process cannot start or ends early; the message has its last line.
    """

    def __init__(self, name, words, python=sys.executable, env=None):
        environ = {**os.environ, **(env or {})}
        self.name, self._errors = name, tempfile.TemporaryFile("w+")          # noqa: SIM115  closed with the process
        self._process = subprocess.Popen([str(python), *map(str, words)], cwd=ROOT, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                                         env={key: value for key, value in environ.items()
                                              if value is not None})
        self.facts = self._answer()        # the program's description of itself, before its first turn
        self.told = []                     # of each turn: rate, cpu_ms (of all threads, per image), and more

    def __call__(self):
        self.told.append(self.ask("go"))
        return self.told[-1]["rate"]

    def ask(self, line):
        """Send a line to the program; returns its answer, a JSON object."""
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass                           # _answer raises with the reason
        return self._answer()

    def _answer(self):
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        code = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().strip().splitlines()[-1:] or ["it said nothing"]
        raise UserError(f"{self.name} ended with code {code}: {last[0]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve(work, more=dict, **facts):
    """The program's side of a `Worker`: print `facts`, then work once for each input line.

    Parameters
    ----------
    work : callable () -> number of images
        Returns when they are done.
    more : callable () -> dict
        Numbers to print with the rate.
    """
    print(json.dumps(facts), flush=True)
    for _ in sys.stdin:
        start, used = time.perf_counter(), time.process_time()
        images = work()
        told = {"rate": images / (time.perf_counter() - start),
                "cpu_ms": 1000 * (time.process_time() - used) / images}
        print(json.dumps({**told, **more()}), flush=True)
