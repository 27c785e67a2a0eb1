"""What a run leaves besides its log: the types of its facts, and the reader of `metrics.jsonl`.

`run.json` holds the facts of a run. `metrics.jsonl` has one JSON object per log interval ("kind": "interval")
and per epoch ("kind": "epoch").
"""

import math

from gluon_tricks.errors import UserError
from gluon_tricks.files import open_file, parse_json

TYPES = {**dict.fromkeys(("command", "model", "dataset", "dtype", "data_root_hash", "data_backend", "title",
                          "train_metric", "optimizer", "processor", "platform",
                          "init_params", "commit"), str),
         **dict.fromkeys(("seed", "devices", "world_size", "classes", "global_batch_size", "cpus"), int),
         **dict.fromkeys(("args", "versions", "dtype_trial", "model_kwargs"), dict),
         **dict.fromkeys(("mixup", "freeze_norm"), bool), **dict.fromkeys(("gpus", "freeze"), list)}
FROM_1 = ("devices", "world_size", "classes", "global_batch_size", "cpus")
START = b'{"kind": '
KINDS = ("interval", "epoch")


def check_facts_types(facts):
    """Raise ValueError if a known fact of a run has a type that no run writes, or a count is below 1."""
    if not isinstance(facts, dict):
        raise ValueError("it is no JSON object")
    for name, kind in TYPES.items():
        value = facts.get(name)
        if value is None:
            continue
        if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
            raise ValueError(f"{name} is {value!r:.80}, no {kind.__name__}")
        if name == "dtype_trial" and not all(type(rate) in (int, float) for rate in value.values()):
            raise ValueError(f"{name} is {value!r:.80}, no rates")
        if name in FROM_1 and not 1 <= value < 1 << 53:
            raise ValueError(f"{name} is {value}")


def read_metrics(path):
    """The records of a `metrics.jsonl`, as dicts in the file's order.

    Raises
    ------
    UserError
        If it cannot be read, or a line is no record of a run; an incomplete last line is left out.
    """
    records = []
    for number, _, record, reason in metrics_lines(path):
        if reason:
            raise UserError(f"{path}, line {number}: {reason}; a run continued with --resume auto puts the "
                            f"damaged file aside and keeps its whole lines")
        records.append(record)
    return records


def metrics_lines(path):
    """Yield `(number, bytes, record, "")` of each line, or `(number, bytes, None, what is wrong with it)`.

    A last line without its end, as a killed run leaves it, is left out. Raises UserError if the file cannot
    be read.
    """
    with open_file("", path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield number, line, _record(line), ""
            except ValueError as error:
                if line.endswith(b"\n") or not line.startswith(START[:len(line)]):
                    yield number, line, None, f"is no record of a run ({error})"


def _record(line):
    """The record in a line. Raises ValueError."""
    record = parse_json(line)
    if not isinstance(record, dict) or record.get("kind") not in KINDS:
        raise ValueError("it has no kind 'interval' or 'epoch'")
    counts = "epoch", *(["batch"] if record["kind"] == "interval" else []), *({"num_update"} & set(record))
    for name in counts:
        if type(record.get(name)) is not int or not 0 <= record[name] < 1 << 53:
            raise ValueError(f"{name} is {record.get(name)!r:.80}, no whole number from 0")
    for name, value in record.items():
        if name != "kind" and not (value is None or type(value) in (int, float, dict)):
            raise ValueError(f"{name} is {value!r:.80}, no number")
    rate = record.get("lr")
    if record["kind"] == "interval" and not (type(rate) in (int, float) and 0 <= rate < math.inf):
        raise ValueError(f"its rate 'lr' is {rate!r:.80}")
    return record
