"""Measure sides in turn, and report the result.

A side is a callable without arguments that works for a while and returns its images per second. It works in
this process or, as a `Worker`, in its own: oneDNN's instruction set and MXNet's AMP are chosen once per
process.
"""

import json
import platform
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gluon_tricks.errors import UserError
from gluon_tricks.files import atomic_write
from gluon_tricks.machine import environment
from gluon_tricks.studies.text import markdown_table
from gluon_tricks.training.status import Cases

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
        """The ratio of two sides, taken within each round."""
        return Spread.of([ours / theirs for ours, theirs in zip(self.rates[side], self.rates[base])])


def paired(sides, rounds=LEAST_ROUNDS, warm_up=1, what=""):
    """Let all sides work in turn, `rounds` times, in reversed order in every other round.

    Parameters
    ----------
    sides : dict, name -> callable () -> images per second
    rounds : int
    warm_up : int
        Rounds before these that are not measured: they compile, fill caches and map memory.
    what : str
        What is measured, for the lines on standard error.

    Returns
    -------
    Measured
    """
    rates = {name: [] for name in sides}
    with Cases([1] * (warm_up + rounds) * len(sides), f"{what}, turn" if what else "turn") as cases:
        for number in range(warm_up + rounds):
            for name in list(sides) if number % 2 == 0 else reversed(sides):
                cases.begin(name if number >= warm_up else f"{name}, warm-up")
                rate = sides[name]()
                if number >= warm_up:
                    rates[name].append(rate)
                cases.end()
    return Measured(rates)


def processor_times(workers, rounds):
    """Processor milliseconds per image of each `Worker` in the last `rounds` turns, as a `Measured`."""
    return Measured(
        {side: [turn["cpu_ms"] for turn in worker.told[-rounds:]] for side, worker in workers.items()})


def machine_line(**versions):
    """Processor, threads, versions and commit, in one line."""
    facts = environment()
    known = {name: facts["versions"][name] for name in ("mxnet", "gluoncv") if name in facts["versions"]}
    named = ", ".join(f"{name} {version}" for name, version in {**known, **versions}.items() if version)
    return (f"{facts['processor']}, {facts['cpus']} cores, {facts['threads']} operator threads; "
            f"Python {platform.python_version()}, {named}; commit {(facts['commit'] or 'unknown')[:12]}")


def table(header, rows):
    """A Markdown table."""
    return "\n".join(markdown_table(header, rows))


def write_report(out, name, text, **numbers):
    """Print the report; write `NAME.md` and `NAME.json` to the folder `out` unless it is None.

    The JSON has `numbers`, the machine and versions.
    """
    print(text)
    if out is None:
        return
    folder = Path(out).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / f"{name}.md", text + "\n")
    atomic_write(folder / f"{name}.json", json.dumps({**numbers, **environment()}, indent=1) + "\n")


def at_least_a_batch(images, batch_size):
    """Refuse fewer images than a batch has."""
    if images < batch_size:
        raise UserError(f"--images {images}: must be at least {batch_size}, the batch size")


def at_least_rounds(rounds):
    """Refuse too few rounds for a median."""
    if rounds < LEAST_ROUNDS:
        raise UserError(f"--rounds {rounds}: at least {LEAST_ROUNDS}, for a useful median")
