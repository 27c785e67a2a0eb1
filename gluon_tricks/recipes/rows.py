"""A row of a table: the paper's words, the flags of its run, the paper's figures.

Flags are a dict of names as in the script's arguments. `stack` builds a table whose rows are each the
difference from the row above; `words` turns flags into the words of a command line, in the order of GluonCV's
published commands.
"""

import shlex
from dataclasses import dataclass
from typing import NamedTuple, Optional

from gluon_tricks.recipes.flags import FLAGS


class Figures(NamedTuple):
    """Accuracies in percent, as text exactly as printed; "" where none is given."""

    top1: str = ""
    top5: str = ""

    def __str__(self):
        return " / ".join(filter(None, self)) or "none"


@dataclass(frozen=True)
class Row:
    """A cell of a table with its recipe.

    Attributes
    ----------
    number : int
        Counted over the whole table, columns of a row together, from 1.
    name, column : str
        The paper's words; `column` is "" where the table has one.
    flags : dict or None
        None where the paper quotes a figure from elsewhere.
    paper : Figures
    extra : str
        The rest of that cell in the paper.
    script : str
    """

    number: int
    name: str
    column: str
    flags: Optional[dict]
    paper: Figures
    extra: str = ""
    script: str = "train_imagenet.py"

    @property
    def title(self):
        return f"{self.name}, {self.column}" if self.column else self.name

    @property
    def names(self):
        """What a pattern may fit: the title, and the net if the row has a command."""
        return (self.title, self.flags["model"]) if self.flags else (self.title,)

    @property
    def command(self):
        """The row's command line; "" without flags."""
        return shlex.join(["python", self.script, *words(self.flags)]) if self.flags else ""


@dataclass(frozen=True)
class Table:
    """A table of the paper or a study; `notes` are sentences about its figures and commands.

    `number` is the paper's, or a study's name.
    """

    number: object
    title: str
    section: str
    rows: tuple
    notes: tuple = ()

    @property
    def heading(self):
        name = f"Table {self.number}" if isinstance(self.number, int) else self.number
        return f"{name}: {self.title} ({self.section})"


def shown(row):
    """The printed cell of a row: accuracies, then the rest."""
    return ", ".join(filter(None, (str(row.paper) if any(row.paper) else "", row.extra))) or "none"


def words(flags):
    """Flags as words of a command line, in the order of the table of flags.

    None is left out, and False too, except where the default is True (`--no-random-crop`).

    Raises
    ------
    KeyError
        If the table lacks a flag, so that none is lost.
    """
    unknown = set(flags) - set(FLAGS)
    if unknown:
        raise KeyError(f"the table of flags lacks {', '.join(sorted(unknown))}")
    found = []
    for name, known in FLAGS.items():
        value = flags.get(name)
        if value is False and known.default is True:
            found.append(f"--no-{name.replace('_', '-')}")
        if value is None or value is False:
            continue
        found.append(known.word or f"--{name.replace('_', '-')}")
        if value is not True:
            found += [str(each) for each in value] if isinstance(value, list) else [str(value)]
    return found


def figures(text):
    """`"76.21 92.97"` as Figures."""
    return Figures(*text.split())


def stack(number, title, section, columns, steps, notes=(), script="train_imagenet.py"):
    """A table whose rows add up.

    Parameters
    ----------
    columns : dict
        Name of a column -> flags of its first row.
    steps : list of (name, change, figures of the first column, of the second, ...)
        `change` are the flags that differ from the row above, in every column.

    Returns
    -------
    Table
    """
    rows, now = [], {column: dict(flags) for column, flags in columns.items()}
    for name, change, *printed in steps:
        for column, text in zip(now, printed):
            now[column].update(change)
            rows.append(Row(len(rows) + 1, name, column, dict(now[column]), figures(text), "", script))
    return Table(number, title, section, tuple(rows), tuple(notes))


def listed(number, title, section, entries, notes=(), script="train_imagenet.py"):
    """A table of independent rows: `entries` are (name, column, flags, figures[, extra])."""
    rows = tuple(Row(i, name, column, flags, figures(text), *extra, *([] if extra else [""]), script)
                 for i, (name, column, flags, text, *extra) in enumerate(entries, start=1))
    return Table(number, title, section, rows, tuple(notes))
