"""Follow runs that have not ended, by their files."""

import sys
import time
from pathlib import Path

from gluon_tricks.errors import UserError
from gluon_tricks.log_lines.reading import NoEpoch

SUFFIXES = ".log", ".json", ".jsonl"


def follow(paths, update, pause_s=1.0):
    """Call `update` now and whenever files of the runs have changed, until it says so or Ctrl-C is pressed.

    Before the first epoch of a run has ended, it waits. Log and metrics of a run are written one after the
    other, so what does not fit together is an error only if it stays so until the next look.

    Parameters
    ----------
    paths : list of path
        Folders of runs, or logs.
    update : callable
        Takes no arguments; returns whether all runs are complete.
    pause_s : float
        Time between two looks at the files.
    """
    seen, refused, is_waiting = None, None, False
    try:
        while True:
            state = [state for path in paths for state in _state(Path(path))]
            if state != seen:
                seen = state
                try:
                    if update():
                        return
                except NoEpoch as reason:
                    if not is_waiting:
                        print(f"waiting: {reason}", file=sys.stderr)
                    is_waiting = True
                except UserError:
                    if state == refused:
                        raise
                    seen, refused = None, state
            time.sleep(pause_s)
    except KeyboardInterrupt:
        print("no longer watched", file=sys.stderr)


def _state(path):
    """Yield name, size and time of a run's files: a log and its folder, or a folder and its log."""
    folder = path if path.is_dir() else path.with_suffix("")
    files = [path.with_name(f"{path.name}.log") if path.is_dir() else path]
    files += sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        if file.suffix in SUFFIXES or file == path:
            try:
                status = file.stat()
            except OSError:                # it is only begun, or replaced just now
                continue
            yield str(file), status.st_size, status.st_mtime_ns
