"""Temporary signal handlers."""

import signal
from contextlib import contextmanager


@contextmanager
def handled_by(handler, *numbers):
    """Within the block these signals call `handler(number, frame)`."""
    earlier = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)


def not_ignored(*numbers):
    """Those of the signals that this process does not ignore: nohup has SIGHUP ignored, a shell's &
    SIGINT."""
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
