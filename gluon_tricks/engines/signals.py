"""Temporary signal handlers."""

import contextlib
import ctypes
import os
import signal
from contextlib import contextmanager

_LIBC = ctypes.CDLL(None)


@contextmanager
def handled_by(handler, *numbers):
    """Within the block these signals call `handler(number, frame)`."""
    earlier = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)


@contextmanager
def handled_once(handler, *numbers):
    """Within the block the first of these signals calls `handler(number, frame)`; a second ends the process.

    With glibc the same signal ends the process a second time even if Python cannot call the handler, because
    the process hangs in a function of C: the kernel itself resets the signal's action after the first time.
    """
    def first(number, frame):
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        handler(number, frame)

    with handled_by(first, *numbers):
        if hasattr(_LIBC, "sysv_signal"):
            for number in numbers:
                _reset_after_first(number)
        yield


def _reset_after_first(number):
    """Install the present C handler of a signal again, for one time."""
    install = _LIBC.sysv_signal
    install.argtypes, install.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    install(number, install(number, None))


def print_at_once(sentence):
    """Print a line on stderr from a signal handler, which may have interrupted another print."""
    with contextlib.suppress(OSError):
        os.write(2, f"{sentence}\n".encode())


def not_ignored(*numbers):
    """Those of the signals that this process does not ignore: nohup has SIGHUP ignored, a shell's &
    SIGINT."""
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
