"""The error for everything that a user can correct, and the exit codes of scripts."""

import os
import sys
import traceback


class UserError(ValueError):
    """A user's input is unusable.

    The message names the flag or file, the value, and the remedy. Scripts print it on one line and exit with
    code 2.
    """


def run_main(main, prog=None):
    """Call `main()` as a script's entry point, and exit; a `UserError` becomes one line and exit code 2.

    Parameters
    ----------
    main : callable
        Takes no arguments; returns an exit code or None.
    prog : str
        Name printed before the message; by default the script's file name.
    """
    code = 0
    try:
        code = main()
        sys.stdout.flush()
    except UserError as error:
        name = prog or sys.argv[0].rsplit("/", 1)[-1]
        print(f"{name}: error: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:            # the reader of our output (head, less) is gone; discard the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception:
        if not is_worker(os.environ):
            raise
        traceback.print_exc()
        code = 1
    if code and is_worker(os.environ):     # a normal exit would wait for the others in MXNet's destructors
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def printable(text, keep=""):
    """Text from a file or another program, safe for terminals and reports: other characters as escapes.

    Line breaks, escape codes and marks that change the direction of writing become `\\n`, `\\x1b`, `\\u202e`.

    Parameters
    ----------
    text : str
    keep : str
        Characters to leave as they are.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else one.encode("unicode_escape").decode()
                   for one in text)


def is_worker(environ):
    """Whether a launcher started this process as one of several."""
    horovod = "HOROVOD_RANK" in environ or "OMPI_COMM_WORLD_RANK" in environ
    return horovod or environ.get("DMLC_ROLE") == "worker"
