"""The commands that GluonCV published with its logs, and the equal commands of today.

`logs/published/commands.json` holds 80 of them as flags: 78 of classification, with five that have no log,
and two of detection. Today's command has GluonCV's own flags, and in addition

    --lr-formula logs     where the log was made before 2019-03-12, so that every rate is the printed one
    --crop-ratio          where the script of that time resized validation images to 256 whatever their crop
    --mixup               train_mixup_cifar10.py is train_cifar.py with this flag
    --flags horovod       train_horovod.py is train_imagenet.py with this flag, in as many processes
    --batch-size          train_faster_rcnn.py took an image for each GPU then, and takes one now

Paths of records, which are those of the authors' machines, are left out: the defaults are GluonCV's. Images
are read by this kit's loader; `--data-backend mxnet` is the iterator that made the published logs.
"""

import json
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Optional

from gluon_tricks.errors import UserError
from gluon_tricks.program import there_are
from gluon_tricks.published.catalogue import FOLDER, catalogue
from gluon_tricks.published.transfer import published_transfer

SCRIPTS = {  # GluonCV's script -> ours, and the flags that make it that one
    "train_imagenet.py": ("train_imagenet.py", []),
    "train_cifar10.py": ("train_cifar.py", []),
    "train_mixup_cifar10.py": ("train_cifar.py", ["--mixup"]),
    "train_horovod.py": ("train_imagenet.py", ["--flags", "horovod"]),
    "train_faster_rcnn.py": ("train_faster_rcnn.py", []),
}
RECORD_PATHS = ("--rec-train", "--rec-train-idx", "--rec-val", "--rec-val-idx")


@dataclass(frozen=True)
class PublishedCommand:
    """A command as published: `before` are the words up to the script, `flags` maps a flag to its text, or to
    True."""

    name: str
    file: str
    before: list
    flags: dict
    log: Optional[str]             # the entry made with it, of the catalogue or of transfer.json
    lr_formula: Optional[str]      # under which every rate of that log comes out as printed

    @property
    def script(self):
        """GluonCV's script."""
        return Path(self.before[-1]).name

    @property
    def workers(self):
        """Processes that horovodrun was to start; 1 where it was not used."""
        return int(self.before[self.before.index("-np") + 1]) if "-np" in self.before else 1

    @property
    def words(self):
        return [*self.before, *_words(self.flags)]

    @property
    def notes(self):
        """Sentences on the defects of the log, from its entry."""
        return list(self._defects.values())

    @property
    def _defects(self):
        if self.log in published_transfer():
            return published_transfer()[self.log]["flags"]
        return catalogue()[self.log].flags if self.log else {}

    @property
    def today(self):
        """The equal command of this kit, as words that begin with the script."""
        script, extra = SCRIPTS[self.script]
        flags = {flag: value for flag, value in self.flags.items() if flag not in RECORD_PATHS}
        if self.lr_formula and self.lr_formula != "head" and self.workers == 1:
            flags["--lr-formula"] = self.lr_formula
        if "--gpus" in flags:
            flags.setdefault("--batch-size", str(len(flags["--gpus"].split(","))))
        if "validation-resize-256" in self._defects:
            flags["--crop-ratio"] = f"{int(flags['--input-size']) / 256:g}"
        return [script, *extra, *_words(flags)]

    @property
    def launcher(self):
        """The words that start the processes of `today`; none for a single process."""
        if self.workers == 1:
            return []
        return ["-m", "gluon_tricks", "launch", "-n", str(self.workers), "--engine", "horovod", "--"]

    @property
    def typed_today(self):
        """The words to type for the equal run with this kit."""
        return ["python", *self.launcher, *self.today]


def _words(flags):
    return [word for flag, value in flags.items() for word in ([flag] if value is True else [flag, value])]


@cache
def published_commands():
    """Name -> PublishedCommand, in alphabetical order."""
    path = FOLDER / "commands.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["commands"]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it from the repository or make "
                        f"it with data_prep/published_logs.py") from None
    return {entry["name"]: PublishedCommand(**entry) for entry in entries}


def published_command(name):
    """The command of that name; a `UserError` names the nearest ones."""
    commands = published_commands()
    if name not in commands:
        raise UserError(f"no published command is called {name!r}; "
                        + there_are(name, commands, "replay --list shows all of them"))
    return commands[name]


def command_of(log):
    """The command that made a published log."""
    return next(command for command in published_commands().values() if command.log == log)


def wrapped(words, width=115):
    """A command that a shell takes, over as many lines as it needs; a flag and its value stay together."""
    parts = []
    for word in map(shlex.quote, words):
        if parts and parts[-1].startswith("-") and " " not in parts[-1] and not word.startswith("-"):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    lines = [""]
    for part in parts:
        if len(lines[-1]) + 1 + len(part) > width:
            lines.append("   ")
        lines[-1] += f" {part}"
    return " \\\n".join(lines)[1:]
