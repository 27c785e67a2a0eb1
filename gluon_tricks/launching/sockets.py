"""Addresses that a job listens on: numbers of Unix sockets, TCP ports."""

import os
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gluon_tricks.errors import UserError

LOOPBACK = "127.0.0.1"
FOLDER = Path("/tmp")        # where ps-lite makes its Unix sockets, with a number as name
ATTEMPTS = 100


@contextmanager
def socket_numbers(count):
    """Numbers for ps-lite's Unix sockets, this job's own until the block ends; then they are removed."""
    with ExitStack() as held:
        yield [held.enter_context(_socket_number()) for _ in range(count)]


@contextmanager
def _socket_number():
    """Hold a number twice: by a file, which ps-lite replaces, and by the TCP port, where nobody listens.

    Nobody else can make a socket of that name before ps-lite does. After ps-lite has removed its socket, the
    port still keeps other jobs from taking the number.
    """
    for _ in range(ATTEMPTS):
        with socket.socket() as port:
            port.bind((LOOPBACK, 0))
            number = port.getsockname()[1]
            path = FOLDER / str(number)
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, mode=0o600))
            except FileExistsError:                # of another job, perhaps a killed one
                continue
            except OSError as error:
                raise UserError(f"--engine dist_sync: {FOLDER} takes no sockets ({error.strerror}); make it "
                                f"writable, or use --engine horovod") from error
            try:
                yield number
            finally:
                path.unlink(missing_ok=True)
            return
    raise UserError(f"--engine dist_sync: no free number for a socket in {FOLDER} in {ATTEMPTS} attempts; "
                    f"remove the sockets there whose jobs have ended")


def free_port(address):
    """A TCP port of this machine's address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]
