"""Measuring sides in turn, and telling what came of it.

A side is a callable without arguments that works for a while and returns how many images per second it did. It may do so in
this process or, as a `Worker`, in one of its own: oneDNN's instruction set and MXNet's AMP are settled once per process.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_write
from gluon_tricks.run_record import environment

ROOT = Path(__file__).resolve().parents[2]
LEAST_ROUNDS = 5


class Spread(NamedTuple):
    """Median, least and greatest of several values."""
    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values):
        return cls(statistics.median(values), min(values), max(values))

    def show(self, digits):
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f} to {self.greatest:,.{digits}f})"


@dataclass
class Measured:
    """Images per second of each side, round by round."""
    rates: dict

    def rate(self, side):
        return Spread.of(self.rates[side])

    def ratio(self, side, base):
        """Of two sides, taken within each round."""
        return Spread.of([ours / theirs for ours, theirs in zip(self.rates[side], self.rates[base])])


def paired(sides, rounds=LEAST_ROUNDS, warm_up=1):
    """Let all sides work in turn, `rounds` times; every other round backwards.

    Parameters
    ----------
    sides : dict, name -> callable () -> images per second
    rounds : int
    warm_up : int
        Rounds before these, which do not count: they compile, fill caches and map memory.

    Returns
    -------
    Measured
    """
    rates = {name: [] for name in sides}
    with tqdm(total=(warm_up + rounds) * len(sides), unit="turn", disable=None, dynamic_ncols=True) as bar:
        for number in range(warm_up + rounds):
            for name in list(sides) if number % 2 == 0 else reversed(sides):
                bar.set_postfix_str(name)
                rate = sides[name]()
                if number >= warm_up:
                    rates[name].append(rate)
                bar.update()
    return Measured(rates)


class Worker:
    """A side in a process of its own, which computes only when it is its turn.

    Parameters
    ----------
    name : str
        For messages.
    words : list
        What the interpreter gets; the program calls `serve`.
    python : path
        Interpreter.
    env : dict, optional
        Environment variables to add; None removes one.

    Raises
    ------
    UserError
        If the process cannot start or work: its last line says why.
    """

    def __init__(self, name, words, python=sys.executable, env=None):
        environ = {**os.environ, **(env or {})}
        self.name, self._errors = name, tempfile.TemporaryFile("w+")          # noqa: SIM115  closed with the process
        self._process = subprocess.Popen([str(python), *map(str, words)], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=self._errors,
                                         env={key: value for key, value in environ.items() if value is not None})
        self.facts = self._answer()        # what the program told about itself before its first turn

        self.told = []                     # of each turn: rate, cpu_ms (of all threads, per image), and more

    def __call__(self):
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass                           # _answer says why
        self.told.append(self._answer())
        return self.told[-1]["rate"]

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
    """The program's end of a `Worker`: tell `facts`, then work whenever a line comes, until there are no more.

    Parameters
    ----------
    work : callable () -> number of images
        Returns when they are done.
    more : callable () -> dict
        What to tell with the rate.
    """
    print(json.dumps(facts), flush=True)
    for _ in sys.stdin:
        start, used = time.perf_counter(), time.process_time()
        images = work()
        told = {"rate": images / (time.perf_counter() - start), "cpu_ms": 1000 * (time.process_time() - used) / images}
        print(json.dumps({**told, **more()}), flush=True)


def machine_line(**versions):
    """One sentence on the machine."""
    facts = environment()
    known = {name: facts["versions"][name] for name in ("mxnet", "gluoncv") if name in facts["versions"]}
    named = ", ".join(f"{name} {version}" for name, version in {**known, **versions}.items() if version)
    return (f"{facts['processor']}, {facts['cpus']} cores, {facts['threads']} operator threads; "
            f"Python {platform.python_version()}, {named}; commit {(facts['commit'] or 'unknown')[:12]}")


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in lines)


def write_report(out, name, text, **numbers):
    """`NAME.md` and `NAME.json` in the folder `out`; nothing without a folder.

    The JSON has every single measurement beside the table, machine and versions.
    """
    print(text)
    if out is None:
        return
    folder = Path(out).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / f"{name}.md", text + "\n")
    atomic_write(folder / f"{name}.json", json.dumps({**numbers, **environment()}, indent=1) + "\n")


def at_least_rounds(rounds):
    """Refuse too few rounds to speak of a median."""
    if rounds < LEAST_ROUNDS:
        raise UserError(f"--rounds {rounds}: at least {LEAST_ROUNDS}, or the median says little")
