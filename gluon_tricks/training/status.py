"""What standard error shows while a command works: one line on a terminal, and a line for each case of a long
command.

    progress_bar     a count of images, files or batches, with rate and remaining time; on a terminal only
    TrainingLine     the line of a training; on a terminal only
    Cases            which of several cases is running, and how long all of them will take
    show_table       the opening of a run in words; on a terminal only

Nothing of it goes into a log. There are no colours, so NO_COLOR has nothing to switch off.
"""

import os
import sys
import time

from tqdm import tqdm

from gluon_tricks.errors import is_worker

WORDS = 12                   # width of the first column of a table


def on_terminal(stream=None):
    """Whether standard error (or another stream) is a terminal on which a line can be written again."""
    stream = stream or sys.stderr
    return bool(getattr(stream, "isatty", lambda: False)()) and os.environ.get("TERM") != "dumb"


def progress_bar(total, description, unit, initial=0):
    """tqdm's bar, without a total if `total` is 0 or None; bytes (unit "B") are shown as kB, MB, GB."""
    return tqdm(total=total or None, unit=unit, desc=description, initial=initial,
                unit_scale=unit == "B", dynamic_ncols=True, disable=not on_terminal())


def announce(sentence, everywhere=False):
    """Print what is being prepared, on a terminal or `everywhere`; one of several processes prints
    nothing."""
    if (everywhere or on_terminal()) and not is_worker(os.environ):
        print(sentence, file=sys.stderr, flush=True)


def show_table(rows):
    """Print rows of (word, sentence), on a terminal."""
    if on_terminal():
        for word, sentence in rows:
            tqdm.write(f"{word:<{WORDS}} {sentence}", file=sys.stderr)


def duration(seconds):
    """`52 s`, `12 min 4 s`, `2 h 54 min` or `3 d 4 h`."""
    seconds = int(seconds)
    for large, small, size, parts in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if seconds >= size:
            return f"{seconds // size} {large} {seconds % size // parts} {small}"
    return f"{seconds} s"


class _Rate:
    """Seconds per unit of work since the first `done`, which starts the clock: it has compiled and read
    ahead."""

    def __init__(self):
        self._start = self._first = None

    def done(self, amount):
        if self._start is None:
            self._start, self._first = time.monotonic(), amount

    def seconds_per_unit(self, amount):
        """None until a second amount is done."""
        if self._start is None or amount <= self._first:
            return None
        return (time.monotonic() - self._start) / (amount - self._first)


class TrainingLine:
    """The status line of a training.

        epoch 3 of 200, update 120 of 391, 1,234 images/s, loss 1.842; left: epoch 52 s, run 2 h 54 min

    Parameters
    ----------
    progress : Progress
        Of the run; read at each update.
    batches_in : callable, epoch -> number of updates
    num_epochs : int
    global_batch_size : int
    shown : bool
        False in processes that do not write.
    """

    def __init__(self, progress, batches_in, num_epochs, global_batch_size, shown=True):
        self.progress, self.batches_in, self.num_epochs = progress, batches_in, num_epochs
        self.global_batch_size = global_batch_size
        self._total = sum(map(batches_in, range(num_epochs)))
        self._run = _Rate()
        self._bar = tqdm(bar_format="{desc}", leave=False, dynamic_ncols=True,
                         disable=not (shown and on_terminal()))
        self.begin_epoch()

    def begin_epoch(self):
        self._epoch = _Rate()
        self.phase("before its first update (reading images, compiling)")

    def phase(self, words):
        """Show what is done between updates, such as `validation`."""
        left = self._left(self._run, self.progress.num_update, self._total)
        self._bar.set_description_str(f"{self._place()}, {words}" + (f"; left: run {left}" if left else ""))

    def update(self, loss=None):
        """Show the state after an update. `loss` is the average over the epoch's images so far."""
        progress, updates = self.progress, self.batches_in(self.progress.epoch)
        self._run.done(progress.num_update)
        self._epoch.done(progress.batch)
        pace = self._epoch.seconds_per_unit(progress.batch)
        words = [self._place(), f"update {progress.batch:,} of {updates:,}"]
        if pace:
            words.append(f"{self.global_batch_size / pace:,.0f} images/s")
        if loss is not None:
            words.append(f"loss {loss:.3f}")
        times = [f"{name} {left}" for name, left in (
            ("epoch", self._left(self._epoch, progress.batch, updates)),
            ("run", self._left(self._run, progress.num_update, self._total))) if left]
        line = ", ".join(words) + (f"; left: {', '.join(times)}" if times else "")
        self._bar.set_description_str(line, refresh=False)
        self._bar.update()             # drawn at most ten times a second

    def close(self):
        self._bar.close()

    def _place(self):
        return f"epoch {self.progress.epoch + 1} of {self.num_epochs}"

    @staticmethod
    def _left(rate, done, total):
        pace = rate.seconds_per_unit(done)
        return duration(pace * max(0, total - done)) if pace else ""


class Cases:
    """Show on standard error which of several cases is running, and how long all of them will take.

        run 2 of 8: + cosine decay; about 12 min 4 s left

    On a terminal the line stays in place; elsewhere each case prints it once.

    Parameters
    ----------
    amounts : list of numbers
        The work in each case, in any unit.
    what : str
        What is counted, such as `run`.
    """

    def __init__(self, amounts, what):
        self._amounts, self._what, self._number, self._name = list(amounts), what, 0, ""
        self._left, self._worked, self._start = sum(self._amounts), 0, time.monotonic()
        self._before = self._in_case = 0
        self._bar = tqdm(bar_format="{desc}", leave=False, dynamic_ncols=True, disable=not on_terminal())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    def begin(self, name, before=0):
        """Show the next case. `before` is the part of its work that was done before this command."""
        self._number, self._name, self._before = self._number + 1, name, before
        self._left -= before
        if not self._bar.disable:
            self._bar.set_description_str(self._line())
        elif before < self._amounts[self._number - 1]:
            announce(self._line(), everywhere=True)

    def advance(self, done):
        """Note how much of the case is done."""
        self._in_case = max(0, done - self._before)
        if not self._bar.disable:
            self._bar.set_description_str(self._line())

    def end(self):
        now = self._amounts[self._number - 1] - self._before
        self._left, self._worked, self._in_case = self._left - now, self._worked + now, 0

    def _line(self):
        line = f"{self._what} {self._number} of {len(self._amounts)}: {self._name}"
        worked = self._worked + self._in_case
        if not worked:
            return line
        seconds = (time.monotonic() - self._start) / worked * (self._left - self._in_case)
        return f"{line}; about {duration(seconds)} left"
