"""The learning rates that the published ImageNet logs print, from logs/published/rates.csv.xz."""

import csv
import lzma
from functools import cache

from gluon_tricks.published.catalogue import FOLDER
from gluon_tricks.published.rates import LoggedRate


@cache
def logged_rates():
    """Name of a published ImageNet run -> list of LoggedRate in the order of its log, failed attempts
    included."""
    rates = {}
    with lzma.open(FOLDER / "rates.csv.xz", "rt", encoding="utf-8") as stream:
        rows = csv.reader(stream)
        assert tuple(next(rows)) == (
            "run",) + LoggedRate._fields, "rates.csv.xz has the columns of LoggedRate"
        for name, epoch, batch, lr in rows:
            rates.setdefault(name, []).append(LoggedRate(int(epoch), int(batch), lr))
    return rates
