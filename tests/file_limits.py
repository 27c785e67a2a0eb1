"""A limit on the size of files: the system then refuses writes as a full disk does."""

import contextlib
import resource


@contextlib.contextmanager
def files_of_at_most(size):
    """Within the block this process cannot write more bytes to a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
