"""The error for everything that a user can correct, the end of every program, and its exit code.

    0    done; `compare`: inside the band
    1    a negative answer (`compare`: outside the band), or a training that could not go on
    2    unusable input, or a system that refuses (disk full, no permission): one sentence
    3    internal error, a mistake of this kit: one line; with GLUON_TRICKS_DEBUG=1 also the traceback
    130  interrupted by Ctrl-C
"""

import os
import sys
import traceback
from pathlib import Path

DEBUG = "GLUON_TRICKS_DEBUG"       # environment variable: print the traceback of every error
REFUSED, INTERNAL, INTERRUPTED = 2, 3, 130


class UserError(ValueError):
    """A user's input is unusable.

    The message names the flag or file, the value, and the remedy. Scripts print it on one line and exit with
    code 2.
    """


def run_main(main, prog=None):
    """Call `main()` as a script's entry point, and exit; every error becomes a sentence and an exit code.

    Parameters
    ----------
    main : callable
        Takes no arguments; returns an exit code or None.
    prog : str
        Name printed before the message; by default the script's file name.
    """
    _open_standard_streams()
    code = 0
    try:
        code = main()
    except BrokenPipeError:            # the reader of our output (head, less) is gone; discard the rest
        _discard_output()
    except (Exception, KeyboardInterrupt) as error:
        code, sentence = _sentence_of(error)
        print(f"{prog or sys.argv[0].rsplit('/', 1)[-1]}: {printable(sentence)}", file=sys.stderr)
        if code == INTERNAL and not is_worker(os.environ):     # a worker may only have noticed another's end
            print(f"This is a mistake of gluon_tricks. Please report it as an issue of its repository, with "
                  f"the command, its output and what `python -m gluon_tricks doctor` prints; {DEBUG}=1 also "
                  "prints the traceback.", file=sys.stderr)
        if os.environ.get(DEBUG):
            traceback.print_exc()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OSError as error:           # its disk is full
        code = code or REFUSED
        print(f"error: the output cannot be written ({error.strerror})", file=sys.stderr)
        _discard_output()
    if code and is_worker(os.environ):     # a normal exit would wait for the others in MXNet's destructors
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _sentence_of(error):
    """(exit code, sentence) of an error that ends a program."""
    if isinstance(error, UserError):
        return REFUSED, f"error: {error}"
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, OSError) and error.strerror:
        place = "".join(f"{name}: " for name in (error.filename, error.filename2) if name is not None)
        return REFUSED, f"error: {place}{error.strerror}"
    if isinstance(error, MemoryError):
        return REFUSED, f"error: not enough memory{f' ({error})' if str(error) else ''}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return INTERNAL, (f"internal error: {type(error).__name__}: {reason_of(error)} "
                      f"({Path(last.filename).name}:{last.lineno})")


def reason_of(error):
    """The line of an error's message that names its reason: the first one; of MXNet's tracebacks the last."""
    lines = str(error).strip().splitlines() or ["no message"]
    if not lines[0].startswith("Traceback"):
        return lines[0]
    return lines[-1].strip().rpartition("Error: ")[2]


def _open_standard_streams():
    """Open /dev/null for each closed standard stream: the next file would get its number, and what MXNet
    prints.

    Characters that the terminal's encoding lacks are printed as escapes.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", closefd=False))    # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_output():
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
