"""Handlers of the log that keep the first error of writing in `failure`, instead of printing its traceback.

A run asks for it and stops: a log with gaps could be compared with a published one.
"""

import contextlib
import logging
import os
import sys

from tqdm import tqdm

from gluon_tricks.files import LineFile
from gluon_tricks.training.status import on_terminal

FILE_ONLY = "file_only"      # attribute of records that a terminal does not show


class FileLines(logging.Handler):
    """Write the log's lines to a file, each of them whole; none after one that failed."""
    failure = None

    def __init__(self, path, overwrite=False):
        super().__init__()
        self._lines = LineFile(path, overwrite)

    def emit(self, record):
        if not self.failure:
            try:
                self._lines.add(self.format(record))
            except OSError as error:
                self.failure = error

    def sync(self):
        """Wait until the lines are on the disk."""
        try:
            self._lines.sync()
        except OSError as error:
            self.failure = self.failure or error

    def close(self):
        with contextlib.suppress(OSError):           # `sync` has reported it
            self._lines.close()
        super().close()


class ConsoleLines(logging.StreamHandler):
    """Write the log's lines to stderr, above a status line.

    A terminal does not get records with `FILE_ONLY`; a pipe or file gets all of them, because `compare` reads
    what `tee` has kept.
    """
    failure = None

    def emit(self, record):
        hidden = getattr(record, FILE_ONLY, False) and on_terminal(self.stream)
        if not self.failure and not hidden:
            with tqdm.external_write_mode(self.stream):
                super().emit(record)

    def handleError(self, record):
        self.failure = sys.exc_info()[1]
        if isinstance(self.failure, OSError):
            self.failure = OSError(self.failure.errno, self.failure.strerror, "standard error")
        with contextlib.suppress(OSError, ValueError):       # what is left in the buffer goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


def sync(logger):
    """Wait until the lines of a logger's file are on the disk."""
    for handler in logger.handlers:
        if isinstance(handler, FileLines):
            handler.sync()


def failure_of(logger):
    """The first error of writing of a logger's handlers, or None."""
    return next((handler.failure for handler in logger.handlers if getattr(handler, "failure", None)), None)


def has_console(logger):
    """Whether INFO lines reach stderr."""
    return logger.isEnabledFor(logging.INFO) and any(isinstance(handler, ConsoleLines)
                                                     for handler in logger.handlers)
