"""Signals while other processes work for this one."""

import signal
from contextlib import contextmanager


@contextmanager
def handled_by(handler, *numbers):
    """Within the block these signals call `handler(number, frame)`; those that are ignored, as by nohup, stay ignored."""
    earlier = {number: signal.signal(number, handler) for number in numbers
               if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)
