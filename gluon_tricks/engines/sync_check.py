"""Check that all processes run the same code with the same flags and data, and have the same parameters."""

import hashlib
import os
import sys
import zlib
from collections import Counter
from pathlib import Path

import mxnet as mx
import numpy as np

from gluon_tricks.errors import UserError
from gluon_tricks.files import PACKAGE
from gluon_tricks.parameters import is_statistic, named_parameters
from gluon_tricks.recipes.flags import INPUT_FILES, OWN_TO_A_PROCESS


class OutOfSync(Exception):
    """Parameters differ between processes."""


def check_in_sync(net, engine, num_update):
    """Compare checksums of all parameters over the processes; every process must call it.

    BatchNorm's running statistics are local during training and are not compared.

    Raises
    ------
    OutOfSync
        On every process; names the ranks that differ from the majority.
    """
    if engine.world_size == 1:
        return
    names, sums = zip(*((name, zlib.crc32(np.ascontiguousarray(param.list_data()[0].asnumpy())))
                        for name, param in named_parameters(net).items() if not is_statistic(param)))
    table = engine.gather(sums)
    # of equally common ones, that of the lowest rank
    common = Counter(map(tuple, table)).most_common(1)[0][0]
    differing = [rank for rank, row in enumerate(table) if tuple(row) != common]
    if differing:
        name = names[int(np.flatnonzero(table[differing[0]] != common)[0])]
        raise OutOfSync(f"rank {', '.join(map(str, differing))}: parameters differ from the other ranks' "
                        f"after update {num_update}, first in {name}; numbers are corrupted on the way, or "
                        f"programs differ")


# --- Code, flags and data -----------------------------------------------------------------------------------

LETTERS = 60                 # of a value in the message
PIECE = 1 << 20              # bytes of a large file that are hashed at its start, middle and end
LOOKED_AT = 1000             # images of class folders whose size is compared


def check_same_facts(facts, train_data, engine):
    """Compare code, flags and data over the processes, before the first update; every process must call it.

    Parameters
    ----------
    facts : dict
        Those of the run, with the flags in `args`.
    train_data : loader

    Raises
    ------
    UserError
        On every process; names what differs, and the values of all ranks.
    """
    if engine.world_size == 1:
        return
    facts = {**_shared(facts), **_folder_facts(train_data)}
    _compare({**_code_facts(), "names of flags and facts": sorted(facts)}, engine)
    _compare(facts, engine)


def _compare(values, engine):
    table = engine.gather([_digits(value) for value in values.values()])
    differing = [name for name, column in zip(values, table.T) if (column != column[0]).any()]
    if differing:
        name = differing[0]
        each = "; ".join(f"rank {rank}: {text}" for rank, text in enumerate(_texts(values[name], engine)))
        raise UserError(f"the processes differ in {', '.join(differing)} ({name} of {each}); start all "
                        f"of them with the same flags, data and code")


def _digits(value):
    """48 bits of a value's hash: a number that every engine's `sum` passes on exactly."""
    return int(hashlib.sha256(repr(value).encode()).hexdigest()[:12], 16)


def _texts(value, engine):
    """The value of each rank as text, at most LETTERS bytes of it."""
    row = np.zeros(LETTERS)
    text = str(value).encode(errors="backslashreplace")[:LETTERS]
    row[:len(text)] = list(text)
    return [bytes(other.astype(np.uint8)).rstrip(b"\0").decode(errors="replace")
            for other in engine.gather(row)]


def _code_facts():
    sources = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        sources.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return {"script": (Path(sys.argv[0]).name, file_digest(sys.argv[0])), "MXNet": mx.__version__,
            "sources of gluon_tricks": sources.hexdigest()}


def _shared(facts):
    """Flags and facts in which all processes must agree; files that are read, by their content."""
    flags = {f"--{name.replace('_', '-')}": file_digest(value) if name in INPUT_FILES else value
             for name, value in facts["args"].items() if name not in OWN_TO_A_PROCESS}
    if flags.get("--teacher"):
        name, _, path = str(flags["--teacher"]).partition(":")
        flags["--teacher"] = name, file_digest(path)
    return {**flags, **{name: value for name, value in facts.items() if name not in ("args", "threads")}}


def _folder_facts(train_data):
    """Names and labels of images in class folders, which have no manifest; sizes of some of them."""
    files = getattr(getattr(train_data, "images", None), "files", ())
    names = hashlib.sha256()
    for path, label in files:
        names.update(f"{path.parent.name}/{path.name} {label}\n".encode(errors="backslashreplace"))
    sizes = [path.stat().st_size for path, _ in files[::max(1, len(files) // LOOKED_AT)]]
    return {"images": (train_data.records, names.hexdigest(), sizes)}


def file_digest(path):
    """Size and hash of a file's start, middle and end, as text; "" for a path that is no file."""
    path = Path(path or "").expanduser()
    if not path.is_file():
        return ""
    with open(path, "rb") as stream:
        size, digest = os.fstat(stream.fileno()).st_size, hashlib.sha256()
        for start in (0, max(0, size // 2 - PIECE // 2), max(0, size - PIECE)):
            stream.seek(start)
            digest.update(stream.read(PIECE))
    return f"{size} bytes, {digest.hexdigest()[:16]}"
