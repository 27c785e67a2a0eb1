"""The commands that GluonCV published with its logs, as a table of flags: logs/published/commands.json."""

import json
import re
import shlex
from pathlib import Path

from gluon_tricks.published.rates import formula_of
from gluon_tricks.published.transfer import published_transfer


def command_text(path):
    """The command in a .sh file, on one line."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return " ".join(" ".join(lines).replace("\\", " ").split())


def workers_of(command):
    """Number of processes that horovodrun starts; 1 without it."""
    match = re.search(r"horovodrun -np (\d+)", command)
    return int(match.group(1)) if match else 1


def table_text(folder, logs, rates):
    """commands.json: one entry per .sh file under `folder`, as `published_commands.PublishedCommand` has it.

    Parameters
    ----------
    folder : Path
        web-data's gluoncv/logs.
    logs : dict, name -> RunLog
    rates : dict, name -> list of LoggedRate
    """
    entries = sorted((entry_of(path, folder, logs, rates) for path in folder.glob("**/*.sh")),
                     key=lambda e: e["name"])
    return json.dumps({"commands": entries}, indent=1) + "\n"


def entry_of(path, folder, logs, rates):
    """The entry of one .sh file."""
    name = path.stem.removeprefix("train_")                # train_xception.sh is not named after its log
    command = command_text(path)
    before, flags = split_command(command)
    script, log = Path(before[-1]).name, logs.get(name)
    formula = formula_of(rates[name], script, log.args, workers_of(command)) if name in rates else None
    return {"name": name, "file": str(path.relative_to(folder)), "before": before, "flags": flags,
            "log": name if log or name in published_transfer() else None, "lr_formula": formula}


def header_flags(command):
    """A command's flags under the names in a log's header: name -> text, or True for a switch."""
    return {"num_workers" if flag == "-j" else flag.lstrip("-").replace("-", "_"): value
            for flag, value in split_command(command)[1].items()}


def split_command(command):
    """The words up to the script, as a list; and flag -> text, or True for a switch, as a dict."""
    words = shlex.split(command)
    start = next(i for i, word in enumerate(words) if word.endswith(".py")) + 1
    flags = {}
    for word, following in zip(words[start:], words[start + 1:] + ["-"]):
        if word.startswith("-"):
            assert word not in flags, f"{word} stands twice in {command}"
            flags[word] = True if following.startswith("-") else following
    return words[:start], flags
