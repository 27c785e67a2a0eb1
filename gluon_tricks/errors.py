"""One kind of error for what a user can mend."""

import os
import sys
import traceback


class UserError(ValueError):
    """Something a user typed or supplied is unusable.

    The message names the flag or file, the value, and the remedy. Scripts print it on one line and exit with 2.
    """


def run_main(main, prog=None):
    """Call `main()` as a script's entry point: a `UserError` becomes one sentence and exit code 2.

    Parameters
    ----------
    main : callable
        Takes no arguments; returns an exit code or None.
    prog : str
        Name to print before the sentence; by default the script's own name.
    """
    code = 0
    try:
        code = main()
        sys.stdout.flush()
    except UserError as error:
        name = prog or sys.argv[0].rsplit("/", 1)[-1]
        print(f"{name}: error: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:            # the reader of our output (head, less) is gone; what is left to say goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception:
        if not is_worker(os.environ):
            raise
        traceback.print_exc()
        code = 1
    if code and is_worker(os.environ):     # an orderly exit of one process would wait for the others in MXNet's destructors
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def is_worker(environ):
    """Whether a launcher started this process as one of several."""
    return environ.get("DMLC_ROLE") == "worker" or "HOROVOD_RANK" in environ or "OMPI_COMM_WORLD_RANK" in environ
