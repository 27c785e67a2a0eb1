"""The numbers and facts of a resume file, checked: types, ranges, and agreement with each other."""

import math
from dataclasses import fields
from typing import NamedTuple

from gluon_tricks.files import parse_json
from gluon_tricks.log_lines.run_files import check_facts_types
from gluon_tricks.training.progress import Progress

FORMAT = 1
# State of an optimizer other than arrays and update count: the running product of MXNet's Nadam
OPTIMIZER_NUMBERS = ("m_schedule",)
LARGEST = 1 << 53                # beyond it, a float64 does not count updates
LOSS_SCALE = {"scale", "good_updates", "skipped"}
ROW_NUMBERS = ("val", "loss", "lr")


class ResumeMeta(NamedTuple):
    """The member `meta` of a resume file."""
    facts: dict
    progress: Progress
    optimizer: dict


def parse_meta(content):
    """`ResumeMeta` from the bytes of a resume file's member `meta`.

    Raises
    ------
    ValueError
        If a value is not one that a run writes; the message names it.
    """
    meta = parse_json(content)
    if not isinstance(meta, dict) or "format" not in meta:
        raise ValueError("its 'meta' is not that of a resume file")
    if meta["format"] != FORMAT or isinstance(meta["format"], bool):
        raise ValueError(f"it has format {meta['format']!r}, this version reads format {FORMAT}")
    unknown = set(meta) - {"format", "facts", "progress", "optimizer"}
    if unknown:
        raise ValueError(f"its 'meta' has {min(unknown)!r}, which no run writes")
    facts, optimizer = meta.get("facts"), meta.get("optimizer", {})
    if not isinstance(facts, dict) or not isinstance(facts.get("args"), dict):
        raise ValueError("it has no facts of a run")
    check_facts_types(facts)
    if not isinstance(optimizer, dict) or not set(optimizer) <= set(OPTIMIZER_NUMBERS):
        raise ValueError("it sets attributes of the optimizer that no run sets")
    for name, value in optimizer.items():
        if not _is_number(value) or not 0 <= value <= 1:
            raise ValueError(f"its optimizer's {name} is {value!r}; it must be in [0, 1]")
    return ResumeMeta(facts, parse_progress(meta.get("progress")), optimizer)


def parse_progress(values):
    """`Progress` from a dict of its fields. Raises ValueError."""
    known = {field.name: field.default for field in fields(Progress)}
    if not isinstance(values, dict) or not set(values) <= set(known):
        raise ValueError("its progress is not that of a run")
    for name in ("epoch", "batch", "num_update", "metric_count"):
        if not _is_count(values.get(name, 0)):
            raise ValueError(f"its {name} is {values[name]!r}; it must be a whole number from 0 to 2^53")
    for name in ("loss_sum", "metric_sum", "epoch_s", "best_val"):
        if not _is_number(values.get(name, 0.0)):
            raise ValueError(f"its {name} is {values[name]!r}; it must be a finite number")
    progress = Progress(**values)
    if progress.num_update < progress.epoch + progress.batch:
        raise ValueError(f"its update {progress.num_update} cannot be in epoch {progress.epoch}, batch "
                         f"{progress.batch}")
    _check_history(progress)
    scale, figures = progress.loss_scale, progress.figures
    if not isinstance(scale, dict) or set(scale) not in (set(), LOSS_SCALE) or not all(
            _is_number(value) and value >= 0 for value in scale.values()):
        raise ValueError("its loss scale is not that of a run")
    if not isinstance(figures, dict) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)) for pair in
            figures.values()):
        raise ValueError("its figures are not those of a run")
    return progress


def _check_history(progress):
    """Raise ValueError unless each row is of an earlier epoch, in order, with the figures that plots need."""
    if not isinstance(progress.history, list):
        raise ValueError("its history is no list")
    before = -1
    for row in progress.history:
        if not isinstance(row, dict) or not _is_count(row.get("epoch")):
            raise ValueError("its history has a row that is of no epoch")
        if not before < row["epoch"] < progress.epoch:
            raise ValueError(f"its history has epoch {row['epoch']} after {before}, at epoch "
                             f"{progress.epoch}")
        before = row["epoch"]
        # a score over no image is nan
        if not all(isinstance(row.get(name), (int, float)) for name in ROW_NUMBERS) or not all(
                value is None or isinstance(value, (bool, int, float, str)) for value in row.values()):
            raise ValueError(f"its history's row of epoch {before} has no figures")


def _is_count(value):
    return type(value) is int and 0 <= value <= LARGEST


def _is_number(value):
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e300
