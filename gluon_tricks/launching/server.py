"""A server or the scheduler of ps-lite, started by `launch`: `python -m gluon_tricks.launching.server ROLE`.

MXNet's own server starts inside `import mxnet`, when DMLC_ROLE says so. Command 0 brings it an optimizer as
a pickle, and unpickling runs any code that the sender has put there. ps-lite does not know who sends. The
workers of this kit update their own parameters and send no optimizer, so this server refuses the command
before it unpickles anything. Command 0 is the only one that reaches Python; C++ handles the others.
"""

import ctypes
import os
import sys

from gluon_tricks.engines.launcher import files_of_the_owner

CONTROLLER = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
REFUSAL = ("error: refused kvstore command {}, which brings an optimizer as a pickle: launch's servers only "
           "add, and unpickle nothing; create the Trainer with update_on_kvstore=False")


def serve(role):
    """Serve until the last worker has ended.

    Parameters
    ----------
    role : "server" or "scheduler"
        Must not be in DMLC_ROLE yet, or MXNet's own server would start here.
    """
    os.environ.pop("DMLC_ROLE", None)
    import mxnet as mx
    from mxnet.base import _LIB, check_call

    os.environ["DMLC_ROLE"] = role
    store = mx.kv.create("dist")
    with files_of_the_owner():
        check_call(_LIB.MXKVStoreRunServer(store.handle, CONTROLLER(refuse), None))


def refuse(command, body, handle):
    """End this process, and thereby the job: without its optimizer the sender would train a wrong net."""
    print(REFUSAL.format(command), file=sys.stderr, flush=True)
    os._exit(2)            # called from C++, which passes no exception on


if __name__ == "__main__":
    serve(sys.argv[1])
