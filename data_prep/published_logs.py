"""Read GluonCV's published logs into logs/published: curves, rates, commands, catalogue with quality flags.

    python data_prep/published_logs.py --logs web-data/gluoncv/logs
    python data_prep/published_logs.py --logs gluoncv-logs.tar.xz --out published

The logs are those of github.com/dmlc/web-data, folder gluoncv/logs, or an archive of that folder. The results
are committed; running this again on the same logs writes the same bytes.
"""

import csv
import gzip
import hashlib
import io
import json
import lzma
import re
import statistics
import sys
import tarfile
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from data_prep.common import parser_of
from data_prep.published_commands import command_text, header_flags, table_text, workers_of
from gluon_tricks.errors import UserError, run_main
from gluon_tricks.files import atomic_write
from gluon_tricks.log_lines.epochs import EpochRecord
from gluon_tricks.log_lines.lines import HorovodBatch, ImagenetBatch, Namespace, parse_line
from gluon_tricks.log_lines.reading import read_log
from gluon_tricks.published.catalogue import FOLDER
from gluon_tricks.published.rates import LoggedRate
from gluon_tricks.published.recipe import recipe
from gluon_tricks.published.reference import dataset_of

SOURCE = "github.com/dmlc/web-data at 0818ee5787b3, gluoncv/logs/classification"
PATHS = ("rec_train", "rec_train_idx", "rec_val", "rec_val_idx", "data_dir", "save_dir", "logging_file")
TRICKS = ("lr_mode", "warmup_epochs", "label_smoothing", "mixup", "last_gamma", "no_wd", "dtype", "use_gn",
          "auto_aug",
          "teacher")
EXPECTED = {"logs": 73, "lines": 369_325, "epochs": 12_770, "rates": 336_413, "commands": 80,
            "without formula": 0,
            "unmatched": 0}


def main(argv=None):
    args = parse_args(argv)
    with classification_folder(args.logs) as folder:
        paths = sorted(folder.glob("*/*.log"))
        if not paths:
            raise UserError(f"--logs {args.logs}: no classification/*/*.log in it; give web-data's "
                            "gluoncv/logs")
        logs = {path.stem: read_log(path) for path in tqdm(paths, unit="log", disable=None)}
        rates = {name: found for name, log in logs.items() if (found := rates_of(log.path))}
        entries = catalogue_entries(folder, logs)
        commands = table_text(folder.parent, logs, rates)
    args.out.mkdir(parents=True, exist_ok=True)
    atomic_write(args.out / "curves.csv.gz", curves_bytes(logs))
    atomic_write(args.out / "rates.csv.xz", rates_bytes(rates))
    atomic_write(args.out / "catalogue.json", catalogue_text(entries))
    atomic_write(args.out / "commands.json", commands)
    return report(logs, rates, json.loads(commands)["commands"], entries, args.out)


def report(logs, rates, commands, entries, out):
    """Print the counts next to those of the published logs; the exit code."""
    counts = sum((Counter(log.counts) for log in logs.values()), Counter())
    found = {"logs": len(logs), "lines": sum(counts.values()),
             "epochs": sum(len(log.epochs) for log in logs.values()),
             "rates": sum(map(len, rates.values())), "commands": len(commands),
             "without formula": sum(command["name"] in rates and not command["lr_formula"]
                                    for command in commands),
             "unmatched": counts["unmatched"]}
    for kind, lines in counts.most_common():
        print(f"{lines:9,d}  {kind}")
    for what, number in found.items():
        print(f"{what}: {number:,d} (expected {EXPECTED[what]:,d})")
    flags = Counter(flag for entry in entries for flag in entry["flags"])
    print(f"flags: {', '.join(f'{flag} {runs}' for flag, runs in sorted(flags.items()))}")
    print(f"wrote curves.csv.gz, rates.csv.xz, catalogue.json and commands.json to {out}")
    return 0 if found == EXPECTED else 1


# --- reading ------------------------------------------------------------------------------------------------

@contextmanager
def classification_folder(logs):
    """The folder `classification` in a folder of logs, or in an archive of such a folder."""
    if logs.is_dir():
        yield logs if logs.name == "classification" else logs / "classification"
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "classification"
        try:
            with tarfile.open(logs) as archive:
                for member in archive:
                    parts = Path(member.name).parts
                    top = next((i for i, part in enumerate(parts)
                                if part in ("classification", "detection")), len(parts))
                    wanted = member.isfile() and member.name.endswith((".log", ".sh"))
                    if wanted and top < len(parts) and ".." not in parts:
                        target = Path(temporary, *parts[top:])
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(archive.extractfile(member).read())
        except (OSError, tarfile.TarError, EOFError) as error:
            raise UserError(f"--logs {logs}: neither a folder nor a readable archive ({error})") from None
        yield folder


# --- curves and rates ---------------------------------------------------------------------------------------

def curves_bytes(logs):
    """All epochs of all runs as gzipped CSV; the same logs give the same bytes."""
    rows = [(name, *map(cell, record)) for name in sorted(logs) for record in logs[name].epochs]
    return gzip.compress(csv_bytes(EpochRecord, rows), compresslevel=9, mtime=0)


def rates_bytes(rates):
    """All logged learning rates as CSV in xz."""
    return lzma.compress(csv_bytes(LoggedRate,
                                   [(name, *logged) for name in sorted(rates) for logged in rates[name]]),
                         preset=9)


def csv_bytes(record, rows):
    """CSV whose columns are `run` and the fields of a named tuple."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("run", *record._fields), *rows])
    return text.getvalue().encode()


def cell(value):
    """A value as CSV text, with as many decimals as in the log."""
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def rates_of(path):
    """The learning rate of every batch line of a log, as printed."""
    found = []
    with open(path, encoding="utf-8", errors="replace") as stream:
        for text in stream:
            line = parse_line(text.rstrip("\n")) if "lr=" in text else None
            if isinstance(line, (ImagenetBatch, HorovodBatch)):
                found.append(LoggedRate(line.epoch, line.batch, f"{line.lr:f}"))
    return found


# --- catalogue ----------------------------------------------------------------------------------------------

def catalogue_text(entries):
    return json.dumps({"source": SOURCE, "runs": entries}, indent=1, ensure_ascii=False) + "\n"


def catalogue_entries(folder, logs):
    """One entry per log, as `PublishedRun` has it."""
    sha1 = {name: hashlib.sha1(log.path.read_bytes()).hexdigest() for name, log in logs.items()}
    names_of = {digest: [name for name in sorted(logs) if sha1[name] == digest] for digest in sha1.values()}
    return [entry_of(name, logs[name], sha1[name], names_of[sha1[name]], folder) for name in sorted(logs)]


def entry_of(name, log, sha1, same_bytes, folder):
    """The catalogue's entry of one log; `same_bytes` are the names of the logs with this SHA-1."""
    command = command_of(log.path)
    values = recipe(log.args, dataset_of(log))
    last = log.epochs[-1]
    validated = [record for record in log.epochs if record.val_err_top1 is not None]
    best = min(validated, key=lambda record: record.val_err_top1)
    return {
        "name": name,
        "log": str(log.path.relative_to(folder.parent)),
        "sha1": sha1,
        "dataset": dataset_of(log),
        "script": re.search(r"train_\w+\.py", command).group(),
        "style": log.style,
        "model": log.args["model"],
        "command": command,
        "args": log.args,
        "tricks": {key: values[key] for key in TRICKS},
        "global_batch_size": values["global_batch_size"] * workers_of(command),
        "epochs": len(log.epochs),
        "train_metric": last.train_metric_name,
        "final": figures(last),
        "best": {"epoch": best.epoch, **figures(best)},
        "flags": quality_flags(name, log, command, same_bytes),
    }


def figures(record):
    return {key: getattr(record, key) for key in ("train_metric", "val_err_top1", "val_err_top5")}


def command_of(log_path):
    """The command in the .sh file of a log, on one line."""
    path = log_path.with_suffix(".sh")
    return command_text(path if path.exists() else log_path.with_name(f"train_{log_path.stem}.sh"))


# --- quality flags ------------------------------------------------------------------------------------------

SENTENCES = {
    "copy": "{name}.log has the same bytes as {original}.log; it is that run.",
    "mixup-not-in-name": "The run has mixup, which its name does not say.",
    "other-model": "The header and the command of {name}.log say model {model}.",
    "synthetic-validation": "The validation errors of {name}.log are a straight line from 1 to 1/{epochs}, "
                            "top-1 and top-5 alike: no measurement.",
    "meaningless-train-metric": "The training accuracy of {name}.log starts at {first:.2f}: the metric was "
                                "fed smoothed labels and counts logits that truncate to 0.",
    "several-headers": "{headers} headers, of which the last counts; from first to last changed: {changed}.",
    "sh-differs": "Command and log differ: {differences}.",
    "last-gamma-without-effect": "--last-gamma is on, but this model does not use it.",
    "last-gamma-inverted": "--last-gamma is on, which this model takes the wrong way round: gamma starts at "
                           "1.",
    "validation-resize-256": "Validation images were resized to 256 for a crop of {input_size}; later "
                             "versions of the script resize to input size / 0.875.",
    "validation-repeated": "The last epoch was validated twice; both lines agree.",
    "slow-epochs": "{slow} epochs ran below 70 % of the median speed.",
}


def quality_flags(name, log, command, same_bytes):
    """flag -> sentence for each limitation or misleading name of a log."""
    found = findings(name, log, command, same_bytes)
    return {flag: SENTENCES[flag].format(name=name, **facts) for flag, facts in found}


def findings(name, log, command, same_bytes):
    """Yield `(flag, values for its sentence)`."""
    header, epochs, model = log.args, log.epochs, log.args["model"]
    mixup = recipe(header, dataset_of(log))["mixup"]
    if len(same_bytes) > 1 and mixup != name.endswith("mixup"):
        yield "copy", {"original": next(other for other in same_bytes if other != name)}
    elif mixup and not name.endswith("mixup"):
        yield "mixup-not-in-name", {}
    if model != re.sub(r"[-_]mixup$", "", name).removesuffix("_gn" if header.get("use_gn") else ""):
        yield "other-model", {"model": model}
    if all(record.val_err_top1 == record.val_err_top5 for record in epochs):
        yield "synthetic-validation", {"epochs": len(epochs)}
    first = epochs[0]
    if first.train_metric_name == "accuracy" and header.get("label_smoothing") and first.train_metric > 0.5:
        yield "meaningless-train-metric", {"first": first.train_metric}
    if log.headers > 1:
        yield "several-headers", {"headers": log.headers,
                                  "changed": changes(headers_of(log.path)) or "nothing"}
    differing = ", ".join(differences(header_flags(command), header))
    if differing:
        yield "sh-differs", {"differences": differing}
    if header.get("last_gamma"):
        if model.startswith(("resnet18_v1b", "resnet34_v1b", "mobilenetv3")):
            yield "last-gamma-without-effect", {}
        elif "resnext" in model:
            yield "last-gamma-inverted", {}
    if log.style.startswith("imagenet") and "crop_ratio" not in header and header.get("input_size",
                                                                                      224) > 256:
        yield "validation-resize-256", {"input_size": header["input_size"]}
    if log.style == "horovod" and log.counts["hvd_val"] > sum(record.val_err_top1 is not None
                                                              for record in epochs):
        yield "validation-repeated", {}
    slow = slow_epochs(epochs)
    if slow:
        yield "slow-epochs", {"slow": slow}


def headers_of(path):
    """The arguments in every header of a log."""
    with open(path, encoding="utf-8") as stream:
        lines = [parse_line(text.rstrip("\n")) for text in stream if "Namespace(" in text]
    return [line.args for line in lines if isinstance(line, Namespace)]


def changes(headers):
    """The values that differ between the first and the last header, as text."""
    first, last = headers[0], headers[-1]
    return ", ".join(f"{key} {first.get(key, 'absent')} to {last.get(key, 'absent')}"
                     for key in sorted({*first, *last}) if first.get(key) != last.get(key))


def differences(flags, header):
    """Yield a phrase for each flag, paths excepted, on which command and header of a log disagree."""
    for key in sorted(set(header) - set(PATHS)):
        here, there = header[key], flags.get(key, False)
        if isinstance(here, bool) or there is True:
            differs = bool(here) != bool(there)
        else:
            differs = there is not False and str(here) != there and not same_number(here, there)
        if differs:
            yield f"{key} {there} in the command, {here} in the log"


def same_number(here, there):
    """Whether both are numbers, and equal."""
    try:
        return float(here) == float(there)
    except (TypeError, ValueError):
        return False


def slow_epochs(epochs):
    """Number of epochs below 70 % of the run's median speed."""
    speeds = [record.samples_per_sec for record in epochs if record.samples_per_sec]
    return sum(speed < 0.7 * statistics.median(speeds) for speed in speeds)


# --- flags --------------------------------------------------------------------------------------------------

def parse_args(argv):
    parser = parser_of(__doc__)
    parser.add_argument("--logs", type=Path, required=True, help="folder gluoncv/logs of dmlc/web-data, or "
                                                                 "its archive")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default "
                                                                 "logs/published)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)
