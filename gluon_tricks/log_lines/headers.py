"""The flags in a log's header or in run.json: checked, and safe to print."""

from gluon_tricks.errors import UserError, printable
from gluon_tricks.recipes.flags import PROCESSES, known_flag

TEXTS = ("model", "dataset", "teacher", "logging_file")        # without a default that is text


def checked_flags(flags, place):
    """A run's flags, with texts that are safe to print.

    Parameters
    ----------
    flags : dict
    place : str
        For the message: file and line.

    Returns
    -------
    dict

    Raises
    ------
    UserError
        If a number, switch or text is of another type, or a number is outside the limits of its flag.
    """
    for name, value in flags.items():
        wanted = None if value is None else _wanted(name, value)
        if wanted:
            raise UserError(f"{place}: {printable(f'{name}={value!r}'[:200])} {wanted}; no run writes this, "
                            "so the file is damaged or of another program")
    return safe(flags)


def _wanted(name, value):
    """What the value of a flag must be, if it is not so; else ""."""
    flag = known_flag(name)
    limits = PROCESSES if name == "world_size" else flag.limits
    if limits:
        return limits.complaint(value)
    if isinstance(flag.default, bool):
        return "" if isinstance(value, bool) else "must be True or False"
    if isinstance(flag.default, str) or name in TEXTS:
        return "" if isinstance(value, str) else "must be text"
    return ""


def safe(value):
    """A value from a file with `printable` texts, also inside lists and dicts."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {safe(name): safe(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(safe(inner) for inner in value)
    return value
