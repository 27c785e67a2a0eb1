"""The lines of a log file as text: in any common encoding, without colours and prefixes of other programs.

Schedulers, containers and loggers put their own words before each line:

    2026-11-28 06:54:49,123 INFO [Epoch 0] train=0.467608 ...          logging, with a format of the user's
    [2026-11-28T06:54:49Z] INFO:root:[Epoch 0] ...                     GitHub, Kubernetes
    Nov 28 06:54:49 node1 python[331]: [Epoch 0] ...                   syslog, journalctl, ts
    worker-1  | [Epoch 0] ...                                          docker compose
    3: [Epoch 0] ...     [1,0]<stderr>:[Epoch 0] ...     [0] [Epoch 0] ...     srun, mpirun, `launch`
"""

import re
from pathlib import Path

from gluon_tricks.errors import UserError, printable

LONGEST = 1_000_000           # characters; the rest of a longer line counts as another line
ESCAPE_CODES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
                          r"|\x1b[ -/]*[0-~]")

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = rf"\d{{4}}[-/.]\d\d[-/.]\d\d|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\ )?{_MONTH}\ [ \d]\d"
_TIME = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|\ ?[-+]\d\d:?\d\d|\ UTC)?(?:\ \d{4})?"
PREFIX = re.compile(rf"""(?:(?:
    \[\d+,\d+\]<std(?:err|out)>:                                       # mpirun
  | [\[(]?(?:{_DATE})[T_ ,]*[\])]?                                     # date
  | [\[(]?{_TIME}[\])]?(?:\ [\w.-]+\ [\w./-]+\[\d+\]:)?                # time; of syslog with host and process
  | \[\ *\d+\.\d+\]                                                    # seconds since the start
  | \[(?:rank\ ?)?\d{{1,6}}\] | (?:rank\ )?\d{{1,6}}:(?=\ )            # rank
  | [A-Za-z][\w.-]*\ +\|(?=\ )                                         # container
  | std(?:err|out)\ [FP](?=\ )                                         # Kubernetes
  | [\[(<]?(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL)[\])>]?(?=[\s:|,-])
  | [\[(]?root[\])]?(?=[\s:|,-])                                       # name of the logger
  )[\s:|,-]*){{0,9}}""", re.VERBOSE)


def without_prefix(text):
    """A line without the words that other programs put before it, and without blanks at either end."""
    return text[PREFIX.match(text).end():].strip()


def lines_of(path):
    """Yield (line number, text, whether it ends with a newline) of a log.

    Texts hold no control characters but tabs: colours and other escape codes are left out, the rest is
    escaped.

    Raises
    ------
    UserError
        If the file cannot be read or is not text.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            what = "a directory; give the .log file in it" if path.is_dir() else "no file; give a .log file"
            raise UserError(f"{path}: {what}")
        with open(path, encoding=_encoding(path), errors="replace") as stream:
            for number, text in enumerate(iter(lambda: stream.readline(LONGEST), ""), start=1):
                yield number, _clean(text.rstrip("\n")), text.endswith("\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give the .log file of a run") from None


def _clean(text):
    if text.replace("\t", "").isprintable():             # nearly all lines
        return text
    return printable(ESCAPE_CODES.sub("", text), keep="\t")


def _encoding(path):
    """The encoding of a text file, by its byte order mark."""
    with open(path, "rb") as stream:
        start = stream.read(4096)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):       # as PowerShell writes
        return "utf-16"
    if b"\0" in start:
        raise UserError(f"{path}: not a text file; give the .log file of a run")
    return "utf-8-sig"
