"""A server or the scheduler of ps-lite, started by `launch`: `python -m gluon_tricks.launching.server ROLE`.

MXNet's own server starts inside `import mxnet`, when DMLC_ROLE says so. Command 0 brings it an optimizer as
a pickle, and unpickling runs any code that the sender has put there. ps-lite does not know who sends. The
workers of this kit update their own parameters and send no optimizer, so this server refuses the command
before it unpickles anything. Command 0 is the only one that reaches Python; C++ handles the others.

This process loads MXNet's library without its Python package, whose import takes more than a second and half
of the memory.
"""

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from gluon_tricks.engines.launcher import files_of_the_owner

CONTROLLER = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
REFUSAL = ("error: refused kvstore command {}, which brings an optimizer as a pickle: launch's servers only "
           "add, and unpickle nothing; create the Trainer with update_on_kvstore=False")


def serve(role):
    """Serve until the last worker has ended.

    Parameters
    ----------
    role : "server" or "scheduler"

    Raises
    ------
    RuntimeError
        If MXNet reports an error.
    """
    os.environ["DMLC_ROLE"] = role
    library = mxnet_library()
    store = ctypes.c_void_p()
    call(library, library.MXKVStoreCreate, b"dist", ctypes.byref(store))
    with files_of_the_owner():
        call(library, library.MXKVStoreRunServer, store, CONTROLLER(refuse), None)
    call(library, library.MXKVStoreFree, store)
    call(library, library.MXNotifyShutdown)


def mxnet_library():
    """MXNet's library, from where its Python package would load it."""
    path = os.environ.get("MXNET_LIBRARY_PATH") or Path(find_spec("mxnet").origin).with_name("libmxnet.so")
    library = ctypes.CDLL(str(path))
    library.MXGetLastError.restype = ctypes.c_char_p
    return library


def call(library, function, *arguments):
    """Call a function of the library; RuntimeError with its message if it fails."""
    if function(*arguments):
        raise RuntimeError(library.MXGetLastError().decode(errors="replace"))


def refuse(command, body, handle):
    """End this process, and thereby the job: without its optimizer the sender would train a wrong net."""
    print(REFUSAL.format(command), file=sys.stderr, flush=True)
    os._exit(2)            # called from C++, which passes no exception on


if __name__ == "__main__":
    serve(sys.argv[1])
